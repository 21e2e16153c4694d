// chainmail-simulator: the simulated OpenAI endpoint as a program of its own.

#include "simulator.hpp"

#include <chainmail/caf/main.hpp>
#include <chainmail/http/http_options.hpp>

#include <caf/actor_system_config.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace sim = chainmail::simulator;
using chainmail::with_default;

// -- options ------------------------------------------------------------------

class config : public caf::actor_system_config {
public:
  config() {
    opt_group{custom_options_, "global"}
        .add(port, "port,p", "port on 127.0.0.1 (default: any that is free)")
        .add(latency, "latency,l", with_default("median time to an answer, e.g. 1280ms", latency))
        .add(sigma, "sigma", "spread of a log-normal latency (default: none)")
        .add(token_rate, "token-rate", "tokens a second of a stream (default: all at once)")
        .add(
            token_jitter, "token-jitter", "by what share their gaps vary, e.g. 0.2 (default: none)")
        .add(reply_tokens, "reply-tokens",
            "length of replies to prompts of no known kind (default: what it takes)")
        .add(fault_after, "fault-after",
            with_default("after how many tokens a stream breaks, stalls or errs", fault_after))
        .add(seed, "seed", with_default("seed of names, latencies and faults", seed))
        .add(script, "script", "what the first requests get, e.g. 429,429,ok,reset")
        .add<std::string>("fault", "KIND:RATE for the others, e.g. 429:0.1,reset:0.05")
        .add(api_key, "api-key", "the only key to accept (default: any or none)")
        .add(models, "models", "the only models to accept, e.g. gpt-4,gpt-3.5-turbo")
        .add(requests_per_minute, "requests-per-minute",
            "most requests accepted in any minute (default: no limit)")
        .add(tokens_per_minute, "tokens-per-minute",
            "most tokens accepted in any minute (default: no limit)")
        .add(rate_window, "rate-window",
            with_default("what stands for that minute, e.g. 2s", rate_window))
        .add(retry_after, "retry-after",
            with_default("what injected 429s ask for, in whole seconds", retry_after))
        .add(retry_after_date, "retry-after-date", "write Retry-After as an HTTP date")
        .add(slow, "slow", "SHARE:FACTOR: that share takes FACTOR times the latency, e.g. 0.05:20")
        .add(outage, "outage", "FROM..TO after the first POST, all get 503, e.g. 5s..25s")
        .add(outage_resets, "outage-resets", "connection resets in the outage in place of 503");
  }

  std::uint16_t port = 0;
  caf::timespan latency{0};
  double sigma = 0;
  std::uint64_t token_rate = 0;
  double token_jitter = 0;
  std::uint64_t reply_tokens = 0;
  std::size_t fault_after = sim::options{}.fault_after;
  std::uint64_t seed = 0;
  std::string script;
  std::string api_key;
  std::string models;
  std::uint64_t requests_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
  caf::timespan rate_window = std::chrono::minutes(1);
  caf::timespan retry_after = std::chrono::seconds(1);
  bool retry_after_date = false;
  std::string slow;
  std::string outage;
  bool outage_resets = false;
};

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    auto comma = list.find(',');
    if (comma != 0)
      items.emplace_back(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return items;
}

sim::options to_options(const config& cfg, std::string_view faults) {
  sim::options result;
  result.port = cfg.port;
  result.latency = std::chrono::duration_cast<std::chrono::microseconds>(cfg.latency);
  result.sigma = cfg.sigma;
  result.token_rate = static_cast<double>(cfg.token_rate);
  result.token_jitter = cfg.token_jitter;
  result.reply_tokens = cfg.reply_tokens;
  result.fault_after = cfg.fault_after;
  result.seed = cfg.seed;
  result.script = sim::parse_script(cfg.script);
  result.fault_rates = sim::parse_fault_rates(faults);
  result.api_key = cfg.api_key;
  result.models = split(cfg.models);
  result.requests_per_minute = cfg.requests_per_minute;
  result.tokens_per_minute = cfg.tokens_per_minute;
  result.rate_window = std::chrono::duration_cast<std::chrono::milliseconds>(cfg.rate_window);
  result.retry_after = std::chrono::ceil<std::chrono::seconds>(cfg.retry_after);
  result.retry_after_as_date = cfg.retry_after_date;
  if (!cfg.slow.empty())
    result.slow = sim::parse_slow_share(cfg.slow);
  if (!cfg.outage.empty())
    result.outage = sim::parse_outage(cfg.outage);
  result.outage_resets = cfg.outage_resets;
  return result;
}

// -- the process --------------------------------------------------------------

/// Blocks the signals in this thread and those it starts, so that only wait_for() sees them.
sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void wait_for(const sigset_t& signals) {
  int received = 0;
  while (sigwait(&signals, &received) != 0)
    ;
}

int run(std::vector<std::string> arguments) {
  std::string faults;
  for (const auto& fault : chainmail::take_option(arguments, "--fault"))
    faults += (faults.empty() ? "" : ",") + fault;
  chainmail::init_types();
  config cfg;
  if (auto status = chainmail::parse_options(cfg, std::move(arguments)))
    return *status;
  chainmail::raise_open_file_limit();
  auto stop_signals = block_stop_signals();
  sim::server server(to_options(cfg, faults));
  std::cout << "chainmail-simulator: simulated OpenAI API (no model behind it) on "
            << server.base_url() << std::endl;
  wait_for(stop_signals);
  server.stop();
  auto counted = server.snapshot();
  auto ok = counted.answered_with(sim::fault::ok);
  std::cout << "chainmail-simulator: stopped after " << counted.requests << " requests: " << ok
            << " answered, " << counted.all_answered() - ok << " with an injected fault, "
            << counted.refused << " refused, " << counted.rate_limited << " over a rate limit, "
            << counted.outage << " in an outage, " << counted.aborted << " aborted by the client"
            << std::endl;
  return EXIT_SUCCESS;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& problem) {
    std::cerr << "error: " << problem.what() << std::endl;
    return 2;
  }
}

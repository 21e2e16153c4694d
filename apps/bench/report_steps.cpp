// The commands of a report.
#include "report_steps.hpp"

#include "measure.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace chainmail::bench {

namespace {

// -- endpoints ----------------------------------------------------------------------------

sockaddr_in loopback(uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  result.sin_port = htons(port);
  return result;
}

/// One that was free a moment ago.
uint16_t free_port() {
  auto address = loopback(0);
  socklen_t size = sizeof address;
  auto listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  auto failed = bind(listener, generic, size) != 0 || getsockname(listener, generic, &size) != 0;
  close(listener);
  if (failed)
    throw std::runtime_error{"there is no free port on 127.0.0.1"};
  return ntohs(address.sin_port);
}

bool answers_at(uint16_t port) {
  auto address = loopback(port);
  auto caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto connected = connect(caller, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(caller);
  return connected;
}

// -- readers ------------------------------------------------------------------------------

run_figures read_ours(const finished_process& from) {
  return figures_in(from.out.substr(0, from.out.find('\n')));
}

step::reader reading(run_figures (*read)(std::string_view)) {
  return [read](const finished_process& from) { return read(from.out + from.err); };
}

step::reader reading_wave(bool first) {
  return [first](const finished_process& from) { return read_sharded_curl(from.out, first); };
}

// -- the list -----------------------------------------------------------------------------

std::string number(size_t x) {
  return std::to_string(x);
}

class list {
public:
  list(const report_plan& how_much, endpoints& where, const peers& who)
    : plan_(how_much), servers_(where), others_(who) {}

  std::vector<step> all() {
    whole_stack();
    cold_crowd();
    slow_crowd();
    growth();
    chains();
    beside_waiting();
    constant_rate();
    other_loads();
    frontier();
    if (plan_.has_soak)
      ours("soak", {"--scenario=soak", "--duration=" + plan_.soak_duration}).pairs = 1;
    return std::move(steps_);
  }

private:
  step& ours(const std::string& run, std::vector<std::string> arguments) {
    auto& made = steps_.emplace_back();
    made.title = "chainmail: " + run;
    made.how.arguments = this_program(std::move(arguments));
    made.finds = {{run, read_ours}};
    return made;
  }

  /// Null when the peer is not there.
  step* peer(const std::string& name, const std::string& run, std::vector<std::string> arguments,
      step::reader read) {
    if (!others_.has(name))
      return nullptr;
    auto& made = steps_.emplace_back();
    made.title = run;
    arguments.insert(arguments.begin(), others_.path(name));
    made.how.arguments = std::move(arguments);
    made.finds = {{run, std::move(read)}};
    return &made;
  }

  step* curl_multi(const std::string& run, size_t calls, size_t in_flight, unsigned latency_ms) {
    return peer("curl_multi", run,
        {number(calls), servers_.base_url(latency_ms) + "/completions", number(in_flight)},
        reading(read_curl_multi));
  }

  /// Two waves: the first finds no connections.
  void sharded_curl(const std::string& run, size_t calls, size_t in_flight, unsigned latency_ms) {
    constexpr size_t a_shard = 150;
    constexpr size_t most_shards = 64;
    auto shards = std::clamp<size_t>(in_flight / a_shard, 1, most_shards);
    auto* made = peer("sharded_curl", run + " warm",
        {"url=" + servers_.base_url(latency_ms) + "/completions", "conc=" + number(in_flight),
            "total=" + number(calls), "waves=2", "shards=" + number(shards), "maxconn=20000"},
        reading_wave(false));
    if (made != nullptr)
      made->finds.emplace_back(run + " cold", reading_wave(true));
  }

  void langchain(const std::string& run, const std::string& script,
      std::vector<std::string> arguments, unsigned latency_ms, step::reader read) {
    if (!others_.has("LangChain.js"))
      return;
    auto& made = steps_.emplace_back();
    made.title = run;
    arguments.insert(arguments.begin(), {"node", script});
    made.how = {std::move(arguments), {"OPENAI_API_BASE=" + servers_.base_url(latency_ms)},
        others_.path("LangChain.js")};
    made.finds = {{run, std::move(read)}};
  }

  std::vector<std::string> fanout(
      size_t calls, size_t in_flight, unsigned latency_ms, size_t warm_up = 0) {
    return {"--scenario=fanout", "--base-url=" + servers_.base_url(latency_ms),
        "--calls=" + number(calls), "--in-flight=" + number(in_flight),
        "--warm-up=" + number(warm_up)};
  }

  void whole_stack() {
    auto calls = plan_.calls(20'000);
    ours("fanout 100", fanout(calls, 100, 0));
    curl_multi("curl_multi 100", calls, 100, 0);
    auto url = servers_.base_url(0); // http://127.0.0.1:PORT/...
    auto port = url.find(':', url.find("//")) + 1;
    auto path = url.find('/', port);
    peer("raw_epoll", "raw_epoll 100",
        {number(calls), url.substr(port, path - port), url.substr(path) + "/completions", "100"},
        reading(read_curl_multi));
    langchain("LangChain.js gather", "bench_lc.mjs", {"gather", number(plan_.calls(2'000))}, 0,
        reading(read_langchain));
  }

  void cold_crowd() {
    auto calls = plan_.calls(5'000);
    constexpr unsigned latency_ms = 100;
    ours("fanout 5000 cold", fanout(calls, calls, latency_ms));
    if (auto* made = curl_multi("curl_multi 5000 fresh", calls, calls, latency_ms))
      made->how.variables = {"FRESH=1"};
    langchain("LangChain.js 5000", "bench_lc.mjs", {"gather", number(calls)}, latency_ms,
        reading(read_langchain));
  }

  void slow_crowd() {
    auto calls = plan_.calls(10'000);
    ours("fanout 10000 cold", fanout(calls, calls, plan_.slow_ms()));
    ours("fanout 10000 warm", fanout(calls, calls, plan_.slow_ms(), calls));
    sharded_curl("sharded_curl 10000", calls, calls, plan_.slow_ms());
  }

  void growth() {
    for (auto in_flight : in_flight_steps(plan_)) {
      constexpr size_t alone = 2'000;
      constexpr size_t few = 10'000;
      constexpr size_t many = 20'000;
      auto calls = plan_.calls(in_flight == 1 ? alone : in_flight == 10 ? few : many);
      calls = std::max(calls, in_flight);
      ours("growth " + number(in_flight), fanout(calls, in_flight, 0, std::min(calls, in_flight)));
      sharded_curl("sharded_curl growth " + number(in_flight), calls, in_flight, 0);
      if (auto* made = curl_multi("curl_multi growth " + number(in_flight), calls, in_flight, 0);
          made != nullptr && in_flight > 1'000)
        made->pairs = 1; // 10 s and more, all of it CPU time
    }
  }

  void chains() {
    auto scenario = [&](size_t in_flight, const std::string& threads) {
      std::vector<std::string> result{"--scenario=chain_only",
          "--calls=" + number(plan_.calls(400'000)), "--in-flight=" + number(in_flight),
          "--warm-up=" + number(2 * in_flight)};
      if (!threads.empty())
        result.push_back("--caf.scheduler.max-threads=" + threads);
      return result;
    };
    ours("chain_only", scenario(1'000, {}));
    ours("chain_only 1 thread", scenario(1'000, "1"));
    ours("chain_only 2 threads", scenario(1'000, "2"));
    ours("chain_only in flight 100", scenario(100, {}));
    ours("chain_only in flight 10000", scenario(plan_.in_flight(10'000), {}));
    langchain("LangChain.js no network", "bench_nonet.mjs", {number(plan_.calls(20'000))}, 0,
        reading(read_langchain_nonet));
  }

  void beside_waiting() {
    ours("waiting", {"--scenario=waiting", "--calls=" + number(plan_.calls(5'000)),
                        "--in-flight=" + number(plan_.in_flight(4'000))});
  }

  void at_rate(const std::string& run, const std::string& scenario, size_t rate, size_t calls,
      size_t warm_up, std::function<bool(const run_log&, size_t)> is_needless = {}) {
    auto& made = ours(run,
        {"--scenario=" + scenario, "--base-url=" + servers_.base_url(0), "--rate=" + number(rate),
            "--calls=" + number(calls), "--warm-up=" + number(warm_up)});
    made.is_needless = std::move(is_needless);
  }

  void constant_rate() {
    auto calls = plan_.calls(3'000);
    auto warm_up = plan_.calls(500);
    at_rate("rate 1000", "rate", 1'000, calls, warm_up);
    at_rate("plain_curl 1000", "plain_curl", 1'000, calls, warm_up);
    ours("start_up", {"--scenario=start_up", "--calls=" + number(plan_.is_quick ? 3 : 10)});
  }

  void other_loads() {
    auto calls = number(plan_.calls(20'000));
    auto url = "--base-url=" + servers_.base_url(0);
    ours("engine 100",
        {"--scenario=engine", url, "--calls=" + calls, "--in-flight=100", "--warm-up=100"});
    ours("limiter", {"--scenario=limiter", "--calls=" + number(plan_.calls(200'000)),
                        "--in-flight=" + number(plan_.in_flight(10'000))});
    ours("remote", {"--scenario=remote", "--calls=" + calls});
    // These need answers that fit their prompts.
    auto simulated = "--base-url=" + servers_.simulated_url(100);
    ours("map_reduce", {"--scenario=map_reduce", simulated});
    ours("chat_vector_db", {"--scenario=chat_vector_db", simulated});
  }

  void frontier() {
    constexpr size_t most_pairs = 3;
    for (auto rate : frontier_rates(plan_))
      for (const auto* scenario : {"rate", "plain_curl"}) {
        auto run = "frontier " + std::string{scenario} + " ";
        // Once the tail is long, higher rates only make it longer.
        auto is_hopeless = [run, rate, rates = frontier_rates(plan_)](
                               const run_log& log, size_t pair) {
          constexpr double hopeless_ms = 400;
          for (auto lower : rates) {
            auto tails = log.values(run + number(lower), "p99_ms");
            if (auto tail = tails.find(pair);
                lower < rate && tail != tails.end() && tail->second > hopeless_ms)
              return true;
          }
          return false;
        };
        auto calls = plan_.is_quick ? 50 : rate;
        at_rate(run + number(rate), scenario, rate, calls, calls / 5, is_hopeless);
        steps_.back().pairs = most_pairs;
      }
  }

  report_plan plan_;
  endpoints& servers_;
  const peers& others_;
  std::vector<step> steps_;
};

} // namespace

endpoints::endpoints(const std::string& mock)
  : description_(mock.empty() ? "chainmail's simulator" : "the peers' C server") {
  if (mock.empty())
    return;
  auto port = free_port();
  mock_.emplace(std::vector<std::string>{mock, std::to_string(port), "0"}, false);
  stopwatch watch;
  while (!answers_at(port)) {
    constexpr double patience_s = 10;
    if (watch.wall_s() > patience_s)
      throw std::runtime_error{mock + " does not answer"};
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  mock_url_ = "http://127.0.0.1:" + std::to_string(port);
}

std::string endpoints::base_url(unsigned latency_ms) {
  if (mock_)
    return mock_url_ + "/l" + std::to_string(latency_ms) + "/v1";
  return simulated_url(latency_ms);
}

const std::string& endpoints::simulated_url(unsigned latency_ms) {
  auto& server = simulated_[latency_ms];
  if (server == nullptr)
    server = std::make_unique<endpoint_process>(std::to_string(latency_ms) + "ms");
  return server->base_url();
}

double endpoints::cpu_s() const {
  auto result = mock_ ? mock_->cpu_s() : 0.0;
  for (const auto& [latency, server] : simulated_)
    result += server->cpu_s();
  return result;
}

std::vector<step> steps_of(const report_plan& plan, endpoints& servers, const peers& others) {
  return list{plan, servers, others}.all();
}

std::vector<size_t> frontier_rates(const report_plan& plan) {
  if (plan.is_quick)
    return {500, 1'000};
  return {1'000, 2'000, 4'000, 6'000, 8'000, 12'000, 16'000, 24'000, 32'000};
}

std::vector<size_t> in_flight_steps(const report_plan& plan) {
  if (plan.is_quick)
    return {1, 10, 100};
  return {1, 10, 100, 1'000, 10'000};
}

} // namespace chainmail::bench

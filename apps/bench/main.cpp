// chainmail-bench: runs a load through the whole stack and says what it cost.
#include "measure.hpp"

#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>

#include <cstdlib>
#include <fstream>
#include <iostream>

using namespace chainmail;

namespace {

struct bench_config : caf::actor_system_config {
  std::string scenario = "fanout";
  std::string base_url;
  size_t calls = 1'000;
  size_t in_flight = 0;
  size_t warm_up = 0;
  std::string json;

  bench_config() {
    opt_group{custom_options_, "global"}
        .add(scenario, "scenario", "what to run: fanout (llm_chain calls through gather)")
        .add(base_url, "base-url", "endpoint, such as http://127.0.0.1:8080/v1 (OPENAI_BASE_URL)")
        .add(calls, "calls", "how many calls to measure")
        .add(in_flight, "in-flight", "how many of them at once (default: all, at most 10000)")
        .add(warm_up, "warm-up", "calls to make before, not measured")
        .add(json, "json", "write the figures to this file");
  }
};

caf::expected<bench::figures> fanout(caf::actor_system& system, const bench_config& config) {
  auto in_flight =
      config.in_flight != 0 ? config.in_flight : std::min(config.calls, capacity_of({}));
  http_options http;
  http.max_in_flight = in_flight;
  auto endpoint = openai_options::from_environment();
  if (!config.base_url.empty())
    endpoint.base_url = config.base_url;
  auto llm = spawn_openai_client(system, spawn_http(system, http), endpoint);
  auto names =
      spawn_llm_chain(system, llm, "What is a good name for a company that makes {product}?");
  caf::scoped_actor self{system};
  auto inputs_for = [](size_t calls) {
    return std::vector<values>(calls, {{"product", "toothpaste"}});
  };
  auto run = [&](std::vector<values> inputs) {
    gather_options options;
    options.max_in_flight = static_cast<uint32_t>(in_flight);
    return gather(self, names, std::move(inputs), options);
  };
  if (config.warm_up > 0)
    if (auto warm = run(inputs_for(config.warm_up)); !warm)
      return std::move(warm.error());
  auto inputs = inputs_for(config.calls);
  bench::stopwatch watch;
  auto outcomes = run(std::move(inputs));
  if (!outcomes)
    return std::move(outcomes.error());
  return bench::summarize(*outcomes, watch);
}

int run_bench(caf::actor_system& system, const bench_config& config) {
  if (config.scenario != "fanout") {
    std::cerr << "error: there is no scenario '" << config.scenario << "'; there is: fanout\n";
    return 2;
  }
  constexpr size_t most = 10'000'000;
  if (config.calls == 0 || config.calls > most || config.warm_up > most) {
    std::cerr << "error: --calls must be between 1 and 10000000, --warm-up at most that\n";
    return 2;
  }
  auto* from_environment = std::getenv("OPENAI_BASE_URL"); // NOLINT(concurrency-mt-unsafe)
  if (config.base_url.empty() && (from_environment == nullptr || *from_environment == '\0')) {
    std::cerr << "error: name the endpoint to load, with --base-url or OPENAI_BASE_URL\n";
    return 2;
  }
  auto figures = fanout(system, config);
  if (!figures) {
    std::cerr << "error: " << describe(figures.error()) << '\n';
    return 1;
  }
  auto report = to_json(*figures);
  std::cout << report << '\n';
  if (!figures->first_error.empty())
    std::cerr << "first error: " << figures->first_error << '\n';
  if (!config.json.empty() && !(std::ofstream{config.json} << report << '\n')) {
    std::cerr << "error: " << config.json << " cannot be written\n";
    return 1;
  }
  return figures->errors == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  raise_open_file_limit();
  try {
    return run_main<bench_config>({argv + 1, argv + argc}, run_bench);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}

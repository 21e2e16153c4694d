// chainmail-bench: runs a load through the whole stack and says what it cost.
#include "measure.hpp"
#include "scenarios.hpp"

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
  size_t chains = 10;
  size_t documents = 40;
  std::string json;

  bench_config() {
    opt_group{custom_options_, "global"}
        .add(scenario, "scenario",
            "what to run: fanout (llm_chain calls through gather), map_reduce, chat_vector_db")
        .add(base_url, "base-url", "endpoint, such as http://127.0.0.1:8080/v1 (OPENAI_BASE_URL)")
        .add(calls, "calls", "fanout: how many calls to measure")
        .add(in_flight, "in-flight",
            "fanout: how many of them at once (default: all, at most 10000)")
        .add(warm_up, "warm-up", "fanout: calls to make before, not measured")
        .add(chains, "chains", "the others: how many chain calls to gather (default: 10)")
        .add(documents, "documents", "the others: how many documents there are (default: 40)")
        .add(json, "json", "write the figures to this file");
  }
};

using scenario_function = caf::expected<bench::figures>(caf::actor_system&, const bench::load&);

scenario_function* find_scenario(const std::string& name) {
  if (name == "fanout")
    return bench::fanout;
  if (name == "map_reduce")
    return bench::map_reduce;
  return name == "chat_vector_db" ? bench::chat_vector_db : nullptr;
}

bench::load to_load(const bench_config& config) {
  bench::load result;
  result.endpoint = openai_options::from_environment();
  if (!config.base_url.empty())
    result.endpoint.base_url = config.base_url;
  result.calls = config.calls;
  result.in_flight =
      config.in_flight != 0 ? config.in_flight : std::min(config.calls, capacity_of({}));
  result.warm_up = config.warm_up;
  result.chains = config.chains;
  result.documents = config.documents;
  return result;
}

int run_bench(caf::actor_system& system, const bench_config& config) {
  auto* scenario = find_scenario(config.scenario);
  if (scenario == nullptr) {
    std::cerr << "error: there is no scenario '" << config.scenario
              << "'; there are: fanout, map_reduce, chat_vector_db\n";
    return 2;
  }
  constexpr size_t most = 10'000'000;
  if (config.calls == 0 || config.calls > most || config.warm_up > most) {
    std::cerr << "error: --calls must be between 1 and 10000000, --warm-up at most that\n";
    return 2;
  }
  constexpr size_t most_chains = 100'000;
  if (config.chains == 0 || config.chains > most_chains || config.documents == 0 ||
      config.documents > most_chains) {
    std::cerr << "error: --chains and --documents must be between 1 and 100000\n";
    return 2;
  }
  auto* from_environment = std::getenv("OPENAI_BASE_URL"); // NOLINT(concurrency-mt-unsafe)
  if (config.base_url.empty() && (from_environment == nullptr || *from_environment == '\0')) {
    std::cerr << "error: name the endpoint to load, with --base-url or OPENAI_BASE_URL\n";
    return 2;
  }
  auto figures = scenario(system, to_load(config));
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

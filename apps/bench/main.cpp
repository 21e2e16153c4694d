// chainmail-bench: runs a load through the whole stack and says what it cost.
#include "instructions.hpp"
#include "measure.hpp"
#include "report_run.hpp"
#include "scenarios.hpp"

#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>

using namespace chainmail;

namespace {

using scenario_function = caf::expected<bench::report> (*)(caf::actor_system&, const bench::load&);

/// Runs one that demands nothing but that no call fails.
template <caf::expected<bench::figures> (*Run)(caf::actor_system&, const bench::load&)>
caf::expected<bench::report> measure(caf::actor_system& system, const bench::load& how_much) {
  auto figures = Run(system, how_much);
  if (!figures)
    return std::move(figures.error());
  bench::report result{to_json(*figures), figures->first_error, {}};
  if (figures->errors > 0)
    result.broken.push_back(std::to_string(figures->errors) + " calls ended in an error");
  return result;
}

enum class endpoint_need { none, required, optional };

struct scenario {
  const char* name;
  scenario_function run;
  endpoint_need endpoint;
  /// When nothing else is said. in_flight 0: all calls at once.
  size_t calls;
  size_t in_flight;
  /// 0 where it has no meaning, or is found out.
  size_t per_second = 0;
};

constexpr std::array scenarios = {
    scenario{"fanout", measure<bench::fanout>, endpoint_need::required, 1'000, 0},
    scenario{"chain_only", measure<bench::chain_only>, endpoint_need::none, 200'000, 1'000},
    scenario{"engine", measure<bench::engine>, endpoint_need::required, 20'000, 100},
    scenario{"rate", bench::rate, endpoint_need::required, 5'000, 0, 1'000},
    scenario{"plain_curl", bench::plain_curl, endpoint_need::required, 5'000, 0, 1'000},
    scenario{"map_reduce", measure<bench::map_reduce>, endpoint_need::required, 1'000, 0},
    scenario{"chat_vector_db", measure<bench::chat_vector_db>, endpoint_need::required, 1'000, 0},
    scenario{"limiter", measure<bench::limiter>, endpoint_need::none, 200'000, 10'000},
    scenario{"waiting", bench::waiting, endpoint_need::none, 10'000, 4'000},
    scenario{"soak", bench::soak, endpoint_need::optional, 1, 0},
    scenario{"start_up", bench::start_up, endpoint_need::none, 20, 1},
    scenario{"chaos", bench::chaos, endpoint_need::none, 5'000, 200},
    scenario{"limits", bench::limits, endpoint_need::none, 2'000, 0},
    scenario{"two_429s", bench::two_429s, endpoint_need::none, 1, 1},
    scenario{"outage", bench::outage, endpoint_need::none, 1, 1},
    scenario{"hedging", bench::hedging, endpoint_need::none, 5'000, 100},
    scenario{"streams", bench::streams, endpoint_need::none, 1'000, 0},
    scenario{"remote", bench::remote, endpoint_need::none, 100'000, 256},
};

/// Other processes of those.
constexpr std::array helpers = {
    scenario{"remote_node", bench::remote_node, endpoint_need::none, 1, 1},
    scenario{"endpoint", bench::endpoint, endpoint_need::none, 1, 1},
    scenario{"one_call", bench::one_call, endpoint_need::required, 1, 1},
};

const scenario* find_scenario(std::string_view name) {
  for (const auto& each : scenarios)
    if (each.name == name)
      return &each;
  for (const auto& each : helpers)
    if (each.name == name)
      return &each;
  return nullptr;
}

std::string scenario_names() {
  std::string result;
  for (const auto& each : scenarios)
    result += (result.empty() ? "" : ", ") + std::string{each.name};
  return result;
}

constexpr auto usual = std::numeric_limits<size_t>::max();

struct bench_config : caf::actor_system_config {
  std::string scenario = "fanout";
  std::string base_url;
  size_t calls = usual;
  size_t in_flight = 0;
  size_t per_second = usual;
  bench::load load;
  llm_settings llm;
  std::string json;
  std::string report;
  size_t pairs = 5;
  bool is_quick = false;
  std::string peers;
  bool has_soak = false;
  std::string check;
  std::string counts = "apps/bench/instructions.tsv";

  bench_config() {
    opt_group{custom_options_, "global"}
        .add(scenario, "scenario", with_default("what to run: " + scenario_names(), scenario))
        .add(base_url, "base-url",
            "fanout, engine, rate, plain_curl, map_reduce, chat_vector_db, soak: endpoint, such as "
            "http://127.0.0.1:8080/v1; the others simulate theirs (default: OPENAI_BASE_URL; for "
            "soak "
            "a simulated one)")
        .add(calls, "calls", "how many calls to measure (default: the scenario's)")
        .add(in_flight, "in-flight",
            "how many of them at once, at most 10000; limiter, waiting: how many wait (default: "
            "the "
            "scenario's)")
        .add(load.warm_up, "warm-up",
            with_default("fanout, chain_only, engine, rate, plain_curl: calls to make before, not "
                         "measured",
                load.warm_up))
        .add(per_second, "rate",
            "rate, plain_curl, soak: calls a second; 0 with plain_curl: as many as go (default: "
            "1000; "
            "for soak half of the best rate)")
        .add(load.duration, "duration", with_default("soak: how long", load.duration))
        .add(load.latency, "latency",
            with_default("soak: how long the simulated endpoint takes", load.latency))
        .add(load.chains, "chains",
            with_default("map_reduce, chat_vector_db: how many chain calls to gather", load.chains))
        .add(load.documents, "documents",
            with_default("the same: how many documents there are", load.documents))
        .add(load.requests_per_minute, "requests-per-minute",
            with_default("limits: what the endpoint allows", load.requests_per_minute))
        .add(load.tokens_per_minute, "tokens-per-minute",
            with_default("limits: what the endpoint allows", load.tokens_per_minute))
        .add(load.learn, "learn", "limits: learn them from the endpoint's headers")
        .add(load.words, "words", with_default("limits: mean length of the prompts", load.words))
        .add(load.outage, "outage",
            with_default("outage: how long the endpoint is down", load.outage))
        .add(json, "json", "write the figures to this file")
        .add(report, "report",
            "run all that docs/performance.md speaks of, and write one page of HTML to this file")
        .add(pairs, "pairs", with_default("report: how often to run everything", pairs))
        .add(is_quick, "quick", "report: small loads, to see that it works")
        .add(peers, "peers", "report: folder with the sources of programs to compare with")
        .add(has_soak, "soak", "report: a soak of --duration, too")
        .add(check, "check",
            "count the instructions of a call with valgrind, and compare with the committed "
            "counts; "
            "--check=update writes those")
        .add(counts, "counts", with_default("check: the file of the committed counts", counts));
    llm.add_to(custom_options_);
  }
};

/// With CAF's middleman, which costs a thread.
struct cluster_bench_config : bench_config {
  cluster_bench_config() { load_cluster(*this); }
};

int refuse(const std::string& sentence) {
  std::cerr << "error: " << sentence << '\n';
  return 2;
}

bool has_endpoint(const bench_config& config) {
  auto* from_environment = std::getenv("OPENAI_BASE_URL"); // NOLINT(concurrency-mt-unsafe)
  return !config.base_url.empty() || !config.llm.base_url.empty() ||
         (from_environment != nullptr && *from_environment != '\0');
}

/// Why the options make no sense, or nothing.
std::string complaint_about(const bench_config& config, const scenario& what) {
  constexpr size_t most = 10'000'000;
  if (config.calls == 0 || (config.calls > most && config.calls != usual) ||
      config.load.warm_up > most)
    return "--calls must be between 1 and 10000000, --warm-up at most that";
  constexpr size_t most_per_second = 1'000'000;
  if (config.per_second != usual &&
      (config.per_second > most_per_second ||
          (config.per_second == 0 && config.scenario != "plain_curl")))
    return "--rate must be between 1 and 1000000";
  if (config.load.duration < std::chrono::seconds{1} ||
      config.load.duration > std::chrono::hours{100})
    return "--duration must be between 1s and 100h";
  constexpr size_t most_chains = 100'000;
  if (config.load.chains == 0 || config.load.chains > most_chains || config.load.documents == 0 ||
      config.load.documents > most_chains)
    return "--chains and --documents must be between 1 and 100000";
  if (config.load.words == 0 || config.load.words > most_chains)
    return "--words must be between 1 and 100000";
  if (config.load.requests_per_minute == 0 || config.load.requests_per_minute > most ||
      config.load.tokens_per_minute == 0 || config.load.tokens_per_minute > most)
    return "--requests-per-minute and --tokens-per-minute must be between 1 and 10000000";
  if (config.load.outage < std::chrono::seconds{1} || config.load.outage > std::chrono::hours{1})
    return "--outage must be between 1s and 60min";
  if (what.endpoint == endpoint_need::required && !has_endpoint(config))
    return "name the endpoint to load, with --base-url or OPENAI_BASE_URL";
  if (what.endpoint == endpoint_need::none && !config.base_url.empty())
    return std::string{what.name} + " simulates its endpoint, and takes no --base-url";
  return {};
}

caf::expected<bench::load> to_load(const bench_config& config, const scenario& what) {
  auto result = config.load;
  if (!config.base_url.empty())
    result.llm.endpoint.base_url = config.base_url;
  if (auto error = config.llm.apply_to(result.llm))
    return error;
  result.calls = config.calls == usual ? what.calls : config.calls;
  result.in_flight = config.in_flight != 0 ? config.in_flight : what.in_flight;
  auto per_second = config.per_second == usual ? what.per_second : config.per_second;
  result.per_second = static_cast<double>(per_second);
  result.has_endpoint = has_endpoint(config);
  if (result.in_flight == 0)
    result.in_flight = std::min(result.calls, capacity_of({}));
  return result;
}

int run_report(const bench_config& config) {
  constexpr size_t most_pairs = 1'000;
  if (config.pairs == 0 || config.pairs > most_pairs)
    return refuse("--pairs must be between 1 and 1000");
  if (!config.peers.empty() && !std::filesystem::is_directory(config.peers))
    return refuse("there is no folder " + config.peers + " with peers");
  auto seconds = std::chrono::ceil<std::chrono::seconds>(config.load.duration);
  return bench::write_report({config.report, config.pairs, config.is_quick, config.peers,
      config.has_soak, std::to_string(seconds.count()) + "s"});
}

int run_bench(caf::actor_system& system, const bench_config& config) {
  if (!config.report.empty())
    return run_report(config);
  if (!config.check.empty())
    return bench::check_instructions(config.counts, config.check);
  const auto* what = find_scenario(config.scenario);
  if (what == nullptr)
    return refuse("there is no scenario '" + config.scenario + "'; there are: " + scenario_names());
  if (auto complaint = complaint_about(config, *what); !complaint.empty())
    return refuse(complaint);
  auto load = to_load(config, *what);
  if (!load)
    return refuse(sentence_of(load.error()));
  auto report = what->run(system, *load);
  if (!report) {
    std::cerr << "error: " << describe(report.error()) << '\n';
    return 1;
  }
  std::cout << report->json << '\n';
  if (!report->first_error.empty())
    std::cerr << "first error: " << report->first_error << '\n';
  for (const auto& sentence : report->broken)
    std::cerr << "failed: " << sentence << '\n';
  if (!config.json.empty() && !(std::ofstream{config.json} << report->json << '\n')) {
    std::cerr << "error: " << config.json << " cannot be written\n";
    return 1;
  }
  return report->broken.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  raise_open_file_limit();
  try {
    std::vector<std::string> arguments{argv + 1, argv + argc};
    std::ranges::replace(arguments, std::string{"--check"}, std::string{"--check=compare"});
    auto is_remote = std::ranges::any_of(
        arguments, [](const auto& x) { return x.starts_with("--scenario=remote"); });
    return is_remote ? run_main<cluster_bench_config>(std::move(arguments), run_bench)
                     : run_main<bench_config>(std::move(arguments), run_bench);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}

// One call in twenty is slow: a second one shortens the wait, for few more requests.
#include "bad_days.hpp"
#include "scenarios.hpp"

#include <chainmail/chainmail.hpp>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

constexpr double least_gain = 5;
constexpr double most_extra = 0.1;

struct measured {
  call_totals totals;
  uint64_t requests = 0;
  std::string first_error;
};

measured run_calls(caf::actor_system& system, const load& how_much, bool hedge) {
  simulator::options endpoint;
  endpoint.latency = 20ms;
  endpoint.sigma = 0.2;
  endpoint.slow = {0.05, 20};
  endpoint.seed = 1;
  simulator::server server{endpoint};
  auto config = config_for(server);
  if (hedge)
    config.hedge.emplace();
  call_run run{system, spawn_llm(system, spawn_http(system), config),
      numbered_calls(how_much.calls, how_much.in_flight)};
  run.wait();
  auto totals = sum_up(run.finish());
  return {totals, server.snapshot().requests, run.first_error()};
}

} // namespace

caf::expected<report> hedging(caf::actor_system& system, const load& how_much) {
  auto without = run_calls(system, how_much, false);
  auto with = run_calls(system, how_much, true);
  auto gain = without.totals.p99_ms / with.totals.p99_ms;
  auto calls = static_cast<double>(how_much.calls);
  auto extra = static_cast<double>(with.requests) / calls - 1;
  report_writer result{"hedging"};
  add_totals(result, with.totals, how_much.calls);
  result.add("p50_ms_without", without.totals.p50_ms)
      .add("p99_ms_without", without.totals.p99_ms)
      .add("gain", gain)
      .add("requests", with.requests)
      .add("extra", extra);
  auto errors = without.totals.all_errors() + with.totals.all_errors();
  result.demand(errors == 0, std::to_string(errors) + " calls ended in an error");
  result.demand(gain >= least_gain,
      "p99 fell only " + digits(gain) + " times, not " + digits(least_gain) + " times");
  result.demand(extra <= most_extra,
      "hedging cost " + digits(extra) + " more requests a call, not at most " + digits(most_extra));
  return result.finish(with.first_error.empty() ? without.first_error : with.first_error);
}

} // namespace chainmail::bench

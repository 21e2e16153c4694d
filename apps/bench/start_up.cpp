// How long a program takes that makes one call, and the small programs of the bench.
#include "processes.hpp"
#include "scenarios.hpp"
#include "stack.hpp"

#include <algorithm>
#include <iostream>
#include <simulator/simulator.hpp>

namespace chainmail::bench {

caf::expected<report> start_up(caf::actor_system&, const load& how_much) {
  constexpr double most_ms = 25;
  endpoint_process server{"0ms"};
  auto program = this_program({"--scenario=one_call", "--base-url=" + server.base_url()});
  std::vector<double> took_ms;
  std::string first_error;
  uint64_t errors = 0;
  for (size_t i = 0; i < how_much.calls; ++i) {
    auto ended = run_process(program);
    took_ms.push_back(ended.wall_s * 1e3);
    if (ended.status != 0 && errors++ == 0)
      first_error = ended.err;
  }
  auto median = percentile(took_ms, 0.5);
  report_writer result{"start_up"};
  result.add("calls", static_cast<uint64_t>(how_much.calls))
      .add("errors", errors)
      .add("p50_ms", median)
      .add("min_ms", std::ranges::min(took_ms))
      .add("max_ms", std::ranges::max(took_ms));
  result.demand(errors == 0, std::to_string(errors) + " programs did not end well");
  result.demand(median <= most_ms,
      "a program with one call took " + std::to_string(median) + " ms, not at most 25");
  return result.finish(first_error);
}

caf::expected<report> one_call(caf::actor_system& system, const load& how_much) {
  stack with{system, how_much, capacity_of({})};
  auto chain = spawn_llm_chain(system, with.llm, name_prompt);
  auto text = run(with.self, chain, "toothpaste");
  if (!text)
    return std::move(text.error());
  return report{"{}", {}, {}};
}

caf::expected<report> endpoint(caf::actor_system&, const load& how_much) {
  simulator::options options;
  options.latency = std::chrono::duration_cast<std::chrono::microseconds>(how_much.latency);
  simulator::server server{options};
  std::cout << server.base_url() << std::endl;
  while (std::cin.get() != std::istream::traits_type::eof()) // until the other end is closed
    ;
  return report{"{}", {}, {}};
}

} // namespace chainmail::bench

// What another node costs: the same calls to a scripted LLM here, and to one in another process.
#include "bad_days.hpp"
#include "processes.hpp"
#include "scenarios.hpp"

#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>

#include <algorithm>
#include <iostream>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

/// What the issue of this scenario asks of a loopback on two cores.
constexpr double least_remote_rate = 25'000;
constexpr double most_added_ms = 0.5;

constexpr size_t single_calls = 2'000;
constexpr size_t remote_rounds = 5;

llm_actor spawn_echo(caf::actor_system& system) {
  return spawn_scripted_llm(system, [](const llm_request& request) {
    return scripted_reply{request.prompts.front(), {}, {}};
  });
}

/// Milliseconds of calls, one after the other.
caf::expected<std::vector<double>> latencies(caf::scoped_actor& self, const llm_actor& llm) {
  std::vector<double> result;
  for (size_t i = 0; i < single_calls; ++i) {
    stopwatch watch;
    if (auto answer = generate(self, llm, "What is a good name?"); !answer)
      return std::move(answer.error());
    result.push_back(1e3 * watch.wall_s());
  }
  return result;
}

std::string prompt_of(size_t number) {
  return "What is a good name for a company that makes " + std::to_string(number) + "?";
}

struct crowd {
  std::vector<double> rates;
  size_t wrong = 0;
  std::string first_error;

  void check(const std::vector<outcome>& outcomes) {
    for (size_t i = 0; i < outcomes.size(); ++i) {
      const auto& each = outcomes[i];
      const auto* text = each.ok() ? find_text(each.result, "text") : nullptr;
      if (text != nullptr && *text == prompt_of(i))
        continue;
      ++wrong;
      if (first_error.empty())
        first_error = each.ok() ? "a wrong text" : describe(each.error);
    }
  }
};

/// All calls at once, several times.
caf::expected<crowd> run_crowds(
    caf::scoped_actor& self, const llm_actor& llm, const load& how_much) {
  auto chain =
      spawn_llm_chain(self->system(), llm, "What is a good name for a company that makes {x}?");
  gather_options options;
  options.max_in_flight = static_cast<uint32_t>(how_much.in_flight);
  crowd result;
  for (size_t round = 0; round < remote_rounds; ++round) {
    std::vector<values> inputs;
    for (size_t i = 0; i < how_much.calls; ++i)
      inputs.push_back({{"x", std::to_string(i)}});
    stopwatch watch;
    auto outcomes = gather(self, chain, std::move(inputs), options);
    if (!outcomes)
      return std::move(outcomes.error());
    result.rates.push_back(static_cast<double>(how_much.calls) / watch.wall_s());
    result.check(*outcomes);
  }
  return result;
}

} // namespace

caf::expected<report> remote(caf::actor_system& system, const load& how_much) {
  background_process other{this_program({"--scenario=remote_node"})};
  node_options options;
  options.join = {"127.0.0.1:" + other.first_line()};
  node here{system, options};
  auto far = here.find<llm_actor>("llm");
  caf::scoped_actor self{system};
  if (auto warm = latencies(self, far); !warm)
    return std::move(warm.error());
  auto remote_ms = latencies(self, far);
  auto local_ms = latencies(self, spawn_echo(system));
  if (!remote_ms || !local_ms)
    return std::move(remote_ms ? local_ms.error() : remote_ms.error());
  auto all = run_crowds(self, far, how_much);
  if (!all)
    return std::move(all.error());
  auto added = percentile(*remote_ms, 0.5) - percentile(*local_ms, 0.5);
  auto rate = percentile(all->rates, 0.5);
  report_writer result{"remote"};
  result.add("calls", static_cast<uint64_t>(how_much.calls * remote_rounds))
      .add("in_flight", static_cast<uint64_t>(how_much.in_flight))
      .add("wrong", static_cast<uint64_t>(all->wrong))
      .add("calls_per_s", rate)
      .add("calls_per_s_worst_round", percentile(all->rates, 0))
      .add("remote_p50_ms", percentile(*remote_ms, 0.5))
      .add("remote_p99_ms", percentile(*remote_ms, 0.99))
      .add("local_p50_ms", percentile(*local_ms, 0.5))
      .add("added_p50_ms", added);
  result.demand(
      all->wrong == 0, std::to_string(all->wrong) + " calls had no answer, or a wrong one");
  result.demand(rate >= least_remote_rate, "only " + digits(rate) + " calls a second, not 25000");
  result.demand(added < most_added_ms, "a hop adds " + digits(added) + " ms, not less than 0.5");
  return result.finish(all->first_error);
}

caf::expected<report> remote_node(caf::actor_system& system, const load&) {
  node_options options;
  options.listen = "127.0.0.1:0";
  node here{system, options};
  here.offer("llm", spawn_echo(system), {.capacity = 100'000});
  std::cout << here.port() << std::endl;
  while (std::cin.get() != std::istream::traits_type::eof()) // until the other end is closed
    ;
  return report{"{}", {}, {}};
}

} // namespace chainmail::bench

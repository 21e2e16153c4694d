// Loads without a network: what the actors cost by themselves.
#include "closed_loop.hpp"
#include "scenarios.hpp"
#include "stack.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <iterator>

namespace chainmail::bench {

namespace {

llm_actor::behavior_type instant_llm(llm_actor::pointer) {
  llm_result answer;
  answer.completions.push_back({"BrightSmile Toothpaste Company", "stop", {}});
  answer.usage = {13, 9, 22};
  answer.model = "instant";
  return {
      [answer](generate_atom, const llm_request&, const call_context&) { return answer; },
      [](stream_atom, const llm_request&, const sink_actor&,
          const call_context&) -> caf::result<llm_result> {
        return make_failure(errc::unsupported, "the LLM of this bench does not stream");
      },
      [](cancel_atom, const call_id&) {},
  };
}

/// A gather on each chain at once.
caf::expected<std::vector<outcome>> gather_on(caf::scoped_actor& self,
    const std::vector<chain_actor>& chains, std::vector<std::vector<values>> inputs,
    const gather_options& options) {
  auto start = [&](size_t i) {
    return gather(self.ptr(), chains[i], std::move(inputs[i]), options, call_context{});
  };
  std::vector<decltype(start(0))> gathers;
  for (size_t i = 0; i < chains.size(); ++i)
    gathers.push_back(start(i));
  caf::expected<std::vector<outcome>> result{std::vector<outcome>{}};
  for (auto& each : gathers)
    std::move(each).receive(
        [&](std::vector<outcome>& outcomes) {
          if (result)
            std::ranges::move(outcomes, std::back_inserter(*result));
        },
        [&](caf::error& why) { result = std::move(why); });
  return result;
}

} // namespace

caf::expected<figures> chain_only(caf::actor_system& system, const load& how_much) {
  caf::scoped_actor self{system};
  std::vector<chain_actor> chains(
      caf::get_or(system.config(), "caf.scheduler.max-threads", size_t{1}));
  for (auto& chain : chains)
    chain = spawn_llm_chain(system, system.spawn(instant_llm), name_prompt);
  auto share = [&](size_t of, size_t i) {
    return of * (i + 1) / chains.size() - of * i / chains.size();
  };
  auto inputs = [&](size_t calls) {
    std::vector<std::vector<values>> result;
    for (size_t i = 0; i < chains.size(); ++i)
      result.emplace_back(share(calls, i), name_inputs());
    return result;
  };
  gather_options options;
  options.max_in_flight =
      static_cast<uint32_t>(std::max<size_t>(how_much.in_flight / chains.size(), 1));
  if (how_much.warm_up > 0)
    if (auto warm = gather_on(self, chains, inputs(how_much.warm_up), options); !warm)
      return std::move(warm.error());
  auto all = inputs(how_much.calls);
  stopwatch watch;
  auto outcomes = gather_on(self, chains, std::move(all), options);
  if (!outcomes)
    return std::move(outcomes.error());
  return summarize(*outcomes, watch);
}

caf::expected<figures> limiter(caf::actor_system& system, const load& how_much) {
  constexpr uint64_t permits_out = 100;
  rate_limiter_options options;
  options.defaults.max_in_flight = permits_out;
  auto limiter = spawn_rate_limiter(system, options);
  loop_plan plan;
  plan.to = caf::actor_cast<caf::actor>(limiter);
  plan.calls = how_much.calls;
  plan.in_flight = how_much.in_flight + permits_out;
  plan.request = [](const call_context& context) {
    return caf::make_message(acquire_atom_v, demand{"bench", 100, false}, context);
  };
  plan.check = [limiter](const caf::message& reply) -> caf::error {
    auto granted = caf::make_const_typed_message_view<permit>(reply);
    if (!granted)
      return make_failure(errc::internal, "the limiter answered with something else");
    compat::anon_send(limiter, settle_atom_v, caf::get<0>(granted).id, permit_report{});
    return {};
  };
  return run_loop(system, plan);
}

} // namespace chainmail::bench

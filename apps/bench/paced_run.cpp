// A thread that knows the time, and the actor that it tells to call.
#include "paced_run.hpp"

#include "stack.hpp"

#include <chainmail/caf/caller_runs.hpp>
#include <chainmail/caf/reply_table.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <unordered_map>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

/// Between two wake-ups of the thread, however high the rate.
constexpr auto shortest_sleep = 100us;

/// Of each call.
constexpr auto paced_timeout = 60s;

/// Makes the calls up to a number.
using paced_caller_actor = caf::typed_actor<caf::result<void>(call_atom, uint64_t)>;

struct run_state {
  chain_actor chain;
  pace plan;
  /// The caller's until it has ended.
  paced_figures found;
  std::unique_ptr<stopwatch> watch;
  std::atomic<uint64_t> answered = 0;
};

struct paced_caller_state {
  static constexpr const char* name = "chainmail.bench.paced_caller";

  using actor_type = hub_actor<paced_caller_actor, paced_caller_state>;

  struct waiting {
    uint64_t index;
    pace::clock::time_point called;
  };

  paced_caller_state(actor_type* self_ptr, std::shared_ptr<run_state> with)
    : self(self_ptr), run(std::move(with)) {}

  hub<paced_caller_actor>::behavior_type make_behavior() {
    return {
        [this](call_atom, uint64_t until) {
          while (called < until)
            call(called++);
        },
        [this](reply_atom, uint64_t id, caf::message& reply) { note(id, reply); },
    };
  }

  void call(uint64_t index) {
    if (index == run->plan.warm_up)
      run->watch = std::make_unique<stopwatch>();
    auto id = self->new_request_id(caf::message_priority::normal);
    pending.emplace(id.response_id().integer_value(), waiting{index, pace::clock::now()});
    caf::actor_cast<caf::abstract_actor*>(run->chain)
        ->enqueue(compat::make_element(caf::strong_actor_ptr{self->ctrl()}, id, call_atom_v,
                      name_inputs(), make_context(self, paced_timeout)),
            self->context());
  }

  void note(uint64_t id, caf::message& reply) {
    auto found = pending.extract(id);
    if (found.empty())
      return;
    auto& to = run->found;
    to.note(run->plan, found.mapped().index, found.mapped().called);
    if (auto error = caf::make_const_typed_message_view<caf::error>(reply);
        error && to.errors++ == 0)
      to.first_error = describe(to_failure(caf::get<0>(error), "the chain"));
    if (++run->answered == run->plan.all_calls()) {
      to.wall_s = run->watch->wall_s();
      to.cpu_s = run->watch->cpu_s();
    }
  }

  actor_type* self;
  std::shared_ptr<run_state> run;
  uint64_t called = 0;
  std::unordered_map<uint64_t, waiting> pending;
};

} // namespace

paced_figures run_at_pace(caf::actor_system& system, const chain_actor& chain, pace plan,
    const std::function<void()>& every_second) {
  auto run = std::make_shared<run_state>();
  run->chain = chain;
  caf::scoped_actor self{system};
  caller_runs runs{system};
  auto caller =
      caf::actor_cast<caf::actor>(system.spawn<light_actor<paced_caller_state::actor_type>>(run));
  wake_precisely();
  plan.begin = pace::clock::now();
  run->plan = plan;
  auto next_second = plan.begin;
  for (uint64_t called = 0; called < plan.all_calls();) {
    auto now = pace::clock::now();
    if (auto due = plan.calls_due(now); due > called)
      runs(self.ptr(), [&] { compat::send(self.ptr(), caller, call_atom_v, called = due); });
    if (every_second && now >= next_second) {
      next_second += 1s;
      every_second();
    }
    std::this_thread::sleep_until(std::max(plan.due(called), now + shortest_sleep));
  }
  while (run->answered < plan.all_calls())
    std::this_thread::sleep_for(1ms);
  self->send_exit(caller, caf::exit_reason::user_shutdown);
  self->wait_for(caller);
  run->chain = nullptr;
  return std::move(run->found);
}

caf::expected<report> rate(caf::actor_system& system, const load& how_much) {
  stack with{system, how_much, how_much.in_flight};
  auto chain = spawn_llm_chain(system, with.llm, name_prompt);
  pace plan{how_much.per_second, how_much.warm_up, how_much.calls};
  auto found = run_at_pace(system, chain, plan);
  return paced_report("rate", plan, found).finish(found.first_error);
}

} // namespace chainmail::bench

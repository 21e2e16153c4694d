// The actor that asks again as soon as it is answered.
#include "closed_loop.hpp"

#include "latency_histogram.hpp"

#include <chainmail/caf/any_hub.hpp>
#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_message_view.hpp>

#include <memory>
#include <unordered_map>

namespace chainmail::bench {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto loop_timeout = std::chrono::seconds{120};

/// The actor's until it has ended.
struct loop_state {
  loop_plan plan;
  figures found;
  latency_histogram latencies;
};

struct asker_state {
  static constexpr const char* name = "chainmail.bench.asker";

  asker_state(any_hub* self_ptr, std::shared_ptr<loop_state> with)
    : self(self_ptr), loop(std::move(with)) {}

  caf::behavior make_behavior() {
    while (asked < std::min(loop->plan.in_flight, loop->plan.calls))
      ask();
    return {[this](reply_atom, uint64_t id, caf::message& reply) { note(id, reply); }};
  }

  void ask() {
    ++asked;
    auto content = loop->plan.request(make_context(self, loop_timeout));
    auto now = clock::now();
    pending.emplace(self->ask(loop->plan.to, std::move(content)), now);
  }

  void note(uint64_t id, caf::message& reply) {
    auto found = pending.extract(id);
    if (found.empty())
      return;
    auto error = reply.match_elements<caf::error>()
                     ? to_failure(reply.get_as<caf::error>(0), "the actor")
                     : loop->plan.check(reply);
    if (!error)
      loop->latencies.add(clock::now() - found.mapped());
    else if (loop->found.errors++ == 0)
      loop->found.first_error = describe(error);
    if (asked < loop->plan.calls)
      ask();
    else if (pending.empty())
      self->quit();
  }

  any_hub* self;
  std::shared_ptr<loop_state> loop;
  size_t asked = 0;
  std::unordered_map<uint64_t, clock::time_point> pending;
};

} // namespace

figures run_loop(caf::actor_system& system, const loop_plan& plan) {
  auto loop = std::make_shared<loop_state>();
  loop->plan = plan;
  caf::scoped_actor self{system};
  stopwatch watch;
  self->wait_for(system.spawn<caf::stateful_actor<asker_state, any_hub>>(loop));
  auto result = std::move(loop->found);
  note_cost(result, plan.calls, watch);
  result.p50_ms = loop->latencies.percentile_ms(0.5);
  result.p99_ms = loop->latencies.percentile_ms(0.99);
  return result;
}

} // namespace chainmail::bench

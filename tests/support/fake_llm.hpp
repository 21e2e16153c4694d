// An LLM whose replies a test's function makes from the request and its context, and which keeps
// what it was asked and told to cancel. A scripted LLM does its streams.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/llm/scripted_llm.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace chainmail::test {

struct fake_llm_script {
  struct call {
    llm_request request;
    call_context context;
    deadline::clock::time_point at;
    bool is_stream = false;
  };

  std::vector<call> calls;
  std::vector<call_id> cancelled;
  /// Of the call last in `calls`. An infinite delay is ended by a cancel only.
  std::function<scripted_reply()> reply = [] { return scripted_reply{"fine", {}, {}}; };
  llm_result like;
};

struct fake_llm_state {
  using promise = caf::typed_response_promise<llm_result>;

  fake_llm_state(llm_actor::pointer self_ptr, std::shared_ptr<fake_llm_script> chosen)
    : self(self_ptr),
      script(std::move(chosen)),
      streamer(spawn_scripted_llm(
          self->system(), [script = script](const llm_request&) { return script->reply(); })) {
    self->link_to(streamer);
  }

  llm_actor::behavior_type make_behavior() {
    return {
        [this](generate_atom, const llm_request& request, const call_context& context) {
          return generate(request, context);
        },
        [this](stream_atom, const llm_request& request, const sink_actor& sink,
            const call_context& context) -> caf::result<llm_result> {
          script->calls.push_back({request, context, self->clock().now(), true});
          return compat::delegate(self, streamer, stream_atom_v, request, sink, context);
        },
        [this](cancel_atom, const call_id& id) {
          script->cancelled.push_back(id);
          compat::send(self, streamer, cancel_atom_v, id);
          for (auto& [held_id, caller] : held)
            if (caller.pending() && held_id.root == id.root && (id.step == 0 || held_id == id))
              caller.deliver(make_failure(errc::cancelled, "the fake was told to"));
        },
    };
  }

  caf::result<llm_result> generate(const llm_request& request, const call_context& context) {
    script->calls.push_back({request, context, self->clock().now()});
    auto reply = script->reply();
    auto caller = self->make_response_promise<llm_result>();
    auto answer = [caller, reply, result = script->like]() mutable {
      if (!caller.pending())
        return;
      if (reply.error)
        return caller.deliver(reply.error);
      result.completions.assign(1, {reply.text, "stop"});
      caller.deliver(std::move(result));
    };
    if (reply.delay.count() == 0) {
      answer();
      return caller;
    }
    // A promise holds its requester, even when it was kept.
    std::erase_if(held, [](const auto& x) { return !x.second.pending(); });
    held.emplace_back(context.id, caller);
    if (reply.delay != caf::timespan{caf::infinite})
      compat::run_at(self, self->clock().now() + reply.delay,
          [keep = llm_actor{self}, answer]() mutable { answer(); });
    return caller;
  }

  llm_actor::pointer self;
  std::shared_ptr<fake_llm_script> script;
  llm_actor streamer;
  std::vector<std::pair<call_id, promise>> held;
};

inline llm_actor spawn_fake_llm(
    caf::actor_system& system, std::shared_ptr<fake_llm_script> script) {
  return system.spawn<caf::stateful_actor<fake_llm_state, llm_actor::impl>>(std::move(script));
}

} // namespace chainmail::test

// An LLM that keeps every request until the test answers it.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <string>
#include <vector>

namespace chainmail::test {

/// The stub's interface: an LLM, and the order to answer one of its requests.
using stub_llm_actor = llm_actor::extend<caf::result<void>(caf::ok_atom, uint64_t, llm_result)>;

/// What a stub LLM was asked.
struct stub_log {
  struct call {
    llm_request request;
    call_context context;
  };
  std::vector<call> calls;
  std::vector<call_id> cancelled;
};

struct stub_llm_state {
  stub_llm_state(stub_llm_actor::pointer self_ptr, std::shared_ptr<stub_log> to)
    : self(self_ptr), log(std::move(to)) {}

  stub_llm_actor::behavior_type make_behavior() {
    return {
        [this](generate_atom, const llm_request& request,
            const call_context& context) -> caf::result<llm_result> {
          callers.push_back(self->make_response_promise<llm_result>());
          log->calls.push_back({request, context});
          return callers.back();
        },
        [](stream_atom, const llm_request&, const sink_actor&,
            const call_context&) -> caf::result<llm_result> {
          return make_failure(errc::unsupported, "a stub does not stream");
        },
        [this](cancel_atom, const call_id& id) { log->cancelled.push_back(id); },
        [this](caf::ok_atom, uint64_t index, llm_result& result) {
          callers.at(index).deliver(std::move(result));
        },
    };
  }

  stub_llm_actor::pointer self;
  std::shared_ptr<stub_log> log;
  std::vector<caf::typed_response_promise<llm_result>> callers;
};

inline stub_llm_actor spawn_stub_llm(caf::actor_system& system, std::shared_ptr<stub_log> log) {
  return system.spawn<caf::stateful_actor<stub_llm_state, stub_llm_actor::impl>>(std::move(log));
}

/// Makes the stub answer its `index`-th request with this text.
inline void answer(const stub_llm_actor& stub, uint64_t index, const std::string& text) {
  llm_result result;
  result.completions.push_back({text, "stop"});
  compat::anon_send(stub, caf::ok_atom_v, index, std::move(result));
}

} // namespace chainmail::test

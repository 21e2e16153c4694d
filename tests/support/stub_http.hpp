// An HTTP engine that keeps every request until the test answers or cancels it.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chainmail::test {

/// The stub's interface: HTTP, and the orders to answer one of its requests and to send a piece of a
/// stream.
using stub_http_actor = http_actor::extend<caf::result<void>(caf::ok_atom, uint64_t, http_response),
    caf::result<void>(caf::ok_atom, uint64_t, caf::error),
    caf::result<void>(caf::ok_atom, uint64_t, std::string)>;

/// What a stub was asked to fetch or to stream.
struct http_log {
  struct call {
    http_request request;
    call_context context;
    sink_actor sink = {};
    /// Pieces that were sent, those that the sink took, and the last error that it answered with.
    size_t sent = 0;
    size_t taken = 0;
    caf::error refusal = {};
  };
  std::vector<call> calls;
  std::vector<call_id> cancelled;
};

struct stub_http_state {
  stub_http_state(stub_http_actor::pointer self_ptr, std::shared_ptr<http_log> to)
    : self(self_ptr), log(std::move(to)) {}

  stub_http_actor::behavior_type make_behavior() {
    return {
        [this](fetch_atom, const http_request& request,
            const call_context& context) -> caf::result<http_response> {
          callers.push_back(self->make_response_promise<http_response>());
          log->calls.push_back({request, context});
          return callers.back();
        },
        [this](stream_atom, const http_request& request, const sink_actor& sink,
            const call_context& context) -> caf::result<http_response> {
          callers.push_back(self->make_response_promise<http_response>());
          log->calls.push_back({request, context, sink});
          return callers.back();
        },
        [this](cancel_atom, const call_id& id) {
          log->cancelled.push_back(id);
          for (size_t i = 0; i < callers.size(); ++i)
            if (log->calls[i].context.id == id && callers[i].pending())
              callers[i].deliver(make_failure(errc::cancelled, "the stub was told to"));
        },
        [this](status_atom) {
          http_status result;
          for (const auto& caller : callers)
            result.outstanding += caller.pending() ? 1 : 0;
          return result;
        },
        [this](caf::ok_atom, uint64_t index, http_response& response) {
          callers.at(index).deliver(std::move(response));
        },
        [this](caf::ok_atom, uint64_t index, caf::error& why) {
          callers.at(index).deliver(std::move(why));
        },
        [this](caf::ok_atom, uint64_t index, std::string& piece) {
          auto& call = log->calls.at(index);
          ++call.sent;
          compat::request(
              self, call.sink, chunk_atom_v, call.context.id, uint32_t{0}, std::move(piece))
              .then([this, index] { ++log->calls[index].taken; },
                  [this, index](caf::error& why) { log->calls[index].refusal = std::move(why); });
        },
    };
  }

  stub_http_actor::pointer self;
  std::shared_ptr<http_log> log;
  std::vector<caf::typed_response_promise<http_response>> callers;
};

inline stub_http_actor spawn_stub_http(caf::actor_system& system, std::shared_ptr<http_log> log) {
  return system.spawn<caf::stateful_actor<stub_http_state, stub_http_actor::impl>>(std::move(log));
}

/// Makes the stub answer its `index`-th request.
inline void answer(
    const stub_http_actor& stub, uint64_t index, std::string body, int32_t status = 200) {
  http_response response;
  response.status = status;
  response.body = std::move(body);
  compat::anon_send(stub, caf::ok_atom_v, index, std::move(response));
}

/// Makes the stub answer its `index`-th request with an error.
inline void fail(const stub_http_actor& stub, uint64_t index, caf::error why) {
  compat::anon_send(stub, caf::ok_atom_v, index, std::move(why));
}

/// Makes the stub send the next piece of its `index`-th request, a stream.
inline void send_piece(const stub_http_actor& stub, uint64_t index, std::string piece) {
  compat::anon_send(stub, caf::ok_atom_v, index, std::move(piece));
}

} // namespace chainmail::test

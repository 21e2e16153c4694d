// What stands between other nodes and an actor that they may use.
#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace chainmail {

/// What a port counts, and how it is told to close. Shared with the node that owns the port.
struct port_counters {
  std::atomic<uint64_t> in_flight = 0;
  std::atomic<uint64_t> answered = 0;
  std::atomic<uint64_t> refused = 0;
  /// Takes no more calls; those under way go on.
  std::atomic<bool> is_closed = false;
};

struct port_options {
  /// Of the service, for sentences.
  std::string name = {};
  /// Of the service: which messages may come in.
  std::string kind = {};
  /// Calls at once. Those beyond are answered with errc::overloaded, which makes a remote service ask
  /// somebody else.
  uint32_t capacity = 1'000;
  /// Requests keep their sender and are not counted: for a rate limiter, which has to know who holds
  /// its permits.
  bool keeps_sender = false;
};

/// Passes on to `target` what other nodes ask: after check_message, at most `capacity` at once, and
/// answers back. When a node goes down, its calls are cancelled. Requests that were refused because
/// the port is closed are answered with caf::sec::request_receiver_down: nothing was done for them.
/// It stands in for the sinks of streams, which must be of the node that asks. What they take is
/// bounded: a node that answers no chunk for two minutes has its stream cancelled. Errors that are too
/// large for a frame lose their detail. Lives until it is told to exit, and
/// then cancels what is under way; `target` does not exit with it.
caf::actor spawn_service_port(caf::actor_system& system, caf::actor target, port_options options,
    std::shared_ptr<port_counters> counters);

} // namespace chainmail

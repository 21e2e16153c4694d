// One handle for a service that several nodes have: calls go to the node that is least busy.
#pragma once

#include <chainmail/cluster.hpp>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace chainmail {

struct remote_service_options {
  /// Of the service, for sentences: "llm".
  std::string name = {};
  /// Of its interface, as in service::kind.
  std::string kind = {};
  /// Calls that were under way on a node that is lost are made again on another one: for services
  /// without side effects, LLMs and embedders. The provider may have been paid for the lost attempt.
  /// Otherwise they are answered with errc::unavailable. Streams are made again only while nothing
  /// has reached their sink.
  bool is_repeatable = false;
  /// How long calls wait for a node when there is none. After that they are answered with
  /// errc::unavailable.
  caf::timespan patience = std::chrono::milliseconds{800};
  /// Calls that wait because all nodes are busy; those beyond are answered with errc::overloaded.
  size_t max_waiting = 20'000;
};

/// Stands for all members: it takes any request of the service's interface and answers once. Each
/// member has at most its capacity of calls under way; others wait, by priority and then in order,
/// until there is room or their deadline passes. Members are monitored, because CAF never fails
/// requests to a node that is gone: when one goes down, its calls are made again or answered. A call
/// that was on three nodes that went down is answered with errc::unavailable.
///
/// What must not go to another node (check_message) is refused here, and answers are checked
/// (check_answer) before they are believed.
///
/// It stands in for the sinks of streams: other nodes never get their handles. The error of a stream
/// has what its sink got in error_detail::text_so_far.
///
/// Members come by (announce_atom, service, std::string node) from this process; a capacity of 0
/// means that nothing more goes there. Cancels go to where the calls are. Lives until it is told to
/// exit, or nobody has the handle.
caf::actor spawn_remote_service(caf::actor_system& system, remote_service_options options);

} // namespace chainmail

// The broker of chainmail's connections between nodes: CAF's own, with rules on what comes in.
#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <chrono>

namespace chainmail {

/// A node that was silent for that long is taken for dead. Notes of CAF: found in 1.0 s with these.
inline constexpr caf::timespan heartbeat_interval = std::chrono::milliseconds{200};
inline constexpr caf::timespan silence_limit = std::chrono::seconds{1};

/// The one of this system; spawned when asked for first. Separate from CAF's own broker, so that an
/// application's connections are none of ours, nor bound by these rules:
/// - frames are checked before CAF reads them (frame_rules.hpp); who breaks a rule is disconnected.
/// - a connection that says nothing for silence_limit is closed, before its handshake, too; at most
///   1,000 are accepted at once.
/// - no messages are passed on between nodes, no proxies made for nodes without a connection, and
///   none of CAF's remote spawning: nodes connect directly.
/// - large messages arrive in pieces, so that a slow line is not mistaken for a dead node.
/// Needs caf::io::middleman to be loaded.
caf::actor find_node_broker(caf::actor_system& system);

} // namespace chainmail

// The rate limiter of a node that shares the limits of a central one.
#pragma once

#include <chainmail/actors.hpp>

#include <caf/fwd.hpp>

#include <cstddef>

namespace chainmail {

struct leasing_options {
  /// Callers. Those beyond are answered with errc::overloaded.
  size_t max_waiting = 20'000;
};

/// Spares the callers of a node the way to the central limiter: it leases permits for those who wait,
/// up to 64 in one message, and keeps a stock of what 100 ms used lately. What became of them is
/// reported every 50 ms, or after 32; a 429 at once, with what is unused of its key. What is not
/// used within the time of its lease (2 s) goes back. Shares of tenants are the central limiter's to
/// keep; all that this node has out comes back to it when the node goes down.
///
/// While the central limiter does not answer (errc::unavailable, errc::shut_down or errc::timed_out),
/// the node grants on its own, by the share that it was told last: the limits divided by the number
/// of nodes that lease of the key. That flows evenly, and begins when a burst that the central limiter
/// may have granted just before is made up for. A share is good if it was told within the last minute;
/// those of keys in use are asked for every 30 s. Without a good one, or without limits that are
/// known, callers are answered with errc::unavailable, and so are requests that are larger than the
/// share. Permits leased before stay usable for their time, and count in the share. The central
/// limiter is tried once a second, and leasing goes on when it answers, or another one in its place:
/// that hears of the shares, and leaves those of other nodes to them until they come. When `central`
/// itself goes down, the node goes on by its shares for ever.
///
/// Leases are asked of the central limiter, and so is the status while it answers.
///
/// Throws std::invalid_argument for an invalid handle or a max_waiting of 0.
rate_limiter_actor spawn_leasing_limiter(
    caf::actor_system& system, rate_limiter_actor central, leasing_options options = {});

} // namespace chainmail

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
/// When the central limiter goes down, callers that wait and all later ones are answered with
/// errc::unavailable. Status and leases are asked of the central limiter.
///
/// Throws std::invalid_argument for an invalid handle or a max_waiting of 0.
rate_limiter_actor spawn_leasing_limiter(
    caf::actor_system& system, rate_limiter_actor central, leasing_options options = {});

} // namespace chainmail

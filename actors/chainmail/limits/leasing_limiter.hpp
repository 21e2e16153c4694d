// A limiter's representative on another node.
#pragma once

#include <chainmail/limits/rate_limits.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

/// Spawns a limiter that grants what it leased from `central`, so that a client far from that pays no
/// round trip a call: permits come in batches, ahead of need once calls come steadily, and what became
/// of them goes back in batches. Fairness between the tenants of its own clients is its own affair,
/// fairness between nodes the central one's.
///
/// When `central` is gone, those who wait and those who come are answered with errc::unavailable.
/// `options` say how tenants share and how many may wait; the limits are central's.
/// @throws std::invalid_argument for an invalid handle, or with the sentence of check(options).
rate_limiter_actor spawn_leasing_limiter(
    caf::actor_system& system, rate_limiter_actor central, rate_limiter_options options = {});

} // namespace chainmail

// The rate limiter: leave to send, so that an endpoint's limits hold.
#pragma once

#include <chainmail/limits/rate_limits.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

/// Spawns a limiter for any number of keys and clients.
///
/// In any minute, no more requests and tokens are let through than a key allows; a call waits for its
/// turn until its deadline, and is refused at once when that would come first. Tenants share a key by
/// weight; a tenant's calls go by priority, then those that are sent again, then as they came. Tokens
/// are reserved by demand::tokens and settled by what was really used: a call that used more delays
/// those after it.
///
/// A 429 that says how long to wait pauses its whole key; one that does not, for 100 ms first and then
/// twice as long with each, up to 5 s. Permits and leases come back when their holder (who sent the
/// request for them) dies; the requests and tokens behind them count as used.
/// @throws std::invalid_argument with the sentence of check(options).
rate_limiter_actor spawn_rate_limiter(
    caf::actor_system& system, rate_limiter_options options = {});

} // namespace chainmail

// The rate limiter: one actor that says when requests may be sent, so that limits hold.
#pragma once

#include <chainmail/actors.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace chainmail {

/// What an endpoint allows. Requests or tokens that are not set are learned from what it says of
/// them (x-ratelimit-*). While nothing is set nor learned, calls in flight are limited by what the
/// endpoint refuses: to half of what was in flight at a 429, then to one more for each round of
/// answers.
struct rate_limits {
  std::optional<int64_t> requests_per_minute = {};
  std::optional<int64_t> tokens_per_minute = {};
  std::optional<uint64_t> max_in_flight = {};
  /// What may go at once after a rest. Otherwise 1 % of the limit, at least 1: an endpoint may well
  /// count shorter periods than a minute.
  std::optional<int64_t> request_burst = {};
  std::optional<int64_t> token_burst = {};
};

struct rate_limiter_options {
  /// Of each key that is not in `keys`.
  rate_limits defaults = {};
  /// By demand::key.
  std::map<std::string, rate_limits> keys = {};
  /// Shares of the tokens of a key while several tenants wait for it, by call_context::tenant; 1 for
  /// those that are not here. From 0.001 to 1,000,000.
  std::map<std::string, double> weights = {};
  /// Callers, over all keys. Those beyond are answered with errc::overloaded.
  size_t max_waiting = 20'000;
};

/// errc::invalid_input with a sentence about the first option that can never work.
caf::error check(const rate_limiter_options& options);

/// Over any minute, what was granted stays within the limits of its key. What is charged: the
/// estimate at first, then what the report says. A permit that was not used gives all back; one
/// whose request was refused or failed keeps its request counted (endpoints differ; that is the safe
/// side), and the tokens that were reported, where a 429 without a report had none. Tokens over the
/// estimate are a debt that later calls wait for. A permit whose holder goes down no longer counts
/// as in flight; its request may have been sent, so it stays charged.
///
/// Those who take leases (leasing limiters) have shares of a key, by which they grant when this
/// limiter is lost: the limits in force, divided by how many took leases of it within 90 s; those who
/// acquire here count as one more. Shares come with leases, and by message when they change: smaller
/// ones first, and nobody has more before those are confirmed.
///
/// The share of a holder of leases that goes down is reserved for 60 s: it may be cut off and use its
/// share, so others are granted the limits without it. The reserve ends sooner when the holder comes
/// back, or one that did not exist yet when it went down and is taken for its successor. After 60 s it
/// is taken for dead. So a holder that is cut off for more than a minute, or whose place was taken by
/// an additional one, uses its share on top of the limits. A limiter that is told of shares that
/// another one gave reserves those of the holders that did not come yet, for 60 s as well.
///
/// An acquire is answered with errc::rate_limited when its deadline cannot be met, errc::overloaded
/// when too many wait, errc::invalid_input when it alone is over a limit.
///
/// Throws std::invalid_argument with the sentence of check().
rate_limiter_actor spawn_rate_limiter(caf::actor_system& system, rate_limiter_options options = {});

} // namespace chainmail

// The guard: one actor that hosts every policy around LLMs, and is an LLM itself.
#pragma once

#include <chainmail/llm/policies/circuit_breaker.hpp>
#include <chainmail/llm/policies/hedge_policy.hpp>
#include <chainmail/llm/policies/response_cache.hpp>
#include <chainmail/llm/policies/retry_policy.hpp>
#include <chainmail/messages.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chainmail {

/// An LLM that a guard may ask.
struct guard_target {
  llm_actor llm = {};
  /// Such as the endpoint's URL. With the model behind it, it names the target in attempts, and is
  /// the key that its limits are counted under.
  std::string name = {};
  /// Asked for, whatever model the request names: for a fallback to another model.
  std::optional<std::string> model = {};
  /// What `llm` fills in where a request leaves a parameter open.
  llm_parameters defaults = {};
};

/// For a million tokens, in any one currency.
struct token_prices {
  double prompt = 0;
  double completion = 0;
};

/// Which policies a guard applies. Those that are not set cost nothing.
struct guard_options {
  /// max_attempts 1 for none.
  retry_options retry = {};
  /// One breaker a target.
  std::optional<breaker_options> breaker = breaker_options{};
  std::optional<hedge_options> hedge = {};
  /// Requests that a cache would answer alike share one call while it is under way.
  bool single_flight = true;
  std::optional<cache_options> cache = {};
  /// Asked when the cache in memory has no answer. Only with `cache`.
  cache_actor store = {};
  /// Every attempt waits for a permit of this one.
  rate_limiter_actor limiter = {};
  /// False: once a target's endpoint answered without a word of limits, its attempts do without the
  /// limiter until it speaks of some, by headers or by a 429.
  bool limits_are_known = true;
  /// Calls that are not answered yet; one more is answered with errc::overloaded.
  size_t max_calls = 100'000;
  /// Of the jitter. 0 for a different one in each guard.
  uint64_t seed = 0;
  /// By the model that is asked for ("" where nobody names one), for the metric of costs; models
  /// without a price have none.
  std::map<std::string, token_prices> prices;
};

/// errc::invalid_input, with the field and what to do, for options that can never work.
caf::error check(const guard_options& options);

/// Spawns a guard. The first target is asked; the others, in order, when those before them failed
/// for good (not for what the request itself is to blame for, nor for what no other could mend:
/// errc::cancelled, errc::overloaded, errc::content_filtered, a deadline that passed).
///
/// Attempts at one call have its call_id, and so the same Idempotency-Key; a hedge has a child's.
/// A stream is a call in all of this until something reaches its sink; after that, its first error is
/// final. It is not hedged, and shares no call under way. An answer out of the cache is given to the
/// sink in chunks.
/// A result has all attempts in llm_result::attempts, an error in error_detail::attempts. The error
/// is that of the last attempt. A call that waits for a permit, a breaker or its next attempt can be
/// cancelled like one that is under way.
/// @throws std::invalid_argument for no target or an invalid handle, or with the sentence of
/// check(options).
llm_actor spawn_guarded(
    caf::actor_system& system, std::vector<guard_target> targets, guard_options options = {});

} // namespace chainmail

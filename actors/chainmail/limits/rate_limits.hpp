// What an endpoint allows, as far as it is configured.
#pragma once

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace chainmail {

/// Of one key: an endpoint and a model. What is not set is learned from x-ratelimit-* headers. As
/// long as neither requests nor tokens nor calls in flight are limited, the calls in flight follow
/// what the endpoint takes: halved by a 429, one more for each round of answers.
struct rate_limits {
  std::optional<uint64_t> requests_per_minute;
  std::optional<uint64_t> tokens_per_minute;
  std::optional<uint64_t> max_in_flight;
  /// What may go at once after a pause; the rest follows evenly. When not set, a hundredth of the
  /// requests and a fiftieth of the tokens: endpoints differ in how they count, and some count by the
  /// second. Calls of more tokens than the burst leave a part of the limit unused.
  std::optional<uint64_t> request_burst;
  std::optional<uint64_t> token_burst;
};

struct rate_limiter_options {
  /// For every key without limits of its own.
  rate_limits defaults;
  std::map<std::string, rate_limits, std::less<>> by_key;
  /// By call_context::tenant; 1 for those that are not here. A tenant of weight 2 gets twice the tokens
  /// of one of weight 1 while both want more than there is.
  std::map<std::string, double, std::less<>> tenant_weights;
  /// Over all keys; one more is answered with errc::overloaded.
  size_t max_waiting = 20'000;
};

/// errc::invalid_input, with the field and what to do, for options that can never work.
caf::error check(const rate_limiter_options& options);

} // namespace chainmail

// Back-off with jitter, Retry-After and the budget.
#include <chainmail/llm/policies/retry_policy.hpp>

#include <algorithm>
#include <cmath>

namespace chainmail {

namespace {

using std::chrono::milliseconds;

constexpr caf::timespan longest_jitter = milliseconds{50};

/// Nobody waits longer for anything; keeps sums of times far from their limits.
constexpr caf::timespan longest_wait = std::chrono::hours{24};

} // namespace

caf::error check(const retry_options& options) {
  if (options.max_attempts == 0)
    return invalid_input("max_attempts is 0: no call would be made; 1 makes each call once");
  if (options.first_delay <= caf::timespan{0})
    return invalid_input("first_delay must be more than nothing: retries would come at once");
  if (options.max_delay < options.first_delay)
    return invalid_input("max_delay is shorter than first_delay");
  if (options.max_delay > longest_wait)
    return invalid_input("max_delay is longer than a day");
  if (options.attempt_timeout <= caf::timespan{0})
    return invalid_input("attempt_timeout must be more than nothing: no attempt could be answered");
  if (!std::isfinite(options.budget_per_success) || options.budget_per_success < 0)
    return invalid_input("budget_per_success must be a number, and not negative");
  return {};
}

bool is_retryable(errc code) {
  switch (code) {
  case errc::rate_limited:
  case errc::server_error:
  case errc::connection_failed:
  case errc::timed_out:
  case errc::malformed_response:
  case errc::shut_down:
  case errc::unavailable:
    return true;
  case errc::none:
  case errc::invalid_input:
  case errc::missing_input:
  case errc::unexpected_input:
  case errc::authentication:
  case errc::not_found:
  case errc::bad_request:
  case errc::cancelled:
  case errc::overloaded:
  case errc::response_too_large:
  case errc::content_filtered:
  case errc::unsupported:
  case errc::internal:
    return false;
  }
  return false;
}

retry_policy::retry_policy(retry_options options, uint64_t seed)
  : options_(options), budget_(options.budget), random_(seed) {
}

std::optional<caf::timespan> retry_policy::next(
    retry_state& state, const caf::error& why, time_point now, deadline due) {
  auto code = code_of(why);
  auto is_rate_limited = code == errc::rate_limited;
  auto was_sent = code != errc::unavailable;
  auto& count = is_rate_limited ? state.rate_limited : state.failures;
  ++count;
  if (!is_retryable(code) || due.has_passed(now))
    return std::nullopt;
  if (is_rate_limited ? count > options_.max_rate_limited
                      : count >= options_.max_attempts || (was_sent && budget_ < 1))
    return std::nullopt;
  auto detail = detail_of(why);
  auto asked =
      std::clamp(detail ? detail->retry_after.value_or(caf::timespan{0}) : caf::timespan{0},
          caf::timespan{0}, longest_wait);
  auto delay = asked + up_to(std::min(asked / 10, longest_jitter));
  if (!is_rate_limited || asked == caf::timespan{0})
    delay = std::max(delay, back_off(count));
  if (delay >= due.at - now)
    return std::nullopt;
  if (!is_rate_limited && was_sent)
    budget_ -= 1;
  return delay;
}

void retry_policy::succeeded() {
  budget_ = std::min<double>(budget_ + options_.budget_per_success, options_.budget);
}

caf::timespan retry_policy::up_to(caf::timespan longest) {
  std::uniform_int_distribution<caf::timespan::rep> any{0, longest.count()};
  return caf::timespan{any(random_)};
}

caf::timespan retry_policy::back_off(uint32_t count) {
  auto ceiling = options_.first_delay;
  for (uint32_t i = 1; i < count && ceiling < options_.max_delay; ++i)
    ceiling *= 2;
  return up_to(std::min(ceiling, options_.max_delay));
}

} // namespace chainmail

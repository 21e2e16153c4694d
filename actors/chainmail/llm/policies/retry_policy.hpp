// Whether a failed attempt at a call is made again, and when.
#pragma once

#include <chainmail/call_context.hpp>
#include <chainmail/errors.hpp>

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

namespace chainmail {

struct retry_options {
  /// Of one call. Attempts that were answered 429 do not count. 1 for no retry.
  uint32_t max_attempts = 5;
  /// 429s that one call puts up with; the next one is final.
  uint32_t max_rate_limited = 50;
  /// The longest that the first back-off can be. It doubles with each failure, and what is waited
  /// is uniform between nothing and it ("full jitter", AWS Architecture Blog, 2015).
  caf::timespan first_delay = std::chrono::milliseconds{500};
  /// Where the doubling ends. A Retry-After may ask for more.
  caf::timespan max_delay = std::chrono::seconds{20};
  /// After this, whoever makes the attempts gives one up as errc::timed_out. Of a stream it is the time
  /// to the first text: what has begun may last until the call's deadline.
  caf::timespan attempt_timeout = std::chrono::seconds{120};
  /// Retries that all calls together may make without any success in between.
  uint32_t budget = 100;
  /// Retries that a success earns back, until there are `budget` again. In an outage, an endpoint
  /// thus gets `budget` more requests than it has callers, and not `max_attempts` times as many.
  double budget_per_success = 0.5;
};

/// errc::invalid_input with a sentence for options that can never work.
caf::error check(const retry_options& options);

/// Whether the same request may well be answered when it is sent again: after a 429, a 5xx, a
/// broken connection, a reply that makes no sense, an attempt that took too long, or an actor that
/// died. Not for errc::overloaded: a full queue of ours gets no shorter by what is put into it again.
bool is_retryable(errc code);

/// What one call has met so far.
struct retry_state {
  /// Attempts that failed otherwise than with 429.
  uint32_t failures = 0;
  uint32_t rate_limited = 0;
};

/// Decides for all calls of an endpoint, which share its budget. For one thread at a time.
class retry_policy {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `options` pass check(). Equal seeds give equal delays.
  explicit retry_policy(retry_options options, uint64_t seed);

  /// How long to wait before the next attempt, or nothing when the error is final: it would come
  /// again, the call had its attempts, the budget is spent, or the attempt would start when the call
  /// is due or later. Counts the error in `state`.
  ///
  /// - A 429 waits for its Retry-After and up to 10 % longer, but no more than 50 ms longer, so that
  ///   callers do not come back all at once. Without one, or with one of zero, it backs off by the
  ///   number of 429s. It spends nothing of the budget: the endpoint is well.
  /// - Others back off by the number of failures, but not for less than a Retry-After (of a 503).
  ///   errc::unavailable, for which nothing was sent, spends nothing of the budget either.
  std::optional<caf::timespan> next(
      retry_state& state, const caf::error& why, time_point now, deadline due);

  /// A call was answered, at whichever attempt.
  void succeeded();

  [[nodiscard]] double budget_left() const { return budget_; }

  [[nodiscard]] const retry_options& options() const { return options_; }

private:
  caf::timespan up_to(caf::timespan longest);
  caf::timespan back_off(uint32_t count);

  retry_options options_;
  double budget_;
  std::mt19937_64 random_;
};

} // namespace chainmail

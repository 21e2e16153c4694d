// The simulator's rate limits: strict sliding windows, and what OpenAI's headers say of them.

#pragma once

#include "options.hpp"
#include "replies.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace chainmail::simulator {

/// Holds at most `limit` in any stretch of time as long as `length`: what was added at t has left at
/// t + length. Time must not go back from call to call. Takes 16 bytes per addition in the window
/// and amortized logarithmic time.
class sliding_window {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// No limit admits more additions than this, so that memory has a bound.
  static constexpr std::size_t most_additions = std::size_t{4} << 20U;

  sliding_window(std::uint64_t limit, std::chrono::nanoseconds length);

  std::uint64_t limit() const { return limit_; }

  /// Zero: it fits now. Empty: it is more than the limit, and never fits.
  std::optional<std::chrono::nanoseconds> time_until_fits(std::uint64_t amount, time_point now);

  /// To be called only with what fits now.
  void add(std::uint64_t amount, time_point now);

  std::uint64_t used(time_point now);

  /// Until the window is empty, if nothing is added.
  std::chrono::nanoseconds time_until_empty(time_point now);

private:
  void forget(time_point now);

  struct addition {
    time_point at;
    std::uint64_t sum; ///< of all additions ever made up to this one
  };

  std::uint64_t limit_;
  std::chrono::nanoseconds length_;
  std::deque<addition> additions_;
  std::uint64_t added_ = 0; ///< ever
  std::uint64_t gone_ = 0;  ///< of these, what has left the window
};

/// The limits of one server, whoever asks and for whatever model.
class rate_limits {
public:
  using time_point = sliding_window::time_point;

  /// Why a request is not accepted.
  struct excess {
    answer what;                                  ///< 429 in OpenAI's shape
    std::optional<std::chrono::nanoseconds> wait; ///< until it would be accepted; empty: never
  };

  /// @throws std::invalid_argument for an impossible rate_window
  explicit rate_limits(const options& opts);

  /// Looks at the limit of requests alone, before it is known how many tokens one takes.
  std::optional<excess> refuse_request(time_point now);

  /// Counts a request that neither limit refuses.
  std::optional<excess> accept(std::uint64_t tokens, time_point now);

  /// The x-ratelimit lines of the limits that are set, as OpenAI has them.
  std::string fields(time_point now);

  /// The same in Anthropic's words.
  std::string anthropic_fields(time_point now);

private:
  std::optional<sliding_window> requests_;
  std::optional<sliding_window> tokens_;
};

/// As OpenAI writes it, rounded up to milliseconds: "0s", "12ms", "1.5s", "6m0s", "1h0m0s".
std::string duration_text(std::chrono::nanoseconds time);

/// The IMF-fixdate of RFC 9110 (5.6.7), rounded up to seconds: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::chrono::system_clock::time_point when);

/// As RFC 3339 has it, rounded up to seconds: "2026-11-28T08:49:37Z".
std::string rfc3339_time(std::chrono::system_clock::time_point when);

} // namespace chainmail::simulator

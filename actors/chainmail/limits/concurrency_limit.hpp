// How many calls may be in flight at an endpoint that does not say what it can take.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace chainmail {

/// Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP does. There is no limit
/// until the endpoint refuses a call. It never goes back to none: whatever waits by then would go
/// out at once. Instead it grows as long as it is what calls wait for.
class concurrency_limit {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// One crowd of refusals is one decrease.
  static constexpr std::chrono::seconds between_decreases{1};

  /// At least 1.
  [[nodiscard]] uint64_t limit() const { return limit_; }

  [[nodiscard]] bool is_limited() const { return limit_ != none; }

  /// A call was refused; `in_flight` counts it.
  void on_refusal(uint64_t in_flight, time_point now);

  /// A call was answered; `in_flight` counts it.
  void on_success(uint64_t in_flight);

private:
  static constexpr auto none = std::numeric_limits<uint64_t>::max();

  uint64_t limit_ = none;
  /// Answers since the limit changed last.
  uint64_t successes_ = 0;
  time_point next_decrease_ = time_point::min();
};

} // namespace chainmail

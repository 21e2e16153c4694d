// How many calls may be in flight at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace chainmail {

/// Either a number that was configured, or one that follows what the endpoint takes: additive
/// increase, multiplicative decrease. The latter knows no limit until the first 429.
class concurrency_limit {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// 0 for one that adapts.
  explicit concurrency_limit(uint64_t fixed) : fixed_(fixed) {}

  [[nodiscard]] bool has_room(uint64_t in_flight) const {
    auto most = limit();
    return most == 0 || in_flight < most;
  }

  /// A call was answered: one more at once for each window of them, until there were twice as many
  /// as when the endpoint first complained; then there is no limit again.
  void answered();

  /// Halves what was in flight, this call included; at most once a second, as the calls that were
  /// sent together fail together.
  void rate_limited(uint64_t in_flight, time_point now);

  /// 0 for none.
  [[nodiscard]] uint64_t limit() const {
    return fixed_ != 0 ? fixed_ : static_cast<uint64_t>(adapted_);
  }

private:
  uint64_t fixed_;
  /// 0 for no limit.
  double adapted_ = 0;
  double peak_ = 0;
  std::optional<time_point> halved_at_;
};

} // namespace chainmail

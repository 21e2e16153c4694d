// Spreads use evenly over time.
#pragma once

#include <caf/timespan.hpp>

#include <chrono>
#include <cstdint>

namespace chainmail {

/// The generic cell rate algorithm (ITU-T I.371) on costs: `limit` a period, and at most `burst` of
/// it at once. One cost of more than the burst passes when the bucket is full, and is paid off
/// afterwards.
class token_bucket {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// All at least 1.
  token_bucket(int64_t limit, int64_t burst, caf::timespan period);

  /// When the cost passes; not after `now` if it does already.
  [[nodiscard]] time_point earliest(int64_t cost) const;

  void take(int64_t cost, time_point now);

  /// Takes more, or less than nothing, of what passed before.
  void adjust(int64_t cost);

private:
  [[nodiscard]] caf::timespan time_for(int64_t cost) const;

  double per_unit_ns_;
  int64_t burst_;
  /// The theoretical arrival time: when the bucket is full again.
  time_point full_at_ = time_point::min();
};

} // namespace chainmail

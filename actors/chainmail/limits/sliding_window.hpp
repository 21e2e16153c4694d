// What was used in the last minute.
#pragma once

#include <caf/timespan.hpp>

#include <chrono>
#include <cstdint>
#include <deque>

namespace chainmail {

/// Sums what was taken within the last period. Keeps at most 6,000 sums, each of a 6,000th of the
/// period; one is forgotten when the last of what it holds is, so that it errs on the safe side.
class sliding_window {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit sliding_window(caf::timespan period) : period_(period) {}

  /// In the period that ends now.
  [[nodiscard]] int64_t used(time_point now);

  /// When not more than `most` of what is counted now is still counted; `now` when that is so.
  [[nodiscard]] time_point when_at_most(int64_t most, time_point now);

  void take(int64_t cost, time_point now);

  /// Counts something that is forgotten after less than a period.
  void take_for(int64_t cost, caf::timespan how_long, time_point now);

  /// Corrects what was taken at `when`. What is forgotten cannot be given back, and more of it counts
  /// as taken now.
  void adjust(time_point when, int64_t cost, time_point now);

private:
  struct sum {
    time_point first;
    time_point last;
    int64_t cost;
  };

  void forget(time_point now);
  void add(int64_t cost, time_point at);

  caf::timespan period_;
  std::deque<sum> sums_;
  int64_t used_ = 0;
};

} // namespace chainmail

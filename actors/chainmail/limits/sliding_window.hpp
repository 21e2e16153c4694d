// Counts what was sent in the last period, so that no period has more than its limit.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

namespace chainmail {

/// The sum over the last period, whatever the moment. Costs of one slot (a 6,000th of a period, 10 ms
/// of a minute) are kept together and leave together, when the last of them may: the sum is never
/// too small, and memory is bounded at any rate.
class sliding_window {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  static constexpr int64_t slots = 6'000;

  /// Costs before `start` are unknown here, and are not given back.
  sliding_window(int64_t limit, duration period, time_point start);

  [[nodiscard]] int64_t limit() const { return limit_; }
  [[nodiscard]] duration period() const { return period_; }

  /// Whether what was taken at a time would have been counted here.
  [[nodiscard]] bool counts(time_point taken_at) const { return taken_at >= start_; }

  [[nodiscard]] int64_t used(time_point now);

  /// The earliest time at which the cost fits, if nothing more is taken; `now` when it does, and
  /// time_point::max() when it is over the limit.
  [[nodiscard]] time_point ready_at(int64_t cost, time_point now);

  /// Takes it whether there is room or not.
  void take(int64_t cost, time_point now);

  /// Undoes a part of what was taken at a time. Nothing happens when that has left the window.
  void give_back(int64_t cost, time_point taken_at);

  /// Counts what others used, as far as it is known: it leaves at `until`. Replaces what was set
  /// before.
  void set_outside(int64_t cost, time_point now, time_point until);

private:
  struct slot {
    time_point leaves_at;
    int64_t cost;
  };

  void forget_old(time_point now);
  [[nodiscard]] time_point leaves_at(time_point taken_at) const;

  int64_t limit_;
  duration period_;
  duration width_;
  time_point start_;
  int64_t used_ = 0;
  int64_t outside_ = 0;
  time_point outside_until_ = time_point::min();
  std::deque<slot> slots_;
};

} // namespace chainmail

// Paces what is sent: a token bucket, kept as GCRA does, as one point in time.
#pragma once

#include <chrono>
#include <cstdint>

namespace chainmail {

/// The generic cell rate algorithm (ITU-T I.371) on costs. `limit` flows in evenly each `period`, up
/// to `burst`. A cost over the burst waits for a full bucket and leaves it in debt, so that it is
/// neither refused for ever nor for free.
class token_bucket {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  /// Starts full. `limit` and `burst` are at least 1.
  token_bucket(int64_t limit, duration period, int64_t burst);

  /// The earliest time at which the cost may be taken; in the past when it may be now.
  [[nodiscard]] time_point ready_at(int64_t cost) const;

  /// When so much will have flowed in, for work that is taken bit by bit; `now` or later.
  [[nodiscard]] time_point done_at(int64_t work, time_point now) const;

  /// Takes it whether there is room or not.
  void take(int64_t cost, time_point now);

  /// Undoes a part of what was taken. What is over the burst is lost.
  void give_back(int64_t cost);

  /// Empties it until then: what flows in before is lost.
  void empty_until(time_point when);

  /// In which a full burst flows in.
  [[nodiscard]] duration burst_time() const { return time_of(burst_); }

  /// What may be taken now without debt.
  [[nodiscard]] int64_t room(time_point now) const;

private:
  [[nodiscard]] duration time_of(int64_t cost) const;

  /// Nanoseconds in which one flows in.
  double interval_;
  int64_t burst_;
  /// When the bucket is full again: GCRA's theoretical arrival time.
  time_point full_at_ = time_point::min();
};

} // namespace chainmail

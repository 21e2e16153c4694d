// One limit of an endpoint: so much in a period, whichever period one looks at.
#pragma once

#include <chainmail/limits/sliding_window.hpp>
#include <chainmail/limits/token_bucket.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace chainmail {

/// The bucket paces, the window guarantees. Both count a period 0.5 % longer than it is: with a
/// server that counts strictly, what is sent at exactly its limit meets as many refusals as network
/// jitter brings two requests nearer to each other.
class rate_limit {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  /// `limit` is at least 1. The usual burst is 1 % of the limit for periods up to a minute, and all
  /// of it for longer ones: nobody wants 200 requests a day spread over the day.
  rate_limit(int64_t limit, duration period, std::optional<int64_t> burst, time_point now);

  [[nodiscard]] int64_t limit() const { return window_.limit(); }
  /// As the endpoint counts it.
  [[nodiscard]] duration period() const { return period_; }

  [[nodiscard]] int64_t used(time_point now);

  /// The earliest time at which the cost fits, if nothing more is taken: `now` when it does already,
  /// and time_point::max() when it is over the limit.
  [[nodiscard]] time_point ready_at(int64_t cost, time_point now);

  /// The same for much work that is taken bit by bit, so it may be over the limit.
  [[nodiscard]] time_point done_at(int64_t work, time_point now);

  /// What fits now without debt, but at least `least`.
  [[nodiscard]] int64_t room(int64_t least, time_point now);

  /// What flows in in a while.
  [[nodiscard]] int64_t flow(duration in) const;

  /// Takes it whether there is room or not.
  void take(int64_t cost, time_point now);

  /// Undoes a part of what was taken at a time.
  void give_back(int64_t cost, time_point taken_at);

  /// Charges a part of the limit as it flows, for somebody who may be using it unseen, until another
  /// part is set. `noticed_after` is how long that went on before.
  void reserve(double part, duration noticed_after, time_point now);

  /// Grants nothing before, and no burst then.
  void hold_back_until(time_point when) { bucket_.empty_until(when); }

  /// In which what may go at once flows in.
  [[nodiscard]] duration burst_time() const { return bucket_.burst_time(); }

  /// What an endpoint said: so much is left, all is there again after `reset`. What it counts beyond
  /// 2 % of the limit more than is counted here was used by others.
  void learn_left(int64_t left, std::optional<duration> reset, time_point now);

private:
  /// Charges what is reserved up to now.
  void accrue(time_point now);

  duration period_;
  duration counted_period_;
  token_bucket bucket_;
  sliding_window window_;
  double reserved_ = 0;
  /// Of what is reserved, less than one.
  double owed_ = 0;
  time_point accrued_at_ = time_point::min();
};

} // namespace chainmail

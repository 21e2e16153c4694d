// One limit of an endpoint: so many requests, or tokens, a minute.
#pragma once

#include <chainmail/limits/sliding_window.hpp>
#include <chainmail/limits/token_bucket.hpp>

#include <caf/timespan.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace chainmail {

/// Lets so much through that no period sees more than the limit, and spreads it evenly: the window
/// guarantees the first, the bucket does the second. Endpoints count in one of the two ways, and
/// requests arrive at uneven intervals; with exactly a minute, half of them would arrive a little too
/// early for an endpoint that counts by the window.
class usage_limit {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// How much longer than the endpoint's period ours is, in thousandths.
  static constexpr int64_t slack_thousandths = 4;

  /// `limit` and `burst` are at least 1.
  usage_limit(int64_t limit, int64_t burst, caf::timespan period);

  /// When a cost of at most the limit may be taken.
  [[nodiscard]] time_point earliest(int64_t cost, time_point now);

  void take(int64_t cost, time_point now);

  /// What was taken at `when` was `change` more.
  void adjust(time_point when, int64_t change, time_point now);

  /// The endpoint says how much is left of its limit: what is missing beyond our own use was used by
  /// others with the same key. It counts until `reset` from now.
  void learn_left(int64_t left, caf::timespan reset, time_point now);

  [[nodiscard]] int64_t used(time_point now) { return window_.used(now); }
  [[nodiscard]] int64_t limit() const { return limit_; }
  [[nodiscard]] caf::timespan period() const { return period_; }

  /// How long the limit takes to let a cost through.
  [[nodiscard]] caf::timespan time_for(int64_t cost) const;

private:
  int64_t limit_;
  caf::timespan period_;
  token_bucket bucket_;
  sliding_window window_;
};

} // namespace chainmail

// Everything that holds for one key: its limits, its pause, and who waits for it.
#pragma once

#include <chainmail/call_context.hpp>
#include <chainmail/limits.hpp>
#include <chainmail/limits/concurrency_limit.hpp>
#include <chainmail/limits/fair_queue.hpp>
#include <chainmail/limits/limit_period.hpp>
#include <chainmail/limits/pause.hpp>
#include <chainmail/limits/rate_limit.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <caf/error.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace chainmail {

/// Knows no actors and no clock: calls have numbers, and the time is told.
class key_limiter {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  /// `weights` outlives it.
  key_limiter(std::string key, const rate_limits& limits,
      const std::map<std::string, double>* weights, time_point now);

  /// Lets a call wait, or says why it cannot: errc::invalid_input for one that no period has room
  /// for, errc::rate_limited for one that cannot go before its deadline.
  caf::error admit(fair_queue::item call, deadline due, time_point now);

  struct decision {
    uint64_t id = 0;
    std::string tenant;
    /// Less than wanted only for several requests.
    work granted;
    /// Instead of a grant: the call became too large for limits that were learned meanwhile.
    caf::error refusal;
  };

  /// The next call that may go now, which is then in flight.
  std::optional<decision> next(time_point now);

  /// When to ask for the next one again, if nothing else happens before; time_point::max() for
  /// never.
  [[nodiscard]] time_point next_at() const;

  /// A call that waits does so no longer. False when it does not wait.
  bool give_up(uint64_t id);

  /// What became of granted requests of a tenant. `tokens_used` is known; there are no more requests
  /// than were granted.
  void settle(
      const lease_report& report, const std::string& tenant, time_point taken_at, time_point now);

  /// Granted requests whose holder is gone: they stay charged.
  void release(uint64_t requests);

  /// Charges requests that were granted elsewhere, of which some are still in flight.
  void charge(const work& granted, uint64_t in_flight, time_point now);

  /// Sets a part of the limits apart, for holders of leases that may be using it unseen. False when it
  /// was set apart before.
  bool set_apart(double part, time_point now);

  /// Grants nothing before, and no burst then.
  void hold_back_until(time_point when);

  /// In which all that may go at once flows in.
  [[nodiscard]] duration burst_time() const;

  /// One of so many parts of the limits in force.
  [[nodiscard]] limiter_share share(uint32_t parts, time_point now);

  [[nodiscard]] size_t waiting() const { return queue_.size(); }

  /// True when forgetting it would change nothing.
  [[nodiscard]] bool is_idle(time_point now);

  limiter_key_status status(time_point now);

private:
  struct plan {
    time_point at;
    work least;
  };

  caf::error refuse_too_large(int64_t tokens) const;
  caf::error refuse_too_late(const fair_queue::item& call, deadline due, time_point now);
  [[nodiscard]] plan plan_for(const fair_queue::item& call, time_point now);
  [[nodiscard]] work share_of(const fair_queue::item& call, const work& least, time_point now);
  [[nodiscard]] uint64_t free_places() const;
  [[nodiscard]] int64_t headroom() const;
  [[nodiscard]] bool knows_limits() const;
  void learn(const provider_limits& said, time_point now);
  void apply_set_apart(time_point now);

  std::string key_;
  rate_limits configured_;
  std::optional<rate_limit> requests_;
  std::optional<rate_limit> tokens_;
  limit_period request_period_;
  limit_period token_period_;
  concurrency_limit concurrency_;
  pause pause_;
  fair_queue queue_;
  uint64_t in_flight_ = 0;
  /// Averages of the last answers: estimates are often too high.
  double reserved_ = 0;
  double used_ = 0;
  /// By how much calls exceeded what was reserved for them, at most; forgotten within some hundred
  /// answers. Room for that much is kept free, up to a hundredth of the limit: the last call of a
  /// period may do so, too.
  int64_t headroom_ = 0;
  /// From 0 to 1.
  double set_apart_ = 0;
  /// Nothing can go before, as long as nothing happens.
  time_point blocked_until_ = time_point::min();
};

} // namespace chainmail

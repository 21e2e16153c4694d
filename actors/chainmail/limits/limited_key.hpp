// Everything that is limited together: the calls to one endpoint and model.
#pragma once

#include <chainmail/limits.hpp>
#include <chainmail/limits/concurrency_limit.hpp>
#include <chainmail/limits/fair_queue.hpp>
#include <chainmail/limits/rate_limits.hpp>
#include <chainmail/limits/usage_limit.hpp>

#include <caf/error.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace chainmail {

/// Decides who may send when. Holds no callers: they are numbers here.
class limited_key {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// What was granted, and is to be settled.
  struct grant {
    uint64_t ticket = 0;
    std::string tenant;
    uint32_t permits = 1;
    int64_t tokens = 0;
    time_point at;
  };

  limited_key(std::string name, const rate_limits& limits, fair_queue::weight_of weights);

  /// Why a call that came now must not wait, or no error: errc::invalid_input for more tokens than a
  /// whole minute has, errc::rate_limited when its turn would come after its deadline.
  caf::error refusal(const std::string& tenant, const fair_queue::entry& what, time_point due,
      time_point now);

  void enqueue(const std::string& tenant, const fair_queue::entry& what) {
    queue_.push(tenant, what);
  }

  /// False when it is not there.
  bool give_up(const std::string& tenant, const fair_queue::entry& what) {
    return queue_.remove(tenant, what);
  }

  /// The next that may go now. Of a lease, what may go now; at least one permit.
  std::optional<grant> next(time_point now);

  /// When next() has an answer again, if nothing is settled before: time_point::max() when nobody
  /// waits, or all wait for a call in flight to end.
  time_point next_at(time_point now);

  /// What became of one permit of a grant.
  void settle(const grant& what, const permit_report& report, time_point now);

  /// What became of several permits of a lease.
  void settle(const grant& what, const lease_report& report, time_point now);

  /// The permits of a holder that died. What they stood for may have been sent.
  void release(uint32_t permits) { in_flight_ -= std::min<uint64_t>(permits, in_flight_); }

  [[nodiscard]] limiter_key_status status(time_point now);
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Whether it can be forgotten without anyone noticing.
  [[nodiscard]] bool is_idle(time_point now);

private:
  struct result_of_call {
    uint64_t answered = 0;
    uint64_t rate_limited = 0;
    std::optional<caf::timespan> retry_after;
  };

  void book(const grant& what, uint64_t unused, int64_t reserved, int64_t used, time_point now);
  void take_notice(const result_of_call& of, time_point now);
  void learn(const provider_limits& from, time_point now);
  [[nodiscard]] bool adapts() const;
  [[nodiscard]] time_point earliest(uint32_t permits, int64_t tokens, time_point now);
  [[nodiscard]] uint32_t permits_now(const fair_queue::entry& what, time_point now);

  std::string name_;
  rate_limits configured_;
  std::optional<usage_limit> requests_;
  std::optional<usage_limit> tokens_;
  concurrency_limit concurrency_;
  fair_queue queue_;
  uint64_t in_flight_ = 0;
  time_point paused_until_ = time_point::min();
  /// Of the next pause after a 429 that does not say how long.
  caf::timespan next_pause_ = first_pause;

  static constexpr caf::timespan first_pause = std::chrono::milliseconds{100};
  static constexpr caf::timespan longest_pause = std::chrono::seconds{5};
};

} // namespace chainmail

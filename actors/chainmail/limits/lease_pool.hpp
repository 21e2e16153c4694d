// The leases of one tenant for one key, and its calls that wait for them.
#pragma once

#include <chainmail/limits.hpp>

#include <caf/timespan.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace chainmail {

/// Knows no actors and no clock. Calls go by priority, then retries, then in order of arrival; never
/// a smaller one before a larger one.
class lease_pool {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Permits that are asked for at once.
  static constexpr uint32_t most_asked = 64;

  struct call {
    /// Higher for those that came later.
    uint64_t number = 0;
    int32_t priority = 0;
    bool is_retry = false;
    /// At least 1.
    int64_t tokens = 1;
    time_point due = time_point::max();
  };

  struct question {
    uint32_t permits = 0;
    int64_t tokens = 0;
    int32_t priority = 0;
    /// The last of the calls'.
    time_point due = time_point::min();
    /// Whom it is for; empty for a stock.
    std::vector<uint64_t> calls;
    /// Which of them has the most tokens.
    uint64_t largest = 0;
  };

  struct grant {
    uint64_t number = 0;
    uint64_t lease = 0;
    int64_t tokens = 0;
  };

  void push(const call& what, time_point now);
  bool erase(uint64_t number);
  [[nodiscard]] size_t waiting() const { return order_.size(); }

  /// The priority of the call that goes next. Not when none waits.
  [[nodiscard]] int32_t first_priority() const {
    return static_cast<int32_t>(-order_.begin()->minus_priority);
  }

  /// The next call that a lease has room for.
  std::optional<grant> next();

  /// What to ask for: permits for those who wait, each large enough for any of them, or a stock of
  /// what 100 ms used lately.
  [[nodiscard]] std::optional<question> wants(time_point now) const;

  void add(const lease& what, time_point now);

  /// What became of one grant.
  void settle(const grant& what, const permit_report& report);

  /// Permits that are too old to be used, or all unused ones, are reported as unused.
  void return_unused(time_point valid_until);

  /// Permits that were not handed out yet, and their tokens.
  [[nodiscard]] std::pair<uint64_t, int64_t> unused() const;

  /// Permits that were, and are not settled.
  [[nodiscard]] uint64_t in_flight() const;

  /// When the next unused permits become too old.
  [[nodiscard]] time_point expires_at() const;

  /// What was not reported yet.
  std::vector<lease_report> take_reports();

  /// True when nothing is waiting, out, or to be reported.
  [[nodiscard]] bool is_empty() const { return order_.empty() && held_.empty(); }

private:
  struct place {
    int64_t minus_priority;
    bool is_new;
    uint64_t number;
    friend auto operator<=>(const place&, const place&) = default;
  };

  struct held {
    uint64_t unused = 0;
    uint64_t out = 0;
    int64_t tokens = 0;
    time_point valid_until;
    lease_report report;
  };

  static place place_of(const call& x) { return {-int64_t{x.priority}, !x.is_retry, x.number}; }
  void note_arrival(int64_t tokens, time_point now);
  held& to_report(uint64_t lease);

  std::set<place> order_;
  std::unordered_map<uint64_t, call> calls_;
  std::unordered_map<uint64_t, held> held_;
  /// Leases with unused permits, oldest first.
  std::set<std::pair<time_point, uint64_t>> ready_;
  uint64_t ready_permits_ = 0;
  std::set<uint64_t> to_report_;
  /// Arrivals in this tenth of a second, and in the one before.
  time_point slot_ = time_point::min();
  uint32_t arrivals_ = 0;
  uint32_t arrivals_before_ = 0;
  /// Nearly the most that calls needed lately.
  int64_t typical_tokens_ = 1;
};

} // namespace chainmail

// Stands in for the central limiter while that does not answer.
#pragma once

#include <chainmail/limits.hpp>
#include <chainmail/limits/key_limiter.hpp>
#include <chainmail/limits/lease_pool.hpp>

#include <caf/error.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace chainmail {

/// Knows no actors and no clock. Gives leases by a node's shares: evenly, without a burst at the
/// start, and nothing of a key without a share.
class fallback_limits {
public:
  using time_point = key_limiter::time_point;

  fallback_limits(const std::vector<limiter_share>& shares, time_point now);

  /// Permits of leases that were there before: those that are unused count, and so do those in
  /// flight.
  void charge(const std::string& key, const work& unused, uint64_t in_flight, time_point now);

  /// A tenant asks, of whom no other question for the key is open. next() answers.
  void ask(const std::string& key, const std::string& tenant, const lease_pool::question& what,
      time_point now);

  /// A tenant's question is not to be answered.
  void give_up(const std::string& key, const std::string& tenant);

  struct answer {
    std::string tenant;
    lease granted;
    /// Instead: errc::unavailable when no share allows it, errc::rate_limited when it cannot go
    /// before its deadline.
    caf::error refusal;
  };

  /// The next answer about a key.
  std::optional<answer> next(const std::string& key, time_point now);

  /// When to look for the next answer again; time_point::max() for never.
  [[nodiscard]] time_point next_at(const std::string& key) const;

  [[nodiscard]] bool owns(uint64_t lease) const { return lease - first_lease_ < leases_given_; }

  /// What became of permits, those of leases that were there before included.
  void settle(
      const std::string& key, const std::string& tenant, lease_report report, time_point now);

  limiter_status status(time_point now);

private:
  struct stand_in {
    stand_in(const limiter_share& share, time_point now);

    key_limiter limiter;
    time_point since;
    std::map<std::string, uint64_t> questions;
  };

  struct given {
    time_point at;
    uint64_t permits;
  };

  std::map<std::string, stand_in> stand_ins_;
  /// By key.
  std::map<std::string, std::vector<answer>> refused_;
  std::unordered_map<uint64_t, given> leases_;
  uint64_t first_lease_;
  uint64_t leases_given_ = 0;
  uint64_t next_question_ = 1;
};

} // namespace chainmail

// What a holder of leases was told of its shares.
#pragma once

#include <chainmail/limits.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace chainmail {

/// Knows no actors and no clock. A share is good for a minute after it was told: who is cut off
/// without noticing is taken for dead after that. So those of keys in use are to be asked for now and
/// then.
class known_shares {
public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds good_for{60};
  static constexpr std::chrono::seconds asked_after{30};
  /// Keys that were not used for so long are not asked for.
  static constexpr std::chrono::minutes used_within{3};
  /// Those beyond are not remembered.
  static constexpr size_t most_keys = 1'000;

  void tell(const limiter_share& share, time_point now);

  /// Somebody wants a permit of a key.
  void on_use(const std::string& key, time_point now);

  /// The limiter is lost: the shares that are good, which count as claimed until they are told again.
  /// The others are forgotten.
  std::vector<limiter_share> claim(time_point now);

  /// A question for the share of a key, or for permits: it says which share is there.
  [[nodiscard]] lease_demand question(
      const std::string& key, uint32_t permits, int64_t tokens, time_point now) const;

  [[nodiscard]] std::vector<std::string> claimed_keys() const;

  /// The keys whose shares are to be asked for. Forgets those that are neither used nor good.
  std::vector<std::string> take_due(time_point now);

  /// When to take them again; time_point::max() for never.
  [[nodiscard]] time_point due_at() const { return due_at_; }

private:
  struct entry {
    limiter_share share;
    time_point told_at;
    time_point asked_at;
    time_point used_at;
    bool is_claimed = false;
  };

  std::map<std::string, entry> entries_;
  time_point due_at_ = time_point::max();
};

} // namespace chainmail

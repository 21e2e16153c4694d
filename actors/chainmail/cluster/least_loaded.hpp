// Which of several nodes gets the next call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace chainmail {

/// One that can be chosen.
struct load {
  uint64_t in_flight = 0;
  /// 0 for one that takes nothing.
  uint64_t capacity = 0;
  /// When it was chosen last, in any unit that grows.
  uint64_t last_chosen = 0;
};

/// The index of the one that uses the smallest part of its capacity, among those with room; among
/// equals, the one whose turn is longest ago. `loads.size()` when all are full.
inline size_t least_loaded(const std::vector<load>& loads) {
  auto is_before = [](const load& a, const load& b) {
    // a.in_flight / a.capacity < b.in_flight / b.capacity; both stay far below 2^32.
    auto left = a.in_flight * b.capacity;
    auto right = b.in_flight * a.capacity;
    return left != right ? left < right : a.last_chosen < b.last_chosen;
  };
  auto best = loads.size();
  for (size_t i = 0; i < loads.size(); ++i)
    if (loads[i].in_flight < loads[i].capacity &&
        (best == loads.size() || is_before(loads[i], loads[best])))
      best = i;
  return best;
}

} // namespace chainmail

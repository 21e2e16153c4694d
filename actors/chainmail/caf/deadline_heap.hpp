// A heap of deadlines for things that mostly finish before theirs.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace chainmail {

/// Holds keys by deadline. Nothing is taken out when a key's owner finishes early; `is_live` tells
/// the dead entries, which go when they reach the top or outnumber the live ones. So pushing is
/// O(1) for deadlines that come in order, and memory stays within twice the live entries.
template <class Key>
class deadline_heap {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `live` is how many keys are live now.
  template <class IsLive>
  void push(time_point at, Key key, size_t live, IsLive is_live) {
    if (entries_.size() > 64 && entries_.size() > 2 * live) {
      std::erase_if(entries_, [&](const entry& x) { return !is_live(x.key); });
      std::make_heap(entries_.begin(), entries_.end());
    }
    entries_.push_back({at, key});
    std::push_heap(entries_.begin(), entries_.end());
  }

  /// The next live key whose deadline is not after `now`, removed.
  template <class IsLive>
  std::optional<Key> pop_due(time_point now, IsLive is_live) {
    while (!entries_.empty()) {
      auto top = entries_.front();
      auto live = is_live(top.key);
      if (live && top.at > now)
        return std::nullopt;
      std::pop_heap(entries_.begin(), entries_.end());
      entries_.pop_back();
      if (live)
        return top.key;
    }
    return std::nullopt;
  }

  /// The earliest deadline held; time_point::max() when there is none.
  [[nodiscard]] time_point next() const {
    return entries_.empty() ? time_point::max() : entries_.front().at;
  }

  [[nodiscard]] size_t size() const { return entries_.size(); }

private:
  struct entry {
    time_point at;
    Key key;

    /// Inverted: the standard heap has its largest element on top.
    friend bool operator<(const entry& x, const entry& y) { return x.at > y.at; }
  };

  std::vector<entry> entries_;
};

} // namespace chainmail

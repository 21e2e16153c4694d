// The slots of a window, oldest first.
#include <chainmail/limits/sliding_window.hpp>

#include <algorithm>

namespace chainmail {

namespace {

/// Sums stay far from an overflow, however many of these come together.
constexpr int64_t most_counted = int64_t{1} << 48;

} // namespace

sliding_window::sliding_window(int64_t limit, duration period, time_point start)
  : limit_(limit),
    period_(period),
    width_(std::max<duration>(period / slots, duration{1})),
    start_(start) {
}

sliding_window::time_point sliding_window::leaves_at(time_point taken_at) const {
  auto into_slot = (taken_at - start_) % width_;
  return taken_at - into_slot + width_ + period_;
}

void sliding_window::forget_old(time_point now) {
  while (!slots_.empty() && slots_.front().leaves_at <= now) {
    used_ -= slots_.front().cost;
    slots_.pop_front();
  }
  if (outside_until_ <= now)
    outside_ = 0;
}

int64_t sliding_window::used(time_point now) {
  forget_old(now);
  return used_ + outside_;
}

sliding_window::time_point sliding_window::ready_at(int64_t cost, time_point now) {
  if (cost > limit_)
    return time_point::max();
  auto excess = used(now) + cost - limit_;
  if (excess <= 0)
    return now;
  auto outside = outside_;
  for (const auto& x : slots_) {
    if (outside > 0 && outside_until_ <= x.leaves_at) {
      excess -= outside;
      outside = 0;
      if (excess <= 0)
        return outside_until_;
    }
    excess -= x.cost;
    if (excess <= 0)
      return x.leaves_at;
  }
  return outside_until_;
}

void sliding_window::take(int64_t cost, time_point now) {
  forget_old(now);
  cost = std::min(cost, most_counted);
  auto when = leaves_at(now);
  if (slots_.empty() || slots_.back().leaves_at < when)
    slots_.push_back({when, 0});
  // A clock that went back would find the last slot: later than need be, never earlier.
  slots_.back().cost += cost;
  used_ += cost;
}

void sliding_window::give_back(int64_t cost, time_point taken_at) {
  if (!counts(taken_at))
    return;
  auto when = leaves_at(taken_at);
  auto found = std::lower_bound(slots_.begin(), slots_.end(), when,
      [](const slot& x, time_point at) { return x.leaves_at < at; });
  if (found == slots_.end() || found->leaves_at != when)
    return;
  auto part = std::min(cost, found->cost);
  found->cost -= part;
  used_ -= part;
}

void sliding_window::set_outside(int64_t cost, time_point now, time_point until) {
  outside_ = std::clamp<int64_t>(cost, 0, limit_);
  outside_until_ = std::min(until, now + period_);
}

} // namespace chainmail

// Sums in order of time.
#include <chainmail/limits/sliding_window.hpp>

#include <algorithm>

namespace chainmail {

void sliding_window::forget(time_point now) {
  while (!sums_.empty() && sums_.front().last + period_ <= now) {
    used_ -= sums_.front().cost;
    sums_.pop_front();
  }
}

int64_t sliding_window::used(time_point now) {
  forget(now);
  return used_;
}

sliding_window::time_point sliding_window::when_at_most(int64_t most, time_point now) {
  forget(now);
  auto left = used_;
  if (left <= most)
    return now;
  for (const auto& x : sums_) {
    left -= x.cost;
    if (left <= most)
      return x.last + period_;
  }
  return now;
}

void sliding_window::add(int64_t cost, time_point at) {
  auto after = std::ranges::upper_bound(sums_, at, {}, &sum::first);
  used_ += cost;
  if (after != sums_.begin()) {
    auto before = std::prev(after);
    if (at <= before->last || at - before->first < period_ / 6'000) {
      before->last = std::max(before->last, at);
      before->cost += cost;
      return;
    }
  }
  sums_.insert(after, {at, at, cost});
}

void sliding_window::take(int64_t cost, time_point now) {
  forget(now);
  add(cost, now);
}

void sliding_window::take_for(int64_t cost, caf::timespan how_long, time_point now) {
  forget(now);
  add(cost, now - period_ + std::min(how_long, period_));
}

void sliding_window::adjust(time_point when, int64_t cost, time_point now) {
  forget(now);
  auto after = std::ranges::upper_bound(sums_, when, {}, &sum::first);
  if (after == sums_.begin() || std::prev(after)->last < when) {
    if (cost > 0)
      add(cost, now);
    return;
  }
  auto& at = *std::prev(after);
  auto change = std::max(cost, -at.cost);
  at.cost += change;
  used_ += change;
}

} // namespace chainmail

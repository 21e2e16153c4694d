// Levels as times: a bucket that is full again in a second lacks what flows in in a second.
#include <chainmail/limits/token_bucket.hpp>

#include <algorithm>
#include <cmath>

namespace chainmail {

token_bucket::token_bucket(int64_t limit, duration period, int64_t burst)
  : interval_(static_cast<double>(period.count()) / static_cast<double>(limit)), burst_(burst) {
}

token_bucket::duration token_bucket::time_of(int64_t cost) const {
  // Thirty years: far from an overflow of the clock, further than anyone waits.
  constexpr double most = 1e18;
  return duration{std::llround(std::min(static_cast<double>(cost) * interval_, most))};
}

token_bucket::time_point token_bucket::ready_at(int64_t cost) const {
  if (full_at_ == time_point::min())
    return full_at_;
  return full_at_ - time_of(burst_ - std::min(cost, burst_));
}

token_bucket::time_point token_bucket::done_at(int64_t work, time_point now) const {
  if (work <= burst_)
    return std::max(ready_at(work), now);
  return std::max(full_at_, now) + time_of(work - burst_);
}

void token_bucket::take(int64_t cost, time_point now) {
  full_at_ = std::min(std::max(full_at_, now), now + time_of(INT64_MAX)) + time_of(cost);
}

void token_bucket::give_back(int64_t cost) {
  if (full_at_ != time_point::min())
    full_at_ -= time_of(cost);
}

void token_bucket::empty_until(time_point when) {
  full_at_ = std::max(full_at_, when + time_of(burst_));
}

int64_t token_bucket::room(time_point now) const {
  if (full_at_ <= now)
    return burst_;
  auto missing = static_cast<double>((full_at_ - now).count()) / interval_;
  return std::max<int64_t>(burst_ - static_cast<int64_t>(std::min(std::ceil(missing), 9e18)), 0);
}

} // namespace chainmail

// Bucket and window together.
#include <chainmail/limits/usage_limit.hpp>

#include <algorithm>

namespace chainmail {

namespace {

caf::timespan with_slack(caf::timespan period) {
  return period + period / 1'000 * usage_limit::slack_thousandths;
}

} // namespace

usage_limit::usage_limit(int64_t limit, int64_t burst, caf::timespan period)
  : limit_(limit),
    period_(with_slack(period)),
    bucket_(limit, std::min(burst, limit), period_),
    window_(period_) {
}

usage_limit::time_point usage_limit::earliest(int64_t cost, time_point now) {
  return std::max(bucket_.earliest(cost), window_.when_at_most(limit_ - cost, now));
}

void usage_limit::take(int64_t cost, time_point now) {
  bucket_.take(cost, now);
  window_.take(cost, now);
}

void usage_limit::adjust(time_point when, int64_t change, time_point now) {
  if (change == 0)
    return;
  bucket_.adjust(change);
  window_.adjust(when, change, now);
}

void usage_limit::learn_left(int64_t left, caf::timespan reset, time_point now) {
  auto by_others = limit_ - left - window_.used(now);
  if (by_others > limit_ / 50)
    window_.take_for(by_others, with_slack(reset), now);
}

caf::timespan usage_limit::time_for(int64_t cost) const {
  auto share = static_cast<double>(cost) / static_cast<double>(limit_);
  return caf::timespan{static_cast<int64_t>(share * static_cast<double>(period_.count()))};
}

} // namespace chainmail

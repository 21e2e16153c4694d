// The arithmetic of the generic cell rate algorithm.
#include <chainmail/limits/token_bucket.hpp>

#include <algorithm>

namespace chainmail {

token_bucket::token_bucket(int64_t limit, int64_t burst, caf::timespan period)
  : per_unit_ns_(static_cast<double>(period.count()) / static_cast<double>(limit)),
    burst_(burst) {
}

caf::timespan token_bucket::time_for(int64_t cost) const {
  return caf::timespan{static_cast<int64_t>(static_cast<double>(cost) * per_unit_ns_)};
}

token_bucket::time_point token_bucket::earliest(int64_t cost) const {
  if (full_at_ == time_point::min())
    return full_at_;
  return full_at_ - time_for(burst_ - std::min(cost, burst_));
}

void token_bucket::take(int64_t cost, time_point now) {
  full_at_ = std::max(full_at_, now) + time_for(cost);
}

void token_bucket::adjust(int64_t cost) {
  if (full_at_ != time_point::min())
    full_at_ += time_for(cost);
}

} // namespace chainmail

// Additive increase, multiplicative decrease.
#include <chainmail/limits/concurrency_limit.hpp>

#include <algorithm>

namespace chainmail {

void concurrency_limit::answered() {
  if (adapted_ == 0)
    return;
  adapted_ += 1 / adapted_;
  if (adapted_ > 2 * peak_) {
    adapted_ = 0;
    peak_ = 0;
  }
}

void concurrency_limit::rate_limited(uint64_t in_flight, time_point now) {
  constexpr auto round = std::chrono::seconds{1};
  if (fixed_ != 0 || (halved_at_ && now < *halved_at_ + round))
    return;
  halved_at_ = now;
  auto at_once = static_cast<double>(std::max<uint64_t>(in_flight, 1));
  peak_ = std::max(peak_, at_once);
  adapted_ = std::max(at_once / 2, 1.0);
}

} // namespace chainmail

// When the limit on calls in flight grows and shrinks.
#include <chainmail/limits/concurrency_limit.hpp>

#include <algorithm>

namespace chainmail {

void concurrency_limit::on_refusal(uint64_t in_flight, time_point now) {
  if (now < next_decrease_)
    return;
  next_decrease_ = now + between_decreases;
  limit_ = std::max<uint64_t>(std::min(limit_, in_flight) / 2, 1);
  successes_ = 0;
}

void concurrency_limit::on_success(uint64_t in_flight) {
  if (!is_limited() || in_flight < limit_ || ++successes_ < limit_)
    return;
  ++limit_;
  successes_ = 0;
}

} // namespace chainmail

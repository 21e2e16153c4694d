// A bucket and a window over the same costs.
#include <chainmail/limits/rate_limit.hpp>

#include <algorithm>

namespace chainmail {

namespace {

int64_t usual_burst(int64_t limit, std::chrono::steady_clock::duration period) {
  return period > std::chrono::minutes{1} ? limit : std::max<int64_t>(limit / 100, 1);
}

} // namespace

rate_limit::rate_limit(int64_t limit, duration period, std::optional<int64_t> burst, time_point now)
  : period_(period),
    counted_period_(period + period / 200),
    bucket_(limit, counted_period_, burst.value_or(usual_burst(limit, period))),
    window_(limit, counted_period_, now) {
}

rate_limit::time_point rate_limit::ready_at(int64_t cost, time_point now) {
  return std::max({now, bucket_.ready_at(cost), window_.ready_at(cost, now)});
}

rate_limit::time_point rate_limit::done_at(int64_t work, time_point now) {
  // What is over the limit cannot end before a period after the rest did.
  constexpr int64_t most = 1'000'000;
  auto periods = (std::max<int64_t>(work, 1) - 1) / limit();
  auto rest = work - periods * limit();
  auto by_window = window_.ready_at(rest, now) + std::min(periods, most) * counted_period_;
  return std::max(by_window, bucket_.done_at(work, now));
}

int64_t rate_limit::room(int64_t least, time_point now) {
  auto fits = std::min(bucket_.room(now), limit() - window_.used(now));
  return std::max(fits, least);
}

int64_t rate_limit::flow(duration in) const {
  return static_cast<int64_t>(static_cast<double>(limit()) * static_cast<double>(in.count()) /
                              static_cast<double>(counted_period_.count()));
}

void rate_limit::take(int64_t cost, time_point now) {
  bucket_.take(cost, now);
  window_.take(cost, now);
}

void rate_limit::give_back(int64_t cost, time_point taken_at) {
  if (!window_.counts(taken_at))
    return;
  bucket_.give_back(cost);
  window_.give_back(cost, taken_at);
}

void rate_limit::learn_left(int64_t left, std::optional<duration> reset, time_point now) {
  window_.set_outside(0, now, now);
  auto others = limit() - std::clamp<int64_t>(left, 0, limit()) - window_.used(now);
  if (others > limit() / 50)
    window_.set_outside(
        others, now, now + std::clamp(reset.value_or(period_), duration{0}, period_));
}

} // namespace chainmail

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

void rate_limit::accrue(time_point now) {
  if (reserved_ <= 0)
    return;
  // After a rest, bit by bit: all at once would be a debt.
  constexpr duration step = std::chrono::milliseconds{100};
  constexpr int most_steps = 1'000;
  auto each = std::max(step, (now - accrued_at_) / most_steps);
  while (accrued_at_ < now) {
    auto until = std::min(accrued_at_ + each, now);
    owed_ += reserved_ * static_cast<double>(limit()) *
             (static_cast<double>((until - accrued_at_).count()) /
                 static_cast<double>(counted_period_.count()));
    accrued_at_ = until;
    if (auto whole = static_cast<int64_t>(owed_); whole > 0) {
      bucket_.take(whole, until);
      window_.take(whole, until);
      owed_ -= static_cast<double>(whole);
    }
  }
}

void rate_limit::reserve(double part, duration noticed_after, time_point now) {
  accrue(now);
  accrued_at_ = now;
  if (part > reserved_)
    owed_ += (part - reserved_) * static_cast<double>(flow(noticed_after));
  reserved_ = part;
}

int64_t rate_limit::used(time_point now) {
  accrue(now);
  return window_.used(now);
}

rate_limit::time_point rate_limit::ready_at(int64_t cost, time_point now) {
  accrue(now);
  auto at = bucket_.ready_at(cost);
  // What is reserved goes on being charged meanwhile.
  constexpr double least_left = 0.05;
  if (at > now && reserved_ > 0)
    at = now + duration{static_cast<duration::rep>(
                   static_cast<double>((at - now).count()) / std::max(1 - reserved_, least_left))};
  return std::max({now, at, window_.ready_at(cost, now)});
}

rate_limit::time_point rate_limit::done_at(int64_t work, time_point now) {
  accrue(now);
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

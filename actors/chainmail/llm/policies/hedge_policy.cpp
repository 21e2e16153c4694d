// What hedges cost, and what is slow.
#include <chainmail/errors.hpp>
#include <chainmail/llm/policies/hedge_policy.hpp>

#include <algorithm>
#include <cmath>

namespace chainmail {

namespace {

constexpr int64_t one_hedge = 1'000'000'000;
constexpr int64_t most_saved = 10 * one_hedge;

/// Between two looks at the latencies: finding their quantiles takes some microseconds.
constexpr uint64_t answers_per_look = 32;

} // namespace

caf::error check(const hedge_options& options) {
  if (!(options.max_extra > 0 && options.max_extra <= 1))
    return invalid_input("max_extra must be more than 0 and not more than 1");
  if (options.min_samples == 0 || options.min_samples > 512)
    return invalid_input("min_samples must be between 1 and 512, which is what is remembered");
  if (options.min_delay < caf::timespan{0})
    return invalid_input("min_delay must not be negative");
  return {};
}

hedge_policy::hedge_policy(hedge_options options)
  : options_(options),
    earned_per_call_(std::llround(options.max_extra * static_cast<double>(one_hedge))) {
}

void hedge_policy::sent() {
  saved_ = std::min(saved_ + earned_per_call_, most_saved);
}

void hedge_policy::answered(caf::timespan took) {
  latencies_[answers_ % latencies_.size()] = took;
  ++answers_;
  if (answers_ == options_.min_samples ||
      (answers_ > options_.min_samples && answers_ % answers_per_look == 0))
    learn();
}

bool hedge_policy::spend() {
  if (saved_ < one_hedge)
    return false;
  saved_ -= one_hedge;
  return true;
}

void hedge_policy::learn() {
  auto sorted = latencies_;
  auto size = std::min<uint64_t>(answers_, sorted.size());
  auto end = sorted.begin() + static_cast<ptrdiff_t>(size);
  auto rank = [&](uint64_t percent) {
    return sorted.begin() + static_cast<ptrdiff_t>((size - 1) * percent / 100);
  };
  std::nth_element(sorted.begin(), rank(90), end);
  auto p90 = *rank(90);
  std::nth_element(rank(90), rank(95), end);
  auto p95 = *rank(95);
  delay_ = std::max(options_.min_delay, std::min(p95, p90 + p90 / 2));
}

} // namespace chainmail

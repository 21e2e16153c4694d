// How a period is inferred.
#include <chainmail/limits/limit_period.hpp>

#include <array>
#include <cmath>

namespace chainmail {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// The known period that is within 10 % of a number of seconds.
std::optional<limit_period::duration> nearest(double in_seconds) {
  static constexpr std::array<seconds, 4> known = {seconds{1}, minutes{1}, hours{1}, hours{24}};
  for (auto x : known)
    if (std::abs(in_seconds / static_cast<double>(x.count()) - 1) <= 0.1)
      return x;
  return std::nullopt;
}

} // namespace

void limit_period::observe(int64_t limit, int64_t left, duration until_reset) {
  if (limit <= 0 || left < 0 || left >= limit || until_reset <= duration{0})
    return;
  auto used = limit - left;
  auto period = nearest(std::chrono::duration<double>{until_reset}.count() *
                        static_cast<double>(limit) / static_cast<double>(used));
  if (!period) {
    last_.reset();
    return;
  }
  if (last_ && last_->period == *period) {
    if (used / 2 < last_->used && last_->used / 2 < used)
      return; // too much alike to tell
    period_ = *period;
  }
  last_ = observation{*period, used};
}

} // namespace chainmail

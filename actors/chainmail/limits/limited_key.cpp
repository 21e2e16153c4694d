// Limits, queue and what replies teach, put together.
#include <chainmail/errors.hpp>
#include <chainmail/limits/limited_key.hpp>

#include <algorithm>
#include <cmath>

namespace chainmail {

namespace {

constexpr auto minute = std::chrono::seconds{60};

/// Peers may send any number.
constexpr int64_t most_tokens = 1'000'000'000'000;

/// What may go at once: a share of the limit.
constexpr int64_t requests_burst_share = 100;
constexpr int64_t tokens_burst_share = 50;

usage_limit make_limit(int64_t limit, const std::optional<uint64_t>& burst, int64_t share,
    caf::timespan period) {
  auto usual = static_cast<uint64_t>(std::max<int64_t>(limit / share, 1));
  return {limit, static_cast<int64_t>(burst.value_or(usual)), period};
}

std::optional<usage_limit> to_limit(const std::optional<uint64_t>& limit,
    const std::optional<uint64_t>& burst, int64_t share) {
  if (!limit)
    return std::nullopt;
  return make_limit(static_cast<int64_t>(*limit), burst, share, minute);
}

int64_t share_of(int64_t tokens, uint32_t permits, uint32_t of) {
  return static_cast<int64_t>(std::ceil(
      static_cast<double>(tokens) * static_cast<double>(permits) / static_cast<double>(of)));
}

std::string seconds_of(caf::timespan time) {
  auto tenths = std::chrono::duration<double>{time}.count() * 10;
  auto number = std::to_string(std::llround(tenths));
  if (number.size() == 1)
    number.insert(0, "0");
  number.insert(number.size() - 1, ".");
  return number + " s";
}

} // namespace

limited_key::limited_key(
    std::string name, const rate_limits& limits, fair_queue::weight_of weights)
  : name_(std::move(name)),
    configured_(limits),
    requests_(to_limit(limits.requests_per_minute, limits.request_burst, requests_burst_share)),
    tokens_(to_limit(limits.tokens_per_minute, limits.token_burst, tokens_burst_share)),
    concurrency_(limits.max_in_flight.value_or(0)),
    queue_(std::move(weights)) {
}

// -- waiting --------------------------------------------------------------------------

caf::error limited_key::refusal(const std::string& tenant, const fair_queue::entry& what,
    time_point due, time_point now) {
  auto each = share_of(what.tokens, 1, what.permits);
  if (tokens_ && each > tokens_->limit())
    return make_failure(errc::invalid_input,
        "the request will use about " + std::to_string(each) + " tokens, and " + name_ +
            " allows " + std::to_string(tokens_->limit()) +
            " a minute: shorten the prompt or lower max_tokens");
  if (due == time_point::max())
    return {};
  auto ahead = queue_.ahead_of(tenant, what.priority);
  auto starts = std::max(now, paused_until_);
  // Calls mostly use less than is reserved for them, so that an estimate of the wait is too long
  // rather than too short: what might still be met is not refused.
  constexpr auto share_used = 0.8;
  auto wait = caf::timespan{0};
  if (requests_)
    wait = std::max(wait, requests_->time_for(static_cast<int64_t>(ahead.permits * share_used)));
  if (tokens_)
    wait = std::max(wait, tokens_->time_for(static_cast<int64_t>(ahead.tokens * share_used)));
  if (queue_.size() == 0)
    starts = std::max(starts, earliest(1, each, now));
  if (starts < due && wait < due - starts)
    return {};
  return make_failure(errc::rate_limited,
      "the rate limit of " + name_ + " leaves no room for this call for about " +
          seconds_of(starts - now + wait) + ", and its deadline is in " + seconds_of(due - now) +
          ": allow more time, or send fewer calls at once");
}

limited_key::time_point limited_key::earliest(uint32_t permits, int64_t tokens, time_point now) {
  auto result = std::max(now, paused_until_);
  if (requests_)
    result = std::max(result, requests_->earliest(permits, now));
  if (tokens_)
    result = std::max(result, tokens_->earliest(std::min(tokens, tokens_->limit()), now));
  return result;
}

/// How many permits of an entry may go now; 0 for none.
uint32_t limited_key::permits_now(const fair_queue::entry& what, time_point now) {
  auto fits = [&](uint32_t permits) {
    return concurrency_.has_room(in_flight_ + permits - 1) &&
           earliest(permits, share_of(what.tokens, permits, what.permits), now) <= now;
  };
  if (fits(what.permits))
    return what.permits;
  uint32_t yes = 0;
  for (uint32_t no = what.permits; no - yes > 1;) {
    auto half = yes + (no - yes) / 2;
    (fits(half) ? yes : no) = half;
  }
  return yes;
}

std::optional<limited_key::grant> limited_key::next(time_point now) {
  auto front = queue_.front();
  if (front.what == nullptr)
    return std::nullopt;
  const auto& what = *front.what;
  auto permits = permits_now(what, now);
  if (permits == 0)
    return std::nullopt;
  grant result{
      what.ticket, *front.tenant, permits, share_of(what.tokens, permits, what.permits), now};
  queue_.pop(result.tokens);
  in_flight_ += permits;
  if (requests_)
    requests_->take(permits, now);
  if (tokens_)
    tokens_->take(result.tokens, now);
  return result;
}

limited_key::time_point limited_key::next_at(time_point now) {
  auto front = queue_.front();
  if (front.what == nullptr || !concurrency_.has_room(in_flight_))
    return time_point::max();
  return earliest(1, share_of(front.what->tokens, 1, front.what->permits), now);
}

// -- settling ---------------------------------------------------------------------------

void limited_key::settle(const grant& what, const permit_report& report, time_point now) {
  auto is_unused = report.use == permit_use::unused;
  auto used = report.tokens < 0 ? what.tokens : std::min(report.tokens, most_tokens);
  release(1);
  book(what, is_unused ? 1 : 0, what.tokens, is_unused ? 0 : used, now);
  take_notice({report.use == permit_use::answered ? 1U : 0U,
                  report.use == permit_use::rate_limited ? 1U : 0U, report.retry_after},
      now);
  if (report.limits)
    learn(*report.limits, now);
}

void limited_key::settle(const grant& what, const lease_report& report, time_point now) {
  auto reserved = std::clamp<int64_t>(report.tokens_reserved, 0, most_tokens);
  auto used = std::clamp<int64_t>(report.tokens_used, 0, most_tokens);
  book(what, report.unused, reserved, used, now);
  take_notice({report.answered, report.rate_limited, report.retry_after}, now);
  if (report.limits)
    learn(*report.limits, now);
}

void limited_key::book(
    const grant& what, uint64_t unused, int64_t reserved, int64_t used, time_point now) {
  if (requests_ && unused > 0)
    requests_->adjust(what.at, -static_cast<int64_t>(unused), now);
  if (tokens_)
    tokens_->adjust(what.at, used - reserved, now);
  if (used != reserved)
    queue_.charge(what.tenant, used - reserved);
}

void limited_key::take_notice(const result_of_call& of, time_point now) {
  constexpr uint64_t most = 100'000;
  for (uint64_t i = 0; i < std::min(of.answered, most); ++i)
    concurrency_.answered();
  if (of.answered > 0)
    next_pause_ = first_pause;
  if (of.rate_limited == 0)
    return;
  if (adapts())
    concurrency_.rate_limited(in_flight_ + of.rate_limited, now);
  if (of.retry_after && of.retry_after->count() > 0) {
    constexpr auto a_day = std::chrono::hours{24};
    paused_until_ = std::max(paused_until_, now + std::min<caf::timespan>(*of.retry_after, a_day));
  } else if (now >= paused_until_) { // not for those that were sent together with the first one
    paused_until_ = now + next_pause_;
    next_pause_ = std::min(2 * next_pause_, longest_pause);
  }
}

bool limited_key::adapts() const {
  return !requests_ && !tokens_ && !configured_.max_in_flight;
}

/// Headers say how much is left of a limit, and when all of it is there again: from both follows
/// how long its period is, where that can be told.
void limited_key::learn(const provider_limits& from, time_point now) {
  auto take = [now](std::optional<usage_limit>& to, bool is_configured,
                  const std::optional<uint64_t>& burst, int64_t share,
                  const std::optional<int64_t>& limit, const std::optional<int64_t>& left,
                  const std::optional<caf::timespan>& reset) {
    if (!limit || *limit <= 0 || *limit > most_tokens)
      return;
    if (!is_configured && (!to || to->limit() != *limit)) {
      // A longer period than a minute shows in a reset that comes too late for one.
      caf::timespan period = minute;
      if (left && reset && *left < *limit && *left >= 0) {
        auto missing = static_cast<double>(*limit - *left) / static_cast<double>(*limit);
        auto implied = std::chrono::duration<double>{*reset}.count() / missing;
        if (*reset > 2 * minute && implied <= 90'000)
          period = std::chrono::duration_cast<caf::timespan>(
              std::chrono::duration<double>{std::max(implied, 60.0)});
      }
      auto used = to ? to->used(now) : 0;
      to.emplace(make_limit(*limit, burst, share, period));
      if (used > 0)
        to->take(std::min(used, *limit), now);
    }
    if (left && *left >= 0 && *limit == to->limit())
      to->learn_left(*left, reset ? std::max(*reset, caf::timespan{0}) : caf::timespan{minute}, now);
  };
  take(requests_, configured_.requests_per_minute.has_value(), configured_.request_burst,
      requests_burst_share, from.request_limit,
      from.requests_left, from.requests_reset);
  take(tokens_, configured_.tokens_per_minute.has_value(), configured_.token_burst,
      tokens_burst_share, from.token_limit, from.tokens_left,
      from.tokens_reset);
}

// -- looking ----------------------------------------------------------------------------

limiter_key_status limited_key::status(time_point now) {
  limiter_key_status result;
  result.key = name_;
  result.in_flight = in_flight_;
  result.waiting = queue_.size();
  if (requests_) {
    result.requests_used = requests_->used(now);
    result.requests_per_minute = requests_->limit();
  }
  if (tokens_) {
    result.tokens_used = tokens_->used(now);
    result.tokens_per_minute = tokens_->limit();
  }
  result.max_in_flight = concurrency_.limit();
  result.paused_for = std::max<caf::timespan>(paused_until_ - std::min(now, paused_until_), {});
  return result;
}

bool limited_key::is_idle(time_point now) {
  return in_flight_ == 0 && queue_.size() == 0 && paused_until_ <= now &&
         concurrency_.limit() == configured_.max_in_flight.value_or(0) &&
         (!requests_ || requests_->used(now) == 0) && (!tokens_ || tokens_->used(now) == 0);
}

} // namespace chainmail

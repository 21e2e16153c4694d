// How the parts of a key decide together.
#include <chainmail/errors.hpp>
#include <chainmail/limits/key_limiter.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace chainmail {

namespace {

using time_point = key_limiter::time_point;
using duration = key_limiter::duration;

constexpr duration minute = std::chrono::minutes{1};

/// Several requests are granted together when there is room for this much of their limit's flow, so
/// that a limiter of another node does not ask for each of them alone.
constexpr duration batch = std::chrono::milliseconds{20};

/// Of parts that are thirds or tenths.
constexpr double rounding = 1e-6;

/// A holder of leases that is cut off may be granting on its own for so long before that is known.
constexpr duration noticed_after = std::chrono::milliseconds{1'500};

/// Limits that an endpoint speaks of are taken for a limit up to here.
constexpr int64_t highest_learned = int64_t{1} << 40;

std::string in_tenths_of_seconds(duration x) {
  auto tenths = std::llround(std::ceil(std::chrono::duration<double>{x}.count() * 10));
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

int64_t per_minute(const rate_limit& limit) {
  return static_cast<int64_t>(static_cast<double>(limit.limit()) *
                              static_cast<double>(minute.count()) /
                              static_cast<double>(limit.period().count()));
}

int64_t tokens_each(const fair_queue::item& call) {
  return (call.wanted.tokens + call.wanted.requests - 1) / call.wanted.requests;
}

/// Learns a limit that was not configured, and what others used of it.
void learn_one(std::optional<rate_limit>& limit, limit_period& period, bool is_configured,
    std::optional<int64_t> said, std::optional<int64_t> left, std::optional<caf::timespan> reset,
    time_point now) {
  if (!said || *said < 1 || *said > highest_learned)
    return;
  if (!is_configured) {
    if (left && reset)
      period.observe(*said, *left, *reset);
    if (!limit || limit->limit() != *said || limit->period() != period.get()) {
      auto used = limit ? limit->used(now) : 0;
      limit.emplace(*said, period.get(), std::nullopt, now);
      limit->learn_left(*said - used, std::nullopt, now);
    }
  }
  // What others used of a larger limit leaves ours alone.
  if (left && *said <= limit->limit())
    limit->learn_left(*left, reset, now);
}

} // namespace

key_limiter::key_limiter(std::string key, const rate_limits& limits,
    const std::map<std::string, double>* weights, time_point now)
  : key_(std::move(key)), configured_(limits), queue_(weights) {
  if (limits.requests_per_minute)
    requests_.emplace(*limits.requests_per_minute, minute, limits.request_burst, now);
  if (limits.tokens_per_minute)
    tokens_.emplace(*limits.tokens_per_minute, minute, limits.token_burst, now);
}

// -- waiting -------------------------------------------------------------------------------------

caf::error key_limiter::admit(fair_queue::item call, deadline due, time_point now) {
  if (auto error = refuse_too_large(tokens_each(call)))
    return error;
  if (auto error = refuse_too_late(call, due, now))
    return error;
  auto id = call.id;
  queue_.push(std::move(call));
  if (queue_.front().id == id)
    blocked_until_ = time_point::min();
  return {};
}

caf::error key_limiter::refuse_too_large(int64_t tokens) const {
  if (!tokens_ || tokens <= tokens_->limit())
    return {};
  return make_failure(
      errc::invalid_input, "the request may use " + std::to_string(tokens) + " tokens, and " +
                               one_line(key_, 100) + " allows " + std::to_string(tokens_->limit()) +
                               " in " + in_tenths_of_seconds(tokens_->period()) +
                               ": send a shorter prompt, ask for fewer tokens, or raise the limit");
}

caf::error key_limiter::refuse_too_late(
    const fair_queue::item& call, deadline due, time_point now) {
  if (due.is_never())
    return {};
  auto at = std::max(pause_.until(), now);
  if (requests_ || tokens_) {
    auto own = call;
    own.wanted = {1, tokens_each(call)};
    auto needed = queue_.until_granted(own);
    if (requests_)
      at = std::max(at, requests_->done_at(needed.requests, now));
    if (tokens_) {
      // What was reserved in vain comes back before then.
      auto ratio = reserved_ > 0 ? std::min(used_ / reserved_, 1.0) : 1.0;
      auto expected = ratio * static_cast<double>(needed.tokens) -
                      (1 - ratio) * reserved_ * static_cast<double>(in_flight_);
      auto tokens =
          std::max(static_cast<int64_t>(expected), ratio < 1 ? int64_t{1} : own.wanted.tokens);
      at = std::max(at, tokens_->done_at(tokens, now));
    }
  }
  if (at <= due.at)
    return {};
  error_detail detail;
  detail.retry_after = at - now;
  return make_failure(errc::rate_limited,
      "the limits of " + one_line(key_, 100) + " leave no room for the request for about " +
          in_tenths_of_seconds(at - now) + ", and its deadline is in " +
          in_tenths_of_seconds(std::max(due.at - now, duration{0})) +
          ": give it more time, send less, or raise the limits",
      std::move(detail));
}

bool key_limiter::give_up(uint64_t id) {
  blocked_until_ = time_point::min();
  return queue_.erase(id);
}

// -- going ---------------------------------------------------------------------------------------

bool key_limiter::knows_limits() const {
  return requests_ || tokens_ || configured_.max_in_flight;
}

uint64_t key_limiter::free_places() const {
  auto most = std::numeric_limits<uint64_t>::max();
  if (configured_.max_in_flight)
    most = static_cast<uint64_t>(
        (1 - set_apart_) * static_cast<double>(*configured_.max_in_flight) + rounding);
  else if (!knows_limits())
    most = concurrency_.limit();
  return most > in_flight_ ? most - in_flight_ : 0;
}

int64_t key_limiter::headroom() const {
  constexpr int64_t least_part = 100;
  return std::min(headroom_, tokens_->limit() / least_part);
}

key_limiter::plan key_limiter::plan_for(const fair_queue::item& call, time_point now) {
  auto places = free_places();
  if (places == 0)
    return {time_point::max(), {}};
  auto each = tokens_each(call);
  auto least = call.wanted.requests;
  if (least > 1) {
    if (requests_)
      least = std::min(least, requests_->flow(batch));
    if (tokens_)
      least = std::min(least, tokens_->flow(batch) / each);
    if (static_cast<uint64_t>(least) > places)
      least = static_cast<int64_t>(places);
    least = std::max<int64_t>(least, 1);
  }
  auto at = std::max(pause_.until(), now);
  if (requests_)
    at = std::max(at, requests_->ready_at(least, now));
  if (tokens_)
    at =
        std::max(at, tokens_->ready_at(std::min(least * each + headroom(), tokens_->limit()), now));
  return {at, {least, least * each}};
}

work key_limiter::share_of(const fair_queue::item& call, const work& least, time_point now) {
  auto each = tokens_each(call);
  auto requests = call.wanted.requests;
  if (requests > 1) {
    if (requests_)
      requests = std::min(requests, requests_->room(least.requests, now));
    if (tokens_)
      requests = std::min(requests, tokens_->room(least.tokens, now) / each);
    if (static_cast<uint64_t>(requests) > free_places())
      requests = static_cast<int64_t>(free_places());
  }
  return {requests, std::min(requests * each, call.wanted.tokens)};
}

std::optional<key_limiter::decision> key_limiter::next(time_point now) {
  if (queue_.empty() || now < blocked_until_)
    return std::nullopt;
  const auto& call = queue_.front();
  if (auto error = refuse_too_large(tokens_each(call))) {
    decision result{call.id, call.tenant, {}, std::move(error)};
    queue_.erase(result.id);
    return result;
  }
  auto [at, least] = plan_for(call, now);
  if (at > now) {
    blocked_until_ = at;
    return std::nullopt;
  }
  auto granted = share_of(call, least, now);
  if (requests_)
    requests_->take(granted.requests, now);
  if (tokens_)
    tokens_->take(granted.tokens, now);
  in_flight_ += static_cast<uint64_t>(granted.requests);
  auto gone = queue_.pop(granted.tokens);
  return decision{gone.id, std::move(gone.tenant), granted, {}};
}

time_point key_limiter::next_at() const {
  return queue_.empty() ? time_point::max() : blocked_until_;
}

// -- settling ------------------------------------------------------------------------------------

void key_limiter::settle(
    const lease_report& report, const std::string& tenant, time_point taken_at, time_point now) {
  blocked_until_ = time_point::min();
  auto in_flight = in_flight_;
  release(uint64_t{report.answered} + report.rate_limited + report.failed + report.unused);
  if (requests_ && report.unused > 0)
    requests_->give_back(report.unused, taken_at);
  // One report is not believed to cost more than a period.
  auto used = std::clamp<int64_t>(report.tokens_used, 0, highest_learned);
  if (tokens_)
    used = std::min(used, report.tokens_reserved + tokens_->limit());
  auto more = used - report.tokens_reserved;
  if (tokens_ && more > 0)
    tokens_->take(more, now);
  else if (tokens_ && more < 0)
    tokens_->give_back(-more, taken_at);
  queue_.charge(tenant, more);
  if (report.answered > 0) {
    constexpr double weight = 1.0 / 32;
    auto count = static_cast<double>(report.answered);
    constexpr double kept = 0.99;
    auto excess = static_cast<double>(used - report.tokens_reserved) / count;
    headroom_ = static_cast<int64_t>(std::max(excess, kept * static_cast<double>(headroom_)));
    reserved_ += (static_cast<double>(report.tokens_reserved) / count - reserved_) * weight;
    used_ += (static_cast<double>(used) / count - used_) * weight;
    pause_.on_success(taken_at);
    for (uint32_t i = 0; i < std::min(report.answered, 64U); ++i)
      concurrency_.on_success(in_flight);
  }
  if (report.limits)
    learn(*report.limits, now);
  if (report.rate_limited > 0) {
    pause_.on_refusal(taken_at, report.retry_after, now);
    if (!knows_limits())
      concurrency_.on_refusal(in_flight, now);
  }
}

void key_limiter::release(uint64_t requests) {
  blocked_until_ = time_point::min();
  in_flight_ -= std::min(requests, in_flight_);
}

void key_limiter::learn(const provider_limits& said, time_point now) {
  learn_one(requests_, request_period_, configured_.requests_per_minute.has_value(),
      said.request_limit, said.requests_left, said.requests_reset, now);
  learn_one(tokens_, token_period_, configured_.tokens_per_minute.has_value(), said.token_limit,
      said.tokens_left, said.tokens_reset, now);
  apply_set_apart(now);
}

// -- sharing -------------------------------------------------------------------------------------

void key_limiter::charge(const work& granted, uint64_t in_flight, time_point now) {
  blocked_until_ = time_point::min();
  if (requests_)
    requests_->take(granted.requests, now);
  if (tokens_)
    tokens_->take(granted.tokens, now);
  in_flight_ += in_flight;
}

bool key_limiter::set_apart(double part, time_point now) {
  if (part == set_apart_)
    return false;
  set_apart_ = part;
  blocked_until_ = time_point::min();
  apply_set_apart(now);
  return true;
}

void key_limiter::apply_set_apart(time_point now) {
  for (auto* limit : {&requests_, &tokens_})
    if (*limit)
      (*limit)->reserve(set_apart_, noticed_after, now);
}

void key_limiter::hold_back_until(time_point when) {
  blocked_until_ = time_point::min();
  for (auto* limit : {&requests_, &tokens_})
    if (*limit)
      (*limit)->hold_back_until(when);
}

duration key_limiter::burst_time() const {
  duration result{0};
  for (const auto* limit : {&requests_, &tokens_})
    if (*limit)
      result = std::max(result, (*limit)->burst_time());
  return result;
}

limiter_share key_limiter::share(uint32_t parts, time_point now) {
  limiter_share result;
  result.key = key_;
  result.holders = parts;
  auto all = status(now);
  auto has_too_little = (requests_ && all.requests_per_minute < int64_t{parts}) ||
                        (tokens_ && all.tokens_per_minute < int64_t{parts}) ||
                        (all.max_in_flight > 0 && all.max_in_flight < parts);
  if (parts == 0 || has_too_little)
    return result;
  result.requests_per_minute = all.requests_per_minute / int64_t{parts};
  result.tokens_per_minute = all.tokens_per_minute / int64_t{parts};
  result.max_in_flight = all.max_in_flight / parts;
  result.after = burst_time();
  return result;
}

// -- looking -------------------------------------------------------------------------------------

bool key_limiter::is_idle(time_point now) {
  return queue_.empty() && in_flight_ == 0 && pause_.until() <= now &&
         (!requests_ || requests_->used(now) == 0) && (!tokens_ || tokens_->used(now) == 0);
}

limiter_key_status key_limiter::status(time_point now) {
  limiter_key_status result;
  result.key = key_;
  result.in_flight = in_flight_;
  result.waiting = queue_.size();
  if (requests_) {
    result.requests_used = requests_->used(now);
    result.requests_per_minute = per_minute(*requests_);
  }
  if (tokens_) {
    result.tokens_used = tokens_->used(now);
    result.tokens_per_minute = per_minute(*tokens_);
  }
  if (configured_.max_in_flight)
    result.max_in_flight = *configured_.max_in_flight;
  else if (!knows_limits() && concurrency_.is_limited())
    result.max_in_flight = concurrency_.limit();
  if (pause_.until() > now)
    result.paused_for = pause_.until() - now;
  return result;
}

} // namespace chainmail

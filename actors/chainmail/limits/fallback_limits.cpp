// A limiter for each share.
#include <chainmail/call_context.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/limits/fallback_limits.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <algorithm>
#include <chrono>

namespace chainmail {

namespace {

constexpr caf::timespan fallback_lease_time = std::chrono::seconds{2};
constexpr caf::timespan longest_delay = std::chrono::hours{24};

/// The weights of tenants are the central limiter's to know.
const std::map<std::string, double>* no_weights() {
  static const std::map<std::string, double> none;
  return &none;
}

rate_limits limits_of(const limiter_share& share) {
  rate_limits result;
  if (share.requests_per_minute > 0)
    result.requests_per_minute = share.requests_per_minute;
  if (share.tokens_per_minute > 0)
    result.tokens_per_minute = share.tokens_per_minute;
  if (share.max_in_flight > 0)
    result.max_in_flight = share.max_in_flight;
  // As much as makes up for timers that are late.
  constexpr int64_t tenths_of_seconds = 600;
  result.request_burst = std::max<int64_t>(share.requests_per_minute / tenths_of_seconds, 2);
  result.token_burst = std::max<int64_t>(share.tokens_per_minute / tenths_of_seconds, 1);
  return result;
}

bool allows_something(const limiter_share& x) {
  return x.requests_per_minute > 0 || x.tokens_per_minute > 0 || x.max_in_flight > 0;
}

caf::error no_share(const std::string& key) {
  return make_failure(errc::unavailable,
      "the central rate limiter does not answer, and it told this node of no share in the limits "
      "of " +
          one_line(key, 100) + " that it may use without: try again when it is back");
}

/// What a share refuses, the whole limits may allow.
caf::error explained(caf::error why) {
  if (why != errc::invalid_input)
    return why;
  return make_failure(errc::unavailable,
      "the central rate limiter does not answer, and the request is too large for the share of "
      "this node: " +
          sentence_of(why));
}

fallback_limits::answer refusal(std::string tenant, caf::error why) {
  fallback_limits::answer result;
  result.tenant = std::move(tenant);
  result.refusal = std::move(why);
  return result;
}

} // namespace

fallback_limits::stand_in::stand_in(const limiter_share& share, time_point now)
  : limiter(share.key, limits_of(share), no_weights(), now), since(now) {
  limiter.hold_back_until(now + std::clamp(share.after, caf::timespan{0}, longest_delay));
}

fallback_limits::fallback_limits(const std::vector<limiter_share>& shares, time_point now)
  : first_lease_(call_id::make().root) {
  for (const auto& share : shares)
    if (allows_something(share))
      stand_ins_.try_emplace(share.key, share, now);
}

void fallback_limits::charge(
    const std::string& key, const work& unused, uint64_t in_flight, time_point now) {
  if (auto found = stand_ins_.find(key); found != stand_ins_.end())
    found->second.limiter.charge(unused, in_flight, now);
}

void fallback_limits::ask(const std::string& key, const std::string& tenant,
    const lease_pool::question& what, time_point now) {
  auto found = stand_ins_.find(key);
  if (found == stand_ins_.end()) {
    refused_[key].push_back(refusal(tenant, no_share(key)));
    return;
  }
  auto& [limiter, since, questions] = found->second;
  auto number = next_question_++;
  auto permits = int64_t{what.permits};
  if (auto error = limiter.admit(
          {number, tenant, what.priority, false, {permits, what.tokens}}, {what.due}, now))
    refused_[key].push_back(refusal(tenant, explained(std::move(error))));
  else
    questions[tenant] = number;
}

void fallback_limits::give_up(const std::string& key, const std::string& tenant) {
  if (auto found = stand_ins_.find(key); found != stand_ins_.end())
    if (auto question = found->second.questions.extract(tenant))
      found->second.limiter.give_up(question.mapped());
  if (auto found = refused_.find(key); found != refused_.end())
    std::erase_if(found->second, [&](const answer& x) { return x.tenant == tenant; });
}

std::optional<fallback_limits::answer> fallback_limits::next(
    const std::string& key, time_point now) {
  if (auto found = refused_.find(key); found != refused_.end()) {
    if (!found->second.empty()) {
      auto result = std::move(found->second.back());
      found->second.pop_back();
      return result;
    }
    refused_.erase(found);
  }
  auto found = stand_ins_.find(key);
  if (found == stand_ins_.end())
    return std::nullopt;
  auto got = found->second.limiter.next(now);
  if (!got)
    return std::nullopt;
  found->second.questions.erase(got->tenant);
  if (got->refusal)
    return refusal(std::move(got->tenant), explained(std::move(got->refusal)));
  auto id = first_lease_ + leases_given_++;
  auto permits = static_cast<uint32_t>(got->granted.requests);
  leases_.emplace(id, given{now, permits});
  return answer{
      std::move(got->tenant), {id, permits, got->granted.tokens, fallback_lease_time, {}}, {}};
}

fallback_limits::time_point fallback_limits::next_at(const std::string& key) const {
  auto found = stand_ins_.find(key);
  return found == stand_ins_.end() ? time_point::max() : found->second.limiter.next_at();
}

void fallback_limits::settle(
    const std::string& key, const std::string& tenant, lease_report report, time_point now) {
  auto found = stand_ins_.find(key);
  if (found == stand_ins_.end())
    return;
  auto& [limiter, since, questions] = found->second;
  auto at = since;
  if (auto own = leases_.find(report.id); own != leases_.end()) {
    at = own->second.at;
    auto over = uint64_t{report.answered} + report.rate_limited + report.failed + report.unused;
    own->second.permits -= std::min(over, own->second.permits);
    if (own->second.permits == 0)
      leases_.erase(own);
  } else {
    // Their tokens count where they were granted.
    report.tokens_reserved = report.tokens_used = 0;
  }
  // They are of all nodes together.
  report.limits.reset();
  limiter.settle(report, tenant, at, now);
}

limiter_status fallback_limits::status(time_point now) {
  limiter_status result;
  for (auto& [key, x] : stand_ins_)
    result.keys.push_back(x.limiter.status(now));
  return result;
}

} // namespace chainmail

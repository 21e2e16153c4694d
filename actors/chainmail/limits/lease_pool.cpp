// What is asked for, handed out and reported.
#include <chainmail/limits/lease_pool.hpp>

#include <algorithm>

namespace chainmail {

namespace {

constexpr std::chrono::milliseconds slot_length{100};

/// Sums of what one message says stay far from an overflow.
constexpr int64_t most_pooled_tokens = int64_t{1} << 48;

int64_t used_by(const lease_pool::grant& what, const permit_report& report) {
  if (report.use == permit_use::unused)
    return 0;
  if (report.tokens >= 0)
    return report.tokens;
  return report.use == permit_use::rate_limited ? 0 : what.tokens;
}

} // namespace

void lease_pool::push(const call& what, time_point now) {
  order_.insert(place_of(what));
  calls_.emplace(what.number, what);
  note_arrival(what.tokens, now);
}

void lease_pool::note_arrival(int64_t tokens, time_point now) {
  if (slot_ == time_point::min() || now - slot_ >= 2 * slot_length) {
    slot_ = now;
    arrivals_ = arrivals_before_ = 0;
  } else if (now - slot_ >= slot_length) {
    slot_ += slot_length;
    arrivals_before_ = std::exchange(arrivals_, 0);
  }
  ++arrivals_;
  typical_tokens_ = std::max(tokens, typical_tokens_ - typical_tokens_ / 16);
}

bool lease_pool::erase(uint64_t number) {
  auto found = calls_.find(number);
  if (found == calls_.end())
    return false;
  order_.erase(place_of(found->second));
  calls_.erase(found);
  return true;
}

std::optional<lease_pool::grant> lease_pool::next() {
  if (order_.empty())
    return std::nullopt;
  const auto& first = calls_.find(order_.begin()->number)->second;
  for (auto entry : ready_) {
    auto& from = held_.find(entry.second)->second;
    if (from.tokens < first.tokens)
      continue;
    grant result{first.number, entry.second, first.tokens};
    from.tokens -= first.tokens;
    ++from.out;
    --ready_permits_;
    if (--from.unused == 0) {
      // What is left of its tokens is of no use without a permit.
      auto& x = to_report(result.lease);
      x.report.tokens_reserved += x.tokens;
      x.tokens = 0;
      ready_.erase(entry);
    }
    erase(result.number);
    return result;
  }
  return std::nullopt;
}

std::optional<lease_pool::question> lease_pool::wants(time_point now) const {
  question result;
  if (order_.empty()) {
    auto is_recent = slot_ != time_point::min() && now - slot_ < 2 * slot_length;
    auto stock = is_recent ? std::min(arrivals_before_, most_asked) : 0;
    if (stock < 2 || ready_permits_ >= stock / 2)
      return std::nullopt;
    result.permits = stock;
    result.tokens = typical_tokens_ * stock;
    result.due = now + std::chrono::seconds{1};
    return result;
  }
  result.priority = first_priority();
  int64_t largest = 0;
  int64_t sum = 0;
  for (const auto& where : order_) {
    const auto& x = calls_.find(where.number)->second;
    auto most = std::max(largest, x.tokens);
    // Not much more than what is needed, for the sake of one large call.
    if (result.permits == most_asked || most * (result.permits + 1) > 2 * (sum + x.tokens))
      break;
    if (x.tokens > largest)
      result.largest = x.number;
    largest = most;
    sum += x.tokens;
    ++result.permits;
    result.calls.push_back(x.number);
    result.due = std::max(result.due, x.due);
  }
  result.tokens = largest * result.permits;
  return result;
}

void lease_pool::add(const lease& what, time_point now) {
  if (what.permits == 0)
    return;
  held x;
  x.unused = what.permits;
  x.tokens = std::clamp<int64_t>(what.tokens, 0, most_pooled_tokens);
  x.valid_until =
      now + std::clamp<caf::timespan>(what.valid_for, caf::timespan{0}, std::chrono::hours{1});
  x.report.id = what.id;
  if (!held_.emplace(what.id, x).second)
    return;
  ready_.emplace(x.valid_until, what.id);
  ready_permits_ += x.unused;
}

lease_pool::held& lease_pool::to_report(uint64_t lease) {
  to_report_.insert(lease);
  return held_.find(lease)->second;
}

void lease_pool::settle(const grant& what, const permit_report& report) {
  if (!held_.contains(what.lease))
    return;
  auto& x = to_report(what.lease);
  --x.out;
  auto& sum = x.report;
  switch (report.use) {
  case permit_use::answered:
    ++sum.answered;
    break;
  case permit_use::rate_limited:
    ++sum.rate_limited;
    break;
  case permit_use::failed:
    ++sum.failed;
    break;
  case permit_use::unused:
    ++sum.unused;
    break;
  }
  sum.tokens_reserved += what.tokens;
  sum.tokens_used += std::min(used_by(what, report), most_pooled_tokens / most_asked);
  if (report.retry_after && (!sum.retry_after || *sum.retry_after < *report.retry_after))
    sum.retry_after = report.retry_after;
  if (report.limits)
    sum.limits = report.limits;
}

void lease_pool::return_unused(time_point valid_until) {
  while (!ready_.empty() && ready_.begin()->first <= valid_until) {
    auto& x = to_report(ready_.begin()->second);
    ready_.erase(ready_.begin());
    ready_permits_ -= x.unused;
    x.report.unused += static_cast<uint32_t>(std::exchange(x.unused, 0));
    x.report.tokens_reserved += std::exchange(x.tokens, 0);
  }
}

std::pair<uint64_t, int64_t> lease_pool::unused() const {
  int64_t tokens = 0;
  for (const auto& x : ready_)
    tokens += held_.find(x.second)->second.tokens;
  return {ready_permits_, tokens};
}

uint64_t lease_pool::in_flight() const {
  uint64_t result = 0;
  for (const auto& x : held_)
    result += x.second.out;
  return result;
}

lease_pool::time_point lease_pool::expires_at() const {
  return ready_.empty() ? time_point::max() : ready_.begin()->first;
}

std::vector<lease_report> lease_pool::take_reports() {
  std::vector<lease_report> result;
  for (auto id : std::exchange(to_report_, {})) {
    auto found = held_.find(id);
    lease_report fresh;
    fresh.id = id;
    result.push_back(std::exchange(found->second.report, fresh));
    if (found->second.unused == 0 && found->second.out == 0)
      held_.erase(found);
  }
  return result;
}

} // namespace chainmail

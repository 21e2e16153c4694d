// Virtual time, and who starts first in it.
#include <chainmail/limits/fair_queue.hpp>

#include <algorithm>

namespace chainmail {

fair_queue::tenant_queue& fair_queue::queue_of(const std::string& tenant) {
  auto found = tenants_.find(tenant);
  if (found != tenants_.end())
    return found->second;
  forget_idle();
  auto& queue = tenants_[tenant];
  queue.name = tenant;
  queue.weight = weight_of_(tenant);
  queue.start = now_;
  return queue;
}

/// Tenants without entries and without debt need not be remembered.
void fair_queue::forget_idle() {
  constexpr size_t few = 1'000;
  if (tenants_.size() >= few && tenants_.size() > 2 * active_.size())
    std::erase_if(
        tenants_, [this](const auto& x) { return x.second.levels.empty() && x.second.start <= now_; });
}

void fair_queue::activate(tenant_queue& queue) {
  queue.start = std::max(queue.start, now_);
  active_.emplace(queue.start, &queue.name);
  active_weight_ += queue.weight;
}

void fair_queue::push(const std::string& tenant, const entry& what) {
  auto& queue = queue_of(tenant);
  if (queue.levels.empty())
    activate(queue);
  auto& at = queue.levels[what.priority];
  if (!at.entries.emplace(order_of(what), what).second)
    return;
  ++size_;
  auto tokens = static_cast<double>(what.tokens);
  at.permits += what.permits;
  at.tokens += tokens;
  permits_ += what.permits;
  tokens_ += tokens;
}

bool fair_queue::remove(const std::string& tenant, const entry& what) {
  auto found = tenants_.find(tenant);
  if (found == tenants_.end())
    return false;
  auto& queue = found->second;
  auto at = queue.levels.find(what.priority);
  if (at == queue.levels.end())
    return false;
  auto entry_at = at->second.entries.find(order_of(what));
  if (entry_at == at->second.entries.end())
    return false;
  const auto& gone = entry_at->second;
  auto tokens = static_cast<double>(gone.tokens);
  at->second.permits -= gone.permits;
  at->second.tokens -= tokens;
  permits_ -= gone.permits;
  tokens_ -= tokens;
  at->second.entries.erase(entry_at);
  --size_;
  if (at->second.entries.empty())
    queue.levels.erase(at);
  if (queue.levels.empty()) {
    active_.erase({queue.start, &queue.name});
    active_weight_ = active_.empty() ? 0 : active_weight_ - queue.weight;
  }
  return true;
}

fair_queue::next_entry fair_queue::front() const {
  if (active_.empty())
    return {nullptr, nullptr};
  const auto& queue = tenants_.find(*active_.begin()->second)->second;
  return {&queue.name, &queue.levels.begin()->second.entries.begin()->second};
}

void fair_queue::pop(int64_t tokens) {
  auto next = front();
  if (next.what == nullptr)
    return;
  auto name = *next.tenant;
  auto what = *next.what;
  now_ = active_.begin()->first;
  remove(name, what);
  charge(name, std::max<int64_t>(tokens, 1));
  if (active_.empty()) // with nobody to wait for, no debt is left
    now_ = std::max(now_, tenants_.find(name)->second.start);
}

void fair_queue::charge(const std::string& tenant, int64_t tokens) {
  auto found = tenants_.find(tenant);
  if (found == tenants_.end())
    return;
  auto& queue = found->second;
  auto is_active = !queue.levels.empty();
  if (is_active)
    active_.erase({queue.start, &queue.name});
  queue.start += static_cast<double>(tokens) / queue.weight;
  if (is_active)
    active_.emplace(queue.start, &queue.name);
}

fair_queue::work fair_queue::ahead_of(const std::string& tenant, int32_t priority) const {
  work own;
  auto weight = 1.0;
  auto all_weight = active_weight_;
  auto found = tenants_.find(tenant);
  if (found != tenants_.end()) {
    weight = found->second.weight;
    for (const auto& [at, entries] : found->second.levels) {
      if (at < priority)
        break;
      own.permits += entries.permits;
      own.tokens += entries.tokens;
    }
  }
  if (found == tenants_.end() || found->second.levels.empty())
    all_weight += weight;
  auto others = all_weight / weight;
  return {std::min(own.permits * others, permits_), std::min(own.tokens * others, tokens_)};
}

} // namespace chainmail

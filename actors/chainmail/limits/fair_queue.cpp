// Tags of tenants, and places of their calls.
#include <chainmail/limits/fair_queue.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

namespace chainmail {

namespace {

/// What a newcomer's estimate looks at.
constexpr size_t most_looked_at = 64;

void add(work& sum, const work& x) {
  sum.requests += x.requests;
  sum.tokens += x.tokens;
}

/// What is granted of a call at least.
work least_of(const work& wanted) {
  return {1, (wanted.tokens + wanted.requests - 1) / wanted.requests};
}

void subtract(work& sum, const work& x) {
  sum.requests -= x.requests;
  sum.tokens -= x.tokens;
}

} // namespace

fair_queue::tenants::pointer fair_queue::tenant_of(const std::string& name) {
  auto [found, is_new] = tenants_.try_emplace(name);
  auto* who = &*found;
  if (is_new) {
    who->second.tag = now_;
    if (auto weight = weights_->find(name); weight != weights_->end())
      who->second.weight = weight->second;
    idle_.emplace(now_, who);
  }
  return who;
}

void fair_queue::set_tag(tenants::pointer who, double tag) {
  auto& among = who->second.waiting.empty() ? idle_ : active_;
  auto node = among.extract({who->second.tag, who});
  who->second.tag = tag;
  node.value().first = tag;
  among.insert(std::move(node));
}

void fair_queue::push(item what) {
  auto* who = tenant_of(what.tenant);
  auto& t = who->second;
  if (t.waiting.empty()) {
    auto node = idle_.extract({t.tag, who});
    t.tag = std::max(t.tag, now_);
    node.value().first = t.tag;
    active_.insert(std::move(node));
    active_weight_ += t.weight;
  }
  place where{{what.priority, what.is_retry}, ++arrivals_};
  t.waiting.emplace(where, what.id);
  auto least = least_of(what.wanted);
  add(t.sums[where.of], least);
  add(t.sum, least);
  t.most_tokens = std::max(t.most_tokens, least.tokens);
  auto id = what.id;
  items_.emplace(id, entry{std::move(what), where, who});
}

const fair_queue::item& fair_queue::front() const {
  assert(!empty());
  return items_.find(active_.begin()->second->second.waiting.begin()->second)->second.what;
}

void fair_queue::take_out(std::unordered_map<uint64_t, entry>::iterator found) {
  auto* who = found->second.owner;
  auto& t = who->second;
  auto rank_sum = t.sums.find(found->second.where.of);
  auto least = least_of(found->second.what.wanted);
  subtract(rank_sum->second, least);
  if (rank_sum->second.requests == 0)
    t.sums.erase(rank_sum);
  subtract(t.sum, least);
  t.waiting.erase(found->second.where);
  if (t.waiting.empty()) {
    t.most_tokens = 1;
    idle_.insert(active_.extract({t.tag, who}));
    active_weight_ -= t.weight;
  }
  items_.erase(found);
  forget_idle();
}

fair_queue::item fair_queue::pop(int64_t tokens) {
  auto* who = active_.begin()->second;
  auto found = items_.find(who->second.waiting.begin()->second);
  auto result = std::move(found->second.what);
  found->second.what.wanted = result.wanted;
  set_tag(who, who->second.tag + static_cast<double>(tokens) / who->second.weight);
  advance(tokens);
  take_out(found);
  return result;
}

void fair_queue::advance(int64_t tokens) {
  now_ = std::max(
      now_ + static_cast<double>(tokens) / active_weight_, std::max(now_, active_.begin()->first));
}

bool fair_queue::erase(uint64_t id) {
  auto found = items_.find(id);
  if (found == items_.end())
    return false;
  take_out(found);
  return true;
}

void fair_queue::charge(const std::string& name, int64_t tokens) {
  auto found = tenants_.find(name);
  if (found == tenants_.end())
    return;
  auto& t = found->second;
  set_tag(&*found, t.tag + static_cast<double>(tokens) / t.weight);
}

void fair_queue::forget_idle() {
  if (active_.empty()) {
    // Shares count while somebody waits.
    idle_.clear();
    tenants_.clear();
    now_ = 0;
    active_weight_ = 0;
    return;
  }
  while (!idle_.empty() && (idle_.begin()->first <= now_ || idle_.size() > most_idle)) {
    auto* who = idle_.begin()->second;
    idle_.erase(idle_.begin());
    tenants_.erase(tenants_.find(who->first));
  }
}

work fair_queue::until_granted(const item& what) const {
  auto result = what.wanted;
  auto mine = tenants_.find(what.tenant);
  auto tag = now_;
  auto weight = 1.0;
  if (auto w = weights_->find(what.tenant); w != weights_->end())
    weight = w->second;
  if (mine != tenants_.end()) {
    tag = mine->second.waiting.empty() ? std::max(tag, mine->second.tag) : mine->second.tag;
    size_t looked_at = 0;
    for (const auto& [of, sum] : mine->second.sums) {
      if (rank{what.priority, what.is_retry} < of || ++looked_at > most_looked_at)
        break;
      add(result, sum);
    }
  }
  auto start = tag + static_cast<double>(result.tokens - what.wanted.tokens) / weight;
  size_t looked_at = 0;
  for (const auto& [other_tag, who] : active_) {
    if (other_tag >= start || ++looked_at > most_looked_at)
      break;
    const auto& t = who->second;
    if (mine != tenants_.end() && who == &*mine)
      continue;
    auto share = (start - other_tag) * t.weight;
    if (share >= static_cast<double>(t.sum.tokens)) {
      add(result, t.sum);
    } else {
      auto tokens = static_cast<int64_t>(share);
      add(result, {tokens / t.most_tokens, tokens});
    }
  }
  return result;
}

} // namespace chainmail

// When shares are good, and when they are asked for.
#include <chainmail/limits/known_shares.hpp>

#include <algorithm>

namespace chainmail {

void known_shares::tell(const limiter_share& share, time_point now) {
  if (share.holders == 0) {
    entries_.erase(share.key);
    return;
  }
  auto found = entries_.find(share.key);
  if (found == entries_.end()) {
    if (entries_.size() >= most_keys)
      return;
    found = entries_.emplace(share.key, entry{{}, now, now, now}).first;
  }
  auto& x = found->second;
  x.share = share;
  x.told_at = x.asked_at = now;
  x.is_claimed = false;
  due_at_ = std::min<time_point>(due_at_, now + asked_after);
}

void known_shares::on_use(const std::string& key, time_point now) {
  if (auto found = entries_.find(key); found != entries_.end())
    found->second.used_at = now;
}

std::vector<limiter_share> known_shares::claim(time_point now) {
  std::erase_if(entries_, [now](const auto& x) { return x.second.told_at + good_for <= now; });
  std::vector<limiter_share> result;
  for (auto& [key, x] : entries_) {
    x.is_claimed = true;
    result.push_back(x.share);
  }
  return result;
}

lease_demand known_shares::question(
    const std::string& key, uint32_t permits, int64_t tokens, time_point now) const {
  lease_demand result{key, permits, tokens};
  if (auto found = entries_.find(key); found != entries_.end()) {
    const auto& x = found->second;
    if (x.is_claimed || now < x.told_at + good_for) {
      result.limiter = x.share.limiter;
      result.holders = x.share.holders;
    }
  }
  return result;
}

std::vector<std::string> known_shares::claimed_keys() const {
  std::vector<std::string> result;
  for (const auto& [key, x] : entries_)
    if (x.is_claimed)
      result.push_back(key);
  return result;
}

std::vector<std::string> known_shares::take_due(time_point now) {
  std::vector<std::string> result;
  due_at_ = time_point::max();
  for (auto i = entries_.begin(); i != entries_.end();) {
    auto& x = i->second;
    auto is_used = now < x.used_at + used_within;
    auto is_good = now < x.told_at + good_for;
    if (is_used && x.asked_at + asked_after <= now) {
      x.asked_at = now;
      result.push_back(i->first);
    }
    if (is_used || is_good)
      due_at_ =
          std::min<time_point>(due_at_, is_used ? x.asked_at + asked_after : x.told_at + good_for);
    i = is_used || is_good ? std::next(i) : entries_.erase(i);
  }
  return result;
}

} // namespace chainmail

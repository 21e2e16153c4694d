// Parts of a whole that is never given out twice.
#include <chainmail/limits/lease_shares.hpp>

#include <algorithm>

namespace chainmail {

namespace {

double part_of(uint32_t parts) {
  return parts == 0 ? 0 : 1.0 / parts;
}

} // namespace

uint32_t lease_shares::count() const {
  auto staying =
      std::ranges::count_if(holders_, [](const auto& x) { return !x.second.is_leaving; });
  return static_cast<uint32_t>(staying) + static_cast<uint32_t>(reservations_.size());
}

bool lease_shares::on_demand(uint64_t holder, const claim& what, time_point now) {
  forget_old(now);
  auto parts = std::min(what.parts, most_holders);
  auto is_claim = parts > 0 && what.is_of_another;
  auto returns = parts > 0 && !what.is_of_another;
  auto found = holders_.find(holder);
  if (found == holders_.end()) {
    auto taken = std::ranges::find_if(reservations_, [&](const reservation& x) {
      return is_claim ? x.is_former : returns || what.there_since >= x.since;
    });
    auto is_former = false;
    if (taken != reservations_.end()) {
      is_former = taken->is_former;
      reservations_.erase(taken);
    } else if (holders_.size() >= most_holders) {
      return false;
    }
    found = holders_.emplace(holder, holder_state{now, part_of(parts), parts}).first;
    found->second.is_former = is_former;
  }
  found->second.asked_at = now;
  found->second.is_leaving = false;
  if (!is_claim)
    return false;
  found->second.is_former = true;
  auto known = std::ranges::count_if(holders_, [](const auto& x) { return x.second.is_former; }) +
               std::ranges::count_if(reservations_, &reservation::is_former);
  if (known >= parts)
    return false;
  reservations_.insert(reservations_.end(), parts - static_cast<size_t>(known),
      {now, now + reserved_for, part_of(parts), true});
  return true;
}

void lease_shares::on_own_use(time_point now) {
  auto& x = holders_[own];
  x.asked_at = now;
  x.is_leaving = false;
}

void lease_shares::on_loss(uint64_t holder, time_point now) {
  auto lost = holders_.extract(holder);
  if (lost && lost.mapped().believed > 0)
    reservations_.push_back(
        {now, now + reserved_for, lost.mapped().believed, lost.mapped().is_former});
}

void lease_shares::on_confirmed(uint64_t holder) {
  auto found = holders_.find(holder);
  if (found == holders_.end() || found->second.unconfirmed == 0 || --found->second.unconfirmed > 0)
    return;
  found->second.believed = part_of(found->second.told);
  if (found->second.is_leaving && found->second.told == 0)
    holders_.erase(found);
}

void lease_shares::forget_old(time_point now) {
  std::erase_if(reservations_, [now](const reservation& x) { return x.until <= now; });
  for (auto i = holders_.begin(); i != holders_.end();) {
    auto& x = i->second;
    if (x.asked_at + counted_for <= now)
      x.is_leaving = true;
    if (x.is_leaving && i->first == own)
      x.believed = 0;
    i = x.is_leaving && x.believed <= 0 ? holders_.erase(i) : std::next(i);
  }
}

std::vector<lease_shares::notice> lease_shares::take_notices(time_point now) {
  forget_old(now);
  // Nobody has to be waited for here.
  if (auto found = holders_.find(own); found != holders_.end())
    found->second.believed = std::min(found->second.believed, part_of(count()));
  std::vector<notice> result;
  auto parts = count();
  auto sum = reserved();
  for (const auto& [holder, x] : holders_)
    sum += x.believed;
  constexpr double rounding = 1e-9;
  for (auto& [holder, x] : holders_) {
    auto wanted = x.is_leaving ? 0 : parts;
    auto more = part_of(wanted) - x.believed;
    if (x.told == wanted && holder != own)
      continue;
    if (more > 0) {
      if (sum + more > 1 + rounding)
        continue;
      sum += more;
      x.believed += more;
    }
    x.told = wanted;
    if (holder == own)
      continue;
    ++x.unconfirmed;
    result.push_back({holder, wanted});
  }
  return result;
}

uint32_t lease_shares::parts_of(uint64_t holder) const {
  auto found = holders_.find(holder);
  return found == holders_.end() ? 0 : found->second.told;
}

double lease_shares::reserved() const {
  double sum = 0;
  for (const auto& x : reservations_)
    sum += x.part;
  return std::min(sum, 1.0);
}

lease_shares::time_point lease_shares::next_at() const {
  auto result = time_point::max();
  for (const auto& [holder, x] : holders_)
    if (!x.is_leaving)
      result = std::min(result, x.asked_at + counted_for);
  for (const auto& x : reservations_)
    result = std::min(result, x.until);
  return result;
}

} // namespace chainmail

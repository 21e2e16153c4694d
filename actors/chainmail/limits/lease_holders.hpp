// The actors that hold leases of a limiter: numbers for its books, and messages about their shares.
#pragma once

#include <chainmail/actors.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/limits.hpp>

#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <cstdint>
#include <unordered_map>
#include <utility>

namespace chainmail {

/// Keeps none of them alive. Whoever uses it monitors them, and says when one is gone.
class lease_holders {
public:
  explicit lease_holders(rate_limiter_actor::pointer self) : self_(self) {}

  uint64_t add(const caf::actor_addr& holder) {
    auto [found, is_new] = numbers_.try_emplace(holder, next_);
    if (is_new)
      holders_.emplace(next_++, holder);
    return found->second;
  }

  /// 0 for none.
  [[nodiscard]] uint64_t number_of(const caf::actor_addr& holder) const {
    auto found = numbers_.find(holder);
    return found == numbers_.end() ? 0 : found->second;
  }

  /// Its number; 0 for none.
  uint64_t take(const caf::actor_addr& gone) {
    auto found = numbers_.extract(gone);
    if (!found)
      return 0;
    holders_.erase(found.mapped());
    return found.mapped();
  }

  /// `on_confirmed` runs once the holder heeds it; never, when it is gone or knows no shares.
  template <class OnConfirmed>
  void tell(uint64_t number, limiter_share share, OnConfirmed on_confirmed) {
    auto found = holders_.find(number);
    if (found == holders_.end())
      return;
    if (auto holder = caf::actor_cast<rate_limiter_actor>(found->second))
      compat::request(self_, holder, share_atom_v, std::move(share))
          .then(std::move(on_confirmed), [](const caf::error&) {});
  }

private:
  rate_limiter_actor::pointer self_;
  std::unordered_map<caf::actor_addr, uint64_t> numbers_;
  std::unordered_map<uint64_t, caf::actor_addr> holders_;
  uint64_t next_ = 1;
};

} // namespace chainmail

// Whose calls are whose: found by call ID to be cancelled, and by actor when that is gone.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/call_context.hpp>

#include <caf/actor_addr.hpp>
#include <caf/error.hpp>
#include <caf/scheduled_actor.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace chainmail {

/// errc::invalid_input for a request without a holder, or with names that no key or tenant has.
caf::error refuse_unfit(
    const caf::strong_actor_ptr& holder, const std::string& key, const std::string& tenant);

/// The numbers of calls that wait, and of permits that are out. Each caller is monitored once, and
/// stays monitored until it goes down: most come back.
class callers {
public:
  explicit callers(caf::scheduled_actor* self) : self_(self) {}

  void add(uint64_t number, const call_id& id, const caf::strong_actor_ptr& holder) {
    if (id)
      waiting_.emplace(id, number);
    watch(holder).insert(number);
  }

  /// Monitors an actor that need not have calls or permits.
  std::unordered_set<uint64_t>& watch(const caf::strong_actor_ptr& holder) {
    auto [found, is_new] = numbers_.try_emplace(holder->address());
    if (is_new)
      compat::monitor(self_, holder);
    return found->second;
  }

  /// It can no longer be cancelled.
  void stop_waiting(uint64_t number, const call_id& id) { waiting_.erase({id, number}); }

  void forget(uint64_t number, const caf::actor_addr& holder) {
    if (auto found = numbers_.find(holder); found != numbers_.end())
      found->second.erase(number);
  }

  /// Those that wait under an ID; a step of zero stands for all of the root.
  [[nodiscard]] std::vector<uint64_t> waiting_as(const call_id& id) const {
    std::vector<uint64_t> result;
    if (!id)
      return result;
    for (auto i = waiting_.lower_bound({id, 0}); i != waiting_.end(); ++i) {
      if (i->first.root != id.root || (id.step != 0 && i->first != id))
        break;
      result.push_back(i->second);
    }
    return result;
  }

  /// All of an actor that is gone, which is forgotten.
  std::unordered_set<uint64_t> take(const caf::actor_addr& gone) {
    auto found = numbers_.extract(gone);
    return found ? std::move(found.mapped()) : std::unordered_set<uint64_t>{};
  }

private:
  caf::scheduled_actor* self_;
  std::set<std::pair<call_id, uint64_t>> waiting_;
  std::unordered_map<caf::actor_addr, std::unordered_set<uint64_t>> numbers_;
};

} // namespace chainmail

// Who is next: tenants share by weight, and each has its own priorities.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace chainmail {

/// Start-time fair queueing (Goyal, Vin, Cheng 1996) between tenants, by tokens: over any while in
/// which they have work, they get tokens in proportion to their weights, however many calls or
/// priorities they use. A tenant that had nothing to do saves nothing up. Within a tenant, higher
/// priorities go first, then what is sent again, then what came first. Nobody is overtaken by a
/// smaller one.
class fair_queue {
public:
  struct entry {
    uint64_t ticket = 0;
    int32_t priority = 0;
    bool is_retry = false;
    /// What else it stands for: permits of a lease.
    uint32_t permits = 1;
    int64_t tokens = 0;
  };

  /// Of the work that would be done before a new entry's.
  struct work {
    double permits = 0;
    double tokens = 0;
  };

  using weight_of = std::function<double(const std::string& tenant)>;

  explicit fair_queue(weight_of weights) : weight_of_(std::move(weights)) {}

  void push(const std::string& tenant, const entry& what);

  /// False when it is not there.
  bool remove(const std::string& tenant, const entry& what);

  struct next_entry {
    const std::string* tenant;
    const entry* what;
  };

  /// Null pointers when nobody waits.
  [[nodiscard]] next_entry front() const;

  /// Takes the front out, and charges its tenant for `tokens`.
  void pop(int64_t tokens);

  /// Corrects what a tenant was charged.
  void charge(const std::string& tenant, int64_t tokens);

  /// About how much goes before an entry of that tenant and priority that comes now; never more than
  /// what waits.
  [[nodiscard]] work ahead_of(const std::string& tenant, int32_t priority) const;

  [[nodiscard]] size_t size() const { return size_; }

  /// Tenants that it knows of.
  [[nodiscard]] size_t remembered() const { return tenants_.size(); }

private:
  using order = std::pair<bool, uint64_t>;

  /// The entries of one priority, and what they add up to.
  struct level {
    std::map<order, entry> entries;
    double permits = 0;
    double tokens = 0;
  };

  struct tenant_queue {
    std::string name;
    double weight = 1;
    /// Virtual time at which its next entry starts.
    double start = 0;
    std::map<int32_t, level, std::greater<>> levels;
  };

  tenant_queue& queue_of(const std::string& tenant);
  void activate(tenant_queue& queue);
  void forget_idle();
  static order order_of(const entry& x) { return {!x.is_retry, x.ticket}; }

  weight_of weight_of_;
  std::map<std::string, tenant_queue, std::less<>> tenants_;
  /// Those with entries, by start.
  std::set<std::pair<double, const std::string*>> active_;
  double active_weight_ = 0;
  double permits_ = 0;
  double tokens_ = 0;
  double now_ = 0;
  size_t size_ = 0;
};

} // namespace chainmail

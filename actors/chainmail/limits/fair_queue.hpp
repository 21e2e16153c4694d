// Who goes next: tenants get tokens by their weights, and order their own calls by priority.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

namespace chainmail {

/// Requests and the tokens that they will likely use.
struct work {
  int64_t requests = 0;
  int64_t tokens = 0;
};

/// Weighted fair queueing by start tags (SFQ, Goyal et al. 1996) with the virtual time of WF2Q+
/// (Bennett and Zhang 1996): it moves on with every grant, so that tenants who come new again and
/// again do not hold up one who waits. Inside a tenant strictly by priority, then retries, then in
/// order of arrival: what one tenant claims never delays another. Everything is O(log n).
class fair_queue {
public:
  struct item {
    uint64_t id = 0;
    std::string tenant;
    int32_t priority = 0;
    bool is_retry = false;
    /// Of both at least 1, for the sake of the order; at most 2^48 tokens.
    work wanted;
  };

  /// Weights are over 0; a tenant that has none has 1.
  explicit fair_queue(const std::map<std::string, double>* weights) : weights_(weights) {}
  fair_queue(const fair_queue&) = delete;
  fair_queue& operator=(const fair_queue&) = delete;
  fair_queue(fair_queue&&) = default;
  fair_queue& operator=(fair_queue&&) = delete;
  ~fair_queue() = default;

  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] bool empty() const { return items_.empty(); }

  /// The ID is new.
  void push(item what);

  /// The one that goes next. Not when empty.
  [[nodiscard]] const item& front() const;

  /// Takes the next one out and charges its tenant for the tokens that it really got.
  item pop(int64_t tokens);

  /// Takes one out that goes without anything.
  bool erase(uint64_t id);

  /// A tenant used so many more tokens than it was charged for (or less, when negative).
  void charge(const std::string& tenant, int64_t tokens);

  /// What will at least be granted until this item, not yet pushed, has been. Looks at a bounded
  /// number of tenants and priorities, so it may be too low; it is never too high unless others give
  /// up.
  [[nodiscard]] work until_granted(const item& what) const;

private:
  /// Higher priorities, then retries.
  struct rank {
    int32_t priority;
    bool is_retry;
    friend bool operator<(const rank& x, const rank& y) {
      return x.priority != y.priority ? x.priority > y.priority : x.is_retry && !y.is_retry;
    }
  };

  struct place {
    rank of;
    uint64_t arrival;
    friend bool operator<(const place& x, const place& y) {
      if (x.of < y.of)
        return true;
      return !(y.of < x.of) && x.arrival < y.arrival;
    }
  };

  struct tenant {
    double weight = 1;
    /// The virtual time at which its next call starts.
    double tag = 0;
    std::map<place, uint64_t> waiting;
    /// Of what is granted at least.
    std::map<rank, work> sums;
    work sum;
    /// Of one request, since somebody waits.
    int64_t most_tokens = 1;
  };
  using tenants = std::unordered_map<std::string, tenant>;
  using by_tag = std::set<std::pair<double, tenants::pointer>>;

  struct entry {
    item what;
    place where;
    tenants::pointer owner;
  };

  /// Idle tenants that are remembered because they are ahead of their share.
  static constexpr size_t most_idle = 10'000;

  tenants::pointer tenant_of(const std::string& name);
  void take_out(std::unordered_map<uint64_t, entry>::iterator found);
  void set_tag(tenants::pointer who, double tag);
  void advance(int64_t tokens);
  void forget_idle();

  const std::map<std::string, double>* weights_;
  tenants tenants_;
  by_tag active_;
  by_tag idle_;
  std::unordered_map<uint64_t, entry> items_;
  double now_ = 0;
  double active_weight_ = 0;
  uint64_t arrivals_ = 0;
};

} // namespace chainmail

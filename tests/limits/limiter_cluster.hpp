// Nodes that share a limit, whose connections and whose limiter can be lost.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/limits/leasing_limiter.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

namespace chainmail::test {

/// Between a node and the central limiter.
struct connection {
  /// What the central limiter takes for the node; null while that cannot be reached.
  rate_limiter_actor proxy;
  rate_limiter_actor node;
  size_t questions = 0;
};
using connection_ptr = std::shared_ptr<connection>;

/// Asks in its own name, as a holder of leases of its own.
inline rate_limiter_actor spawn_proxy(
    virtual_time& time, const rate_limiter_actor& central, const connection_ptr& to) {
  return time.system.spawn(
      [central, to](rate_limiter_actor::pointer self) -> rate_limiter_actor::behavior_type {
        return {
            [](acquire_atom, const demand&, const call_context&) -> caf::result<permit> {
              return permit{};
            },
            [](settle_atom, uint64_t, const permit_report&) {},
            [self, central](lease_atom, const lease_demand& what,
                const call_context& context) -> caf::result<lease> {
              auto caller = self->make_response_promise<lease>();
              compat::request(self, central, lease_atom_v, what, context)
                  .then([caller](const lease& x) mutable { caller.deliver(x); },
                      [caller](caf::error& x) mutable { caller.deliver(std::move(x)); });
              return caller;
            },
            [self, central](settle_atom, const lease_report& x) {
              compat::send(self, central, settle_atom_v, x);
            },
            [self, to](share_atom, limiter_share& x) -> caf::result<void> {
              if (to->proxy != self)
                return make_failure(errc::unavailable, "lost on the way");
              auto caller = self->make_response_promise<void>();
              return caller.delegate(to->node, share_atom_v, std::move(x));
            },
            [self, central](
                cancel_atom, const call_id& x) { compat::send(self, central, cancel_atom_v, x); },
            [](status_atom) -> caf::result<limiter_status> { return limiter_status{}; },
        };
      });
}

/// Stands for the central limiter on a node.
inline rate_limiter_actor spawn_forwarder(virtual_time& time, const connection_ptr& over) {
  return time.system.spawn(
      [over](rate_limiter_actor::pointer self) -> rate_limiter_actor::behavior_type {
        return {
            [](acquire_atom, const demand&, const call_context&) -> caf::result<permit> {
              return permit{};
            },
            [](settle_atom, uint64_t, const permit_report&) {},
            [self, over](lease_atom, const lease_demand& what,
                const call_context& context) -> caf::result<lease> {
              ++over->questions;
              if (!over->proxy)
                return make_failure(errc::unavailable, "not reached");
              auto caller = self->make_response_promise<lease>();
              compat::request(self, over->proxy, lease_atom_v, what, context)
                  .then(
                      [caller, over, proxy = over->proxy](const lease& x) mutable {
                        if (over->proxy == proxy)
                          caller.deliver(x);
                        else
                          caller.deliver(make_failure(errc::unavailable, "lost on the way"));
                      },
                      [caller](caf::error& x) mutable {
                        caller.deliver(to_failure(std::move(x), "the proxy"));
                      });
              return caller;
            },
            [self, over](settle_atom, const lease_report& x) {
              if (over->proxy)
                compat::send(self, over->proxy, settle_atom_v, x);
            },
            [](share_atom, const limiter_share&) {},
            [self, over](cancel_atom, const call_id& x) {
              if (over->proxy)
                compat::send(self, over->proxy, cancel_atom_v, x);
            },
            [](status_atom) -> caf::result<limiter_status> { return limiter_status{}; },
        };
      });
}

/// The callers of a node: so many wait at any time.
struct load {
  size_t wanted = 0;
  size_t waiting = 0;
  size_t in_flight = 0;
  size_t refused = 0;
  caf::timespan call_takes{0};
  std::vector<deadline::clock::time_point> granted;
  rate_limiter_actor limiter;
};

inline caf::actor spawn_callers(virtual_time& time, const std::shared_ptr<load>& of) {
  return time.system.spawn([&time, of](caf::event_based_actor* self) -> caf::behavior {
    return {[=, &time](turn_atom) {
      for (; of->waiting < of->wanted; ++of->waiting)
        compat::request(self, of->limiter, acquire_atom_v, demand{"key", 10, false},
            time.context(std::chrono::seconds{20}))
            .then(
                [=, &time](const permit& got) {
                  --of->waiting;
                  ++of->in_flight;
                  of->granted.push_back(time.now());
                  self->run_delayed(of->call_takes, [=] {
                    --of->in_flight;
                    compat::send(self, of->limiter, settle_atom_v, got.id, permit_report{});
                  });
                },
                [of](const caf::error&) {
                  --of->waiting;
                  ++of->refused;
                });
    }};
  });
}

/// Three nodes with leasing limiters, and a central one. All of them may be lost, and what connects
/// them.
struct cluster {
  using time_point = deadline::clock::time_point;
  static constexpr size_t node_count = 3;

  virtual_time time;
  rate_limiter_options options;
  rate_limiter_actor central;

  struct node {
    connection_ptr over;
    std::shared_ptr<load> calls;
    rate_limiter_actor limiter;
    rate_limiter_actor forwarder;
    caf::actor callers;
    bool is_cut = false;
  };
  std::array<node, node_count> nodes;
  /// By nodes that are gone.
  std::vector<deadline::clock::time_point> granted_before;
  /// Proxies of nodes that are cut off, and when that is noticed.
  std::vector<std::pair<time_point, rate_limiter_actor>> going;

  explicit cluster(rate_limiter_options chosen) : options(std::move(chosen)) {
    central = spawn_rate_limiter(time.system, options);
    for (auto& x : nodes)
      start(x);
  }

  ~cluster() {
    for (auto& x : nodes)
      stop(x);
    for (auto& x : going)
      kill(x.second);
    kill(central);
    time.settle();
  }

  template <class Handle>
  static void kill(Handle& what) {
    if (what)
      caf::anon_send_exit(what, caf::exit_reason::kill);
    what = nullptr;
  }

  void start(node& x) {
    x.over = std::make_shared<connection>();
    x.forwarder = spawn_forwarder(time, x.over);
    x.limiter = x.over->node = spawn_leasing_limiter(time.system, x.forwarder);
    x.calls = std::make_shared<load>();
    x.calls->limiter = x.limiter;
    x.callers = spawn_callers(time, x.calls);
    connect(x);
  }

  void connect(node& x) {
    if (central && !x.is_cut)
      x.over->proxy = spawn_proxy(time, central, x.over);
  }

  void stop(node& x) {
    kill(x.callers);
    kill(x.limiter);
    kill(x.forwarder);
    kill(x.over->proxy);
    x.over->node = nullptr;
    x.calls->limiter = nullptr;
    time.settle();
    granted_before.insert(granted_before.end(), x.calls->granted.begin(), x.calls->granted.end());
  }

  void replace(size_t i) {
    auto wanted = nodes[i].calls->wanted;
    stop(nodes[i]);
    start(nodes[i]);
    nodes[i].calls->wanted = wanted;
  }

  /// The central limiter notices later.
  void cut(size_t i, caf::timespan later = {}) {
    nodes[i].is_cut = true;
    going.emplace_back(time.now() + later, std::exchange(nodes[i].over->proxy, nullptr));
    forget_cut();
  }

  void forget_cut() {
    std::erase_if(going, [this](auto& x) {
      if (x.first > time.now())
        return false;
      kill(x.second);
      return true;
    });
    time.settle();
  }

  void heal(size_t i) {
    nodes[i].is_cut = false;
    connect(nodes[i]);
  }

  void kill_central() {
    kill(central);
    for (auto& x : nodes)
      kill(x.over->proxy);
    time.settle();
  }

  void start_central() {
    central = spawn_rate_limiter(time.system, options);
    for (auto& x : nodes)
      connect(x);
  }

  void demand_of(size_t first, size_t second, size_t third) {
    nodes[0].calls->wanted = first;
    nodes[1].calls->wanted = second;
    nodes[2].calls->wanted = third;
  }

  void run(caf::timespan span, caf::timespan step = std::chrono::milliseconds{50}) {
    for (auto end = time.now() + span; time.now() < end;) {
      for (auto& x : nodes)
        compat::anon_send(x.callers, turn_atom_v);
      time.advance(step);
      forget_cut();
    }
  }

  /// What a node was granted in the last while.
  size_t lately(size_t i, caf::timespan span) {
    return static_cast<size_t>(std::ranges::count_if(
        nodes[i].calls->granted, [&](time_point x) { return x > time.now() - span; }));
  }

  size_t lately(caf::timespan span) { return lately(0, span) + lately(1, span) + lately(2, span); }

  /// The most in any minute.
  size_t most_in_a_minute() {
    auto all = granted_before;
    for (auto& x : nodes)
      all.insert(all.end(), x.calls->granted.begin(), x.calls->granted.end());
    std::ranges::sort(all);
    size_t result = 0;
    size_t first = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      while (all[i] - all[first] >= std::chrono::minutes{1})
        ++first;
      result = std::max(result, i - first + 1);
    }
    return result;
  }

  size_t refused() {
    size_t result = 0;
    for (auto& x : nodes)
      result += x.calls->refused;
    return result;
  }
};

} // namespace chainmail::test

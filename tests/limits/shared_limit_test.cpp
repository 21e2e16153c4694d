// One limit over several nodes, while nodes, their connections and the central limiter come and go.
#include "support/virtual_time.hpp"

#include <chainmail/limits/leasing_limiter.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <vector>

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

using time_point = deadline::clock::time_point;
constexpr size_t node_count = 3;
constexpr size_t one_lease = 64;

rate_limiter_options requests_a_minute(int64_t limit) {
  rate_limiter_options result;
  result.defaults.requests_per_minute = limit;
  return result;
}

/// Between a node and the central limiter.
struct connection {
  /// What the central limiter takes for the node; null while that cannot be reached.
  rate_limiter_actor proxy;
  rate_limiter_actor node;
  size_t questions = 0;
};
using connection_ptr = std::shared_ptr<connection>;

/// Asks in its own name, as a holder of leases of its own.
rate_limiter_actor spawn_proxy(
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
              self->request(central, caf::infinite, lease_atom_v, what, context)
                  .then([caller](const lease& x) mutable { caller.deliver(x); },
                      [caller](caf::error& x) mutable { caller.deliver(std::move(x)); });
              return caller;
            },
            [self, central](
                settle_atom, const lease_report& x) { self->send(central, settle_atom_v, x); },
            [self, to](share_atom, limiter_share& x) -> caf::result<void> {
              auto caller = self->make_response_promise<void>();
              return caller.delegate(to->node, share_atom_v, std::move(x));
            },
            [self, central](
                cancel_atom, const call_id& x) { self->send(central, cancel_atom_v, x); },
            [](status_atom) -> caf::result<limiter_status> { return limiter_status{}; },
        };
      });
}

/// Stands for the central limiter on a node.
rate_limiter_actor spawn_forwarder(virtual_time& time, const connection_ptr& over) {
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
              self->request(over->proxy, caf::infinite, lease_atom_v, what, context)
                  .then([caller](const lease& x) mutable { caller.deliver(x); },
                      [caller](caf::error& x) mutable {
                        caller.deliver(to_failure(std::move(x), "the proxy"));
                      });
              return caller;
            },
            [self, over](settle_atom, const lease_report& x) {
              if (over->proxy)
                self->send(over->proxy, settle_atom_v, x);
            },
            [](share_atom, const limiter_share&) {},
            [self, over](cancel_atom, const call_id& x) {
              if (over->proxy)
                self->send(over->proxy, cancel_atom_v, x);
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
  std::vector<time_point> granted;
  rate_limiter_actor limiter;
};

caf::actor spawn_callers(virtual_time& time, const std::shared_ptr<load>& of) {
  return time.system.spawn([&time, of](caf::event_based_actor* self) -> caf::behavior {
    return {[=, &time](turn_atom) {
      for (; of->waiting < of->wanted; ++of->waiting)
        self->request(of->limiter, caf::infinite, acquire_atom_v, demand{"key", 10, false},
                time.context(20s))
            .then(
                [=, &time](const permit& got) {
                  --of->waiting;
                  ++of->in_flight;
                  of->granted.push_back(time.now());
                  self->run_delayed(of->call_takes, [=] {
                    --of->in_flight;
                    self->send(of->limiter, settle_atom_v, got.id, permit_report{});
                  });
                },
                [of](const caf::error&) {
                  --of->waiting;
                  ++of->refused;
                });
    }};
  });
}

struct cluster {
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
  std::vector<time_point> granted_before;

  explicit cluster(rate_limiter_options chosen) : options(std::move(chosen)) {
    central = spawn_rate_limiter(time.system, options);
    for (auto& x : nodes)
      start(x);
  }

  ~cluster() {
    for (auto& x : nodes)
      stop(x);
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

  void cut(size_t i) {
    nodes[i].is_cut = true;
    kill(nodes[i].over->proxy);
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

  void run(caf::timespan span, caf::timespan step = 50ms) {
    for (auto end = time.now() + span; time.now() < end;) {
      for (auto& x : nodes)
        caf::anon_send(x.callers, turn_atom_v);
      time.advance(step);
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
      while (all[i] - all[first] >= 60s)
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

} // namespace

TEST_CASE("three nodes use nearly all of a limit, under even and under skewed load") {
  cluster c{requests_a_minute(600)};
  c.demand_of(20, 20, 20);
  c.run(120s);
  CHECK(c.lately(60s) >= 570);
  c.demand_of(100, 1, 0);
  c.run(120s);
  CHECK(c.lately(60s) >= 570);
  c.demand_of(2, 2, 30);
  c.run(120s);
  CHECK(c.lately(60s) >= 570);
  CHECK(c.most_in_a_minute() <= 600);
}

TEST_CASE(
    "nodes go on with their shares when the central limiter is lost, and return to a new one") {
  cluster c{requests_a_minute(600)};
  c.demand_of(10, 10, 10);
  c.run(90s);
  c.kill_central();
  c.run(90s);
  for (size_t i = 0; i < node_count; ++i) {
    CHECK(c.lately(i, 60s) >= 190);
    CHECK(c.lately(i, 60s) <= 201);
  }
  c.demand_of(30, 1, 0);
  c.start_central();
  c.run(130s);
  CHECK(c.lately(60s) >= 570);
  CHECK(c.lately(0, 60s) >= 450);
  CHECK(c.refused() == 0);
  CHECK(c.most_in_a_minute() <= 610);
}

TEST_CASE("a node that used little has its full share when the central limiter is lost") {
  cluster c{requests_a_minute(600)};
  c.demand_of(30, 1, 1);
  c.run(20s);
  c.demand_of(30, 0, 0);
  c.run(100s);
  c.kill_central();
  c.demand_of(30, 30, 30);
  c.run(120s);
  for (size_t i = 0; i < node_count; ++i)
    CHECK(c.lately(i, 60s) >= 190);
  CHECK(c.most_in_a_minute() <= 610);
}

TEST_CASE("a share that other nodes got since is not used any more") {
  cluster c{requests_a_minute(600)};
  c.demand_of(5, 5, 5);
  c.run(10s);
  c.demand_of(30, 30, 0);
  // Beyond three minutes without use, and the time that a share is good.
  c.run(300s);
  c.kill_central();
  c.demand_of(30, 30, 30);
  c.run(90s);
  CHECK(c.lately(0, 60s) >= 290);
  CHECK(c.lately(1, 60s) >= 290);
  CHECK(c.lately(2, 60s) == 0);
  CHECK(c.nodes[2].calls->refused > 0);
  CHECK(c.most_in_a_minute() <= 610);
}

TEST_CASE("the share of a node that is cut off is left to it for a minute") {
  cluster c{requests_a_minute(600)};
  c.demand_of(10, 10, 10);
  c.run(90s);
  c.cut(0);
  c.run(59s);
  CHECK(c.lately(0, 50s) >= 155);
  CHECK(c.lately(1, 50s) + c.lately(2, 50s) >= 310);
  CHECK(c.most_in_a_minute() <= 610);
  // It was dead.
  c.demand_of(0, 10, 10);
  c.run(70s);
  CHECK(c.lately(60s) >= 570);
}

TEST_CASE("a node that is cut off for a while comes back to what it had") {
  cluster c{requests_a_minute(600)};
  c.demand_of(10, 10, 10);
  c.run(90s);
  c.cut(0);
  c.run(20s);
  c.heal(0);
  c.run(70s);
  CHECK(c.lately(60s) >= 570);
  CHECK(c.refused() == 0);
  CHECK(c.most_in_a_minute() <= 610);
}

TEST_CASE("a burst before the loss is made up for after it") {
  auto options = requests_a_minute(600);
  options.defaults.request_burst = 300;
  cluster c{options};
  c.demand_of(1, 1, 1);
  c.run(1s);
  c.demand_of(0, 0, 0);
  c.run(55s);
  c.demand_of(200, 200, 200);
  c.run(500ms);
  CHECK(c.lately(1s) >= 300);
  c.kill_central();
  c.run(10s);
  c.start_central();
  c.run(20s);
  c.kill_central();
  c.run(60s);
  CHECK(c.most_in_a_minute() <= 600 + node_count * one_lease);
}

TEST_CASE("without its forwarder a node goes on with its share for ever") {
  cluster c{requests_a_minute(600)};
  c.demand_of(10, 10, 10);
  c.run(30s);
  c.kill(c.nodes[0].forwarder);
  c.run(200s);
  CHECK(c.lately(0, 60s) >= 190);
  CHECK(c.lately(0, 60s) <= 201);
  CHECK(c.nodes[0].calls->refused == 0);
}

TEST_CASE("a limit on calls in flight is shared as well") {
  rate_limiter_options options;
  options.defaults.max_in_flight = 7;
  cluster c{options};
  for (auto& x : c.nodes)
    x.calls->call_takes = 1s;
  c.demand_of(10, 10, 10);
  c.run(30s);
  auto in_flight = [&] {
    size_t result = 0;
    for (auto& x : c.nodes)
      result += x.calls->in_flight;
    return result;
  };
  CHECK(in_flight() <= 7);
  c.kill_central();
  c.run(10s);
  for (auto& x : c.nodes)
    CHECK(x.calls->in_flight == 2);
  c.start_central();
  c.run(10s);
  CHECK(in_flight() <= 7);
  CHECK(in_flight() >= 6);
}

TEST_CASE("who waits is not asked for more than once a second while nobody answers") {
  cluster c{requests_a_minute(60)};
  c.demand_of(100, 1, 1);
  c.run(10s);
  c.kill_central();
  c.run(1s);
  auto before = c.nodes[0].over->questions;
  c.run(10s);
  CHECK(c.nodes[0].over->questions - before <= 11);
  CHECK(c.nodes[0].over->questions - before >= 9);
}

TEST_CASE("no minute has more than the limit and one lease a node, whatever is lost and returns") {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto limit = seed % 2 == 0 ? 600 : 3'000;
    cluster c{requests_a_minute(limit)};
    auto cut_until = c.time.now();
    auto lost_until = c.time.now();
    size_t cut_node = node_count;
    size_t losses = 0;
    for (int i = 0; i < 200; ++i) {
      for (auto& x : c.nodes)
        if (random() % 4 == 0)
          x.calls->wanted = random() % 3 == 0 ? 0 : random() % 60;
      auto now = c.time.now();
      if (!c.central && now >= lost_until)
        c.start_central();
      if (cut_node < node_count && now >= cut_until)
        c.heal(std::exchange(cut_node, node_count));
      switch (random() % 12) {
      case 0:
        if (c.central) {
          c.kill_central();
          lost_until = now + std::chrono::seconds{random() % 60};
          ++losses;
        }
        break;
      case 1:
        if (cut_node == node_count) {
          cut_node = random() % node_count;
          c.cut(cut_node);
          // Who is cut off for more than a minute is taken for dead.
          cut_until = now + std::chrono::seconds{random() % 50};
          ++losses;
        }
        break;
      case 2:
        if (auto node = random() % node_count; node != cut_node) {
          c.replace(node);
          ++losses;
        }
        break;
      default:
        break;
      }
      c.run(std::chrono::milliseconds{500 + random() % 6'000}, 100ms);
    }
    INFO(losses << " losses, " << c.most_in_a_minute() << " in a minute");
    CHECK(losses > 20);
    CHECK(c.most_in_a_minute() <= static_cast<size_t>(limit) + node_count * one_lease);
    CHECK(c.most_in_a_minute() >= static_cast<size_t>(limit) * 9 / 10);
  }
}

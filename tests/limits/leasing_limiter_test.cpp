#include "support/refusal.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/limits/leasing_limiter.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <vector>

namespace leasing_limiter_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

rate_limiter_options requests_a_minute(int64_t limit) {
  rate_limiter_options result;
  result.defaults.requests_per_minute = limit;
  return result;
}

rate_limiter_options in_flight(uint64_t limit) {
  rate_limiter_options result;
  result.defaults.max_in_flight = limit;
  return result;
}

/// Counts the leases that pass.
rate_limiter_actor spawn_counting(
    virtual_time& time, const rate_limiter_actor& to, const std::shared_ptr<size_t>& leases) {
  return time.system.spawn(
      [to, leases](rate_limiter_actor::pointer self) -> rate_limiter_actor::behavior_type {
        return {
            [](acquire_atom, const demand&, const call_context&) -> caf::result<permit> {
              return permit{};
            },
            [](settle_atom, uint64_t, const permit_report&) {},
            [self, to, leases](
                lease_atom, lease_demand& what, call_context& context) -> caf::result<lease> {
              ++*leases;
              auto caller = self->make_response_promise<lease>();
              return caller.delegate(to, lease_atom_v, std::move(what), std::move(context));
            },
            [self, to](
                settle_atom, const lease_report& x) { compat::send(self, to, settle_atom_v, x); },
            [](share_atom, const limiter_share&) {},
            [self, to](cancel_atom, const call_id& x) { compat::send(self, to, cancel_atom_v, x); },
            [](status_atom) -> caf::result<limiter_status> { return limiter_status{}; },
        };
      });
}

struct fixture {
  virtual_time time;
  std::vector<caf::actor> holders;
  rate_limiter_actor central;
  std::shared_ptr<size_t> leases = std::make_shared<size_t>(0);
  rate_limiter_actor proxy;
  std::vector<rate_limiter_actor> nodes;

  explicit fixture(rate_limiter_options options, size_t count = 1)
    : central(spawn_rate_limiter(time.system, std::move(options))),
      proxy(spawn_counting(time, central, leases)) {
    for (size_t i = 0; i < count; ++i)
      nodes.push_back(spawn_leasing_limiter(time.system, proxy));
    time.settle();
  }

  ~fixture() {
    for (auto& holder : holders)
      caf::anon_send_exit(holder, caf::exit_reason::kill);
    for (auto& node : nodes)
      caf::anon_send_exit(node, caf::exit_reason::kill);
    caf::anon_send_exit(proxy, caf::exit_reason::kill);
    caf::anon_send_exit(central, caf::exit_reason::kill);
    time.settle();
  }

  auto acquire(const call_context& context, int64_t tokens = 10, size_t node = 0) {
    auto result = std::make_shared<reply<permit>>();
    holders.push_back(
        time.system.spawn([=, to = nodes[node]](caf::event_based_actor* self) -> caf::behavior {
          compat::request(self, to, acquire_atom_v, demand{"key", tokens, false}, context)
              .then(
                  [result](const permit& x) {
                    result->result = x;
                    ++result->answers;
                  },
                  [result](const caf::error& x) {
                    result->error = x;
                    ++result->answers;
                  });
          return {[](turn_atom) {}};
        }));
    time.settle();
    return result;
  }

  auto acquire() { return acquire(time.context()); }

  void settle(uint64_t id, const permit_report& report = {}, size_t node = 0) {
    compat::anon_send(nodes[node], settle_atom_v, id, report);
    time.settle();
  }

  limiter_key_status status() {
    auto result = ask<limiter_status>(time, central, status_atom_v);
    time.settle();
    REQUIRE(result->result);
    REQUIRE(result->result->keys.size() == 1);
    return result->result->keys.front();
  }
};

} // namespace

TEST_CASE("a leasing limiter is refused a handle or a queue that is none") {
  virtual_time time;
  CHECK(refusal_of([&] { spawn_leasing_limiter(time.system, {}); }).find("central") !=
        std::string::npos);
  auto central = spawn_rate_limiter(time.system);
  CHECK(refusal_of([&] { spawn_leasing_limiter(time.system, central, {0}); }).find("max_waiting") !=
        std::string::npos);
}

TEST_CASE("callers of a node get permits that count at the central limiter") {
  rate_limiter_options options;
  options.defaults.tokens_per_minute = 60'000;
  fixture f{options};
  auto got = f.acquire(f.time.context(), 100);
  REQUIRE(got->result);
  CHECK(f.status().in_flight == 1);
  CHECK(f.status().tokens_used == 100);
  f.settle(got->result->id, {permit_use::answered, 40, {}, {}});
  f.settle(got->result->id, {permit_use::answered, 40, {}, {}});
  f.settle(4711);
  CHECK(f.status().in_flight == 1);
  f.time.advance(50ms);
  CHECK(f.status().in_flight == 0);
  CHECK(f.status().tokens_used == 40);
}

TEST_CASE("a busy node sends much less than one message a call") {
  fixture f{{}};
  for (int i = 0; i < 1'000; ++i) {
    f.time.advance(1ms);
    auto got = f.acquire();
    REQUIRE(got->result);
    f.settle(got->result->id);
  }
  INFO(*f.leases << " leases for 1000 calls");
  CHECK(*f.leases < 200);
  f.time.advance(3s);
  f.time.advance(1s);
  CHECK(f.status().in_flight == 0);
}

TEST_CASE("the limits hold over several nodes, and little is left unused") {
  fixture f{requests_a_minute(600), 2};
  std::vector<deadline::clock::time_point> sent;
  size_t next[2] = {0, 0};
  std::vector<std::shared_ptr<reply<permit>>> of[2];
  for (int i = 0; i < 1'500; ++i)
    of[i % 2].push_back(f.acquire(f.time.context(), 10, static_cast<size_t>(i % 2)));
  for (int step = 0; step < 120 * 50; ++step) {
    f.time.advance(20ms);
    for (size_t node = 0; node < 2; ++node)
      while (next[node] < of[node].size() && !of[node][next[node]]->pending()) {
        REQUIRE(of[node][next[node]]->result);
        sent.push_back(f.time.now());
        f.settle(of[node][next[node]]->result->id, {}, node);
        ++next[node];
      }
  }
  CHECK(sent.size() >= 1'188);
  for (size_t i = 600; i < sent.size(); ++i)
    CHECK(sent[i] - sent[i - 600] >= 60s);
  for (size_t node = 0; node < 2; ++node)
    for (; next[node] < of[node].size(); ++next[node])
      CHECK(of[node][next[node]]->pending());
}

TEST_CASE("what a node has out comes back when the node goes down") {
  fixture f{in_flight(2), 2};
  CHECK(f.acquire()->result);
  CHECK(f.acquire()->result);
  auto late = f.acquire();
  auto other = f.acquire(f.time.context(), 10, 1);
  CHECK(other->pending());
  caf::anon_send_exit(f.nodes[0], caf::exit_reason::kill);
  f.time.settle();
  CHECK(late->error);
  CHECK(other->result);
  CHECK(f.status().in_flight == 1);
}

TEST_CASE("a caller of a node that goes down gives its permit back") {
  fixture f{in_flight(1)};
  CHECK(f.acquire()->result);
  auto gone = f.acquire();
  auto waits = f.acquire();
  for (size_t i = 0; i < 2; ++i)
    caf::anon_send_exit(f.holders[i], caf::exit_reason::kill);
  f.time.advance(50ms);
  CHECK(waits->result);
}

TEST_CASE("without a share, callers hear when the central limiter goes down") {
  fixture f{in_flight(1), 2};
  CHECK(f.acquire()->result);
  auto other = f.acquire(f.time.context(), 10, 1);
  CHECK(other->pending());
  caf::anon_send_exit(f.proxy, caf::exit_reason::kill);
  f.time.settle();
  CHECK(other->error == errc::unavailable);
  CHECK(f.acquire()->error == errc::unavailable);
  f.time.advance(5s);
  CHECK(f.acquire()->error == errc::unavailable);
}

TEST_CASE("a node's callers are refused what the central limiter refuses") {
  rate_limiter_options options;
  options.defaults.tokens_per_minute = 1'000;
  fixture f{options};
  auto large = f.acquire(f.time.context(), 2'000);
  CHECK(large->error == errc::invalid_input);
  CHECK(f.acquire(f.time.context(), 900)->result);
  CHECK(f.acquire(f.time.context(5s), 900)->error == errc::rate_limited);
  auto waits = f.acquire(f.time.context(), 900);
  CHECK(waits->pending());
  f.time.advance(61s);
  CHECK(waits->result);
}

TEST_CASE("a caller of a node gives up, or its deadline passes, and the next one gets the permit") {
  fixture f{in_flight(1)};
  auto first = f.acquire();
  REQUIRE(first->result);
  auto context = f.time.context();
  auto cancelled = f.acquire(context);
  auto late = f.acquire(f.time.context(1s));
  auto waits = f.acquire();
  compat::anon_send(f.nodes[0], cancel_atom_v, context.id);
  f.time.settle();
  CHECK(cancelled->error == errc::cancelled);
  f.time.advance(1s);
  CHECK(late->error == errc::rate_limited);
  f.settle(first->result->id);
  f.time.advance(50ms);
  CHECK(waits->result);
}

TEST_CASE("an urgent call of one node goes before calls of another that wait longer") {
  fixture f{in_flight(1), 2};
  auto first = f.acquire();
  auto plain = f.acquire();
  auto other = f.acquire(f.time.context(), 10, 1);
  auto context = f.time.context();
  context.priority = 5;
  auto urgent = f.acquire(context, 10, 1);
  f.settle(first->result->id);
  f.time.advance(50ms);
  CHECK(urgent->result);
  CHECK(plain->pending());
  CHECK(other->pending());
}

TEST_CASE("a 429 is told at once, and takes the stock back") {
  fixture f{{}};
  std::shared_ptr<reply<permit>> last;
  for (int i = 0; i < 300; ++i) {
    f.time.advance(1ms);
    last = f.acquire();
    if (i < 299)
      f.settle(last->result->id);
  }
  f.time.advance(50ms);
  CHECK(f.status().in_flight > 1);
  f.settle(last->result->id, {permit_use::rate_limited, -1, 10s, {}});
  CHECK(f.status().in_flight == 0);
  CHECK(f.status().paused_for == 10s);
  auto waits = f.acquire();
  f.time.advance(9s);
  CHECK(waits->pending());
  f.time.advance(2s);
  CHECK(waits->result);
}

} // namespace leasing_limiter_test

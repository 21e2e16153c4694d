#include "support/refusal.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <catch2/catch_test_macros.hpp>

#include <vector>

namespace rate_limiter_test {

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

/// Its callers live until it is gone: a permit comes back when its holder dies.
struct fixture {
  virtual_time time;
  std::vector<caf::actor> holders;
  rate_limiter_actor limiter;

  explicit fixture(rate_limiter_options options)
    : limiter(spawn_rate_limiter(time.system, std::move(options))) {}

  ~fixture() {
    for (size_t i = 0; i < holders.size(); ++i)
      kill(i);
  }

  void kill(size_t holder) {
    caf::anon_send_exit(holders[holder], caf::exit_reason::kill);
    time.settle();
  }

  template <class Result, class... Ts>
  auto hold(Ts... xs) {
    auto result = std::make_shared<reply<Result>>();
    holders.push_back(time.system.spawn(
        [result, to = limiter, xs...](caf::event_based_actor* self) -> caf::behavior {
          compat::request(self, to, xs...)
              .then(
                  [result](const Result& x) {
                    result->result = x;
                    ++result->answers;
                  },
                  [result](const caf::error& x) {
                    result->error = x;
                    ++result->answers;
                  });
          return {[](turn_atom) {}, [](share_atom, const limiter_share&) {}};
        }));
    time.settle();
    return result;
  }

  auto acquire(call_context context, demand what = {"key", 10, false}) {
    return hold<permit>(acquire_atom_v, std::move(what), std::move(context));
  }

  auto acquire() { return acquire(time.context()); }

  auto take_lease(lease_demand what) {
    return hold<lease>(lease_atom_v, std::move(what), time.context());
  }

  void settle(uint64_t id, permit_use use, int64_t tokens = -1,
      std::optional<caf::timespan> retry_after = {}) {
    compat::anon_send(limiter, settle_atom_v, id, permit_report{use, tokens, retry_after, {}});
    time.settle();
  }

  limiter_key_status status() {
    auto result = ask<limiter_status>(time, limiter, status_atom_v);
    time.settle();
    REQUIRE(result->result);
    REQUIRE(result->result->keys.size() == 1);
    return result->result->keys.front();
  }
};

} // namespace

TEST_CASE("options that can never work are refused with a sentence") {
  virtual_time time;
  auto refusal = [&](rate_limiter_options options) {
    return refusal_of([&] { spawn_rate_limiter(time.system, std::move(options)); });
  };
  CHECK(refusal({}) == "accepted");
  CHECK(refusal(requests_a_minute(0)).find("requests_per_minute must be") != std::string::npos);
  CHECK(refusal(in_flight(0)).find("max_in_flight must be") != std::string::npos);
  rate_limiter_options options;
  options.weights["a"] = 0;
  CHECK(refusal(options).find("weight of tenant \"a\"") != std::string::npos);
  options = {};
  options.keys["k"].token_burst = -1;
  CHECK(refusal(options).find("limits of \"k\": token_burst") != std::string::npos);
  options = {};
  options.max_waiting = 0;
  CHECK(refusal(options).find("max_waiting") != std::string::npos);
}

TEST_CASE("a request within the limits gets its permit at once, the next ones when it is time") {
  fixture f{requests_a_minute(60)};
  auto first = f.acquire();
  auto second = f.acquire();
  auto third = f.acquire();
  REQUIRE(first->result);
  CHECK(second->pending());
  f.time.advance(1'100ms);
  CHECK(second->result);
  CHECK(third->pending());
  f.time.advance(1'100ms);
  REQUIRE(third->result);
  CHECK(first->result->id != third->result->id);
}

TEST_CASE("each key has limits of its own") {
  auto options = requests_a_minute(60);
  options.keys["fast"].requests_per_minute = 6'000;
  fixture f{options};
  auto get = [&](const char* key) { return f.acquire(f.time.context(), {key, 1, false}); };
  CHECK(get("slow")->result);
  auto late = get("slow");
  CHECK(late->pending());
  CHECK(get("other")->result);
  CHECK(get("fast")->result);
  CHECK(get("fast")->result);
  f.time.advance(2s);
  CHECK(late->result);
}

TEST_CASE("a deadline that cannot be met is refused at once, and one that passes when it does") {
  fixture f{in_flight(1)};
  auto first = f.acquire();
  auto waits = f.acquire(f.time.context(5s));
  auto passed = f.acquire(f.time.context(0s));
  CHECK(passed->error == errc::rate_limited);
  f.time.advance(4s);
  CHECK(waits->pending());
  f.time.advance(1s);
  CHECK(waits->error == errc::rate_limited);
  CHECK(sentence_of(waits->error).find("the deadline passed while") != std::string::npos);
  f.settle(first->result->id, permit_use::rate_limited, -1, 30s);
  CHECK(f.acquire(f.time.context(5s))->error == errc::rate_limited);
  auto later = f.acquire(f.time.context(35s));
  CHECK(later->pending());
  f.time.advance(30s);
  CHECK(later->result);
}

TEST_CASE("more callers than may wait are answered at once") {
  auto options = in_flight(1);
  options.max_waiting = 2;
  fixture f{options};
  auto first = f.acquire();
  auto second = f.acquire();
  auto third = f.acquire();
  auto fourth = f.acquire();
  CHECK(fourth->error == errc::overloaded);
  f.settle(first->result->id, permit_use::answered);
  REQUIRE(second->result);
  f.settle(second->result->id, permit_use::answered);
  CHECK(third->result);
}

TEST_CASE("what a permit's report says is what is charged") {
  rate_limiter_options options;
  options.defaults.tokens_per_minute = 60'000;
  fixture f{options};
  auto use = [&](permit_use how, int64_t tokens) {
    auto before = f.status().tokens_used;
    auto got = f.acquire(f.time.context(), {"key", 100, false});
    REQUIRE(got->result);
    f.settle(got->result->id, how, tokens);
    f.settle(got->result->id, how, tokens); // of a permit that is no more
    CHECK(f.status().in_flight == 0);
    auto charged = f.status().tokens_used - before;
    f.time.advance(1s);
    return charged;
  };
  f.settle(f.acquire(f.time.context(), {"key", 1, false})->result->id, permit_use::answered);
  CHECK(use(permit_use::answered, 30) == 30);
  CHECK(use(permit_use::answered, 130) == 130);
  CHECK(use(permit_use::answered, -1) == 100);
  CHECK(use(permit_use::failed, -1) == 100);
  CHECK(use(permit_use::failed, 0) == 0);
  CHECK(use(permit_use::unused, 70) == 0);
  CHECK(use(permit_use::rate_limited, -1) == 0);
}

TEST_CASE("permits of a holder that dies come back, and its waiting calls leave the queue") {
  fixture f{in_flight(1)};
  CHECK(f.acquire()->result);
  auto doomed = f.acquire();
  auto waits = f.acquire();
  CHECK(f.status().waiting == 2);
  f.kill(1);
  CHECK(f.status().waiting == 1);
  CHECK(waits->pending());
  f.kill(0);
  CHECK(waits->result);
  CHECK(f.status().in_flight == 1);
  f.kill(2);
  CHECK(f.status().in_flight == 0);
}

TEST_CASE("a caller gives up waiting by ID, or with all of its root") {
  fixture f{in_flight(1)};
  auto first = f.acquire();
  auto context = f.time.context();
  auto one = f.acquire(context.child(0));
  auto two = f.acquire(context.child(1));
  auto three = f.acquire(context.child(2));
  auto other = f.acquire();
  compat::anon_send(f.limiter, cancel_atom_v, call_id{});
  compat::anon_send(f.limiter, cancel_atom_v, context.child(1).id);
  f.time.settle();
  CHECK(two->error == errc::cancelled);
  CHECK(one->pending());
  compat::anon_send(f.limiter, cancel_atom_v, context.id);
  f.time.settle();
  CHECK(one->error == errc::cancelled);
  CHECK(three->error == errc::cancelled);
  CHECK(other->pending());
  f.settle(first->result->id, permit_use::answered);
  CHECK(other->result);
}

TEST_CASE("the most urgent call of a tenant goes first, then a retry, then the oldest") {
  fixture f{in_flight(1)};
  auto first = f.acquire();
  auto plain = f.acquire();
  auto again = f.acquire(f.time.context(), {"key", 10, true});
  auto context = f.time.context();
  context.priority = 1;
  auto urgent = f.acquire(context);
  f.settle(first->result->id, permit_use::answered);
  REQUIRE(urgent->result);
  CHECK(again->pending());
  f.settle(urgent->result->id, permit_use::answered);
  REQUIRE(again->result);
  CHECK(plain->pending());
  f.settle(again->result->id, permit_use::answered);
  CHECK(plain->result);
}

TEST_CASE("hostile numbers do no harm") {
  fixture f{requests_a_minute(600)};
  CHECK(f.acquire(f.time.context(), {"key", -5, false})->result);
  CHECK(f.acquire(f.time.context(), {"key", INT64_MAX, true})->result);
  CHECK(f.take_lease({"key", 0, 1})->result->permits == 0);
  auto got = f.take_lease({"key", UINT32_MAX, INT64_MIN});
  f.time.advance(1s);
  REQUIRE(got->result);
  CHECK(got->result->permits >= 1);
  lease_report report;
  report.id = got->result->id;
  report.answered = report.failed = report.unused = report.rate_limited = UINT32_MAX;
  report.tokens_reserved = INT64_MIN;
  report.tokens_used = INT64_MAX;
  report.retry_after = caf::timespan::min();
  report.limits = provider_limits{INT64_MAX, INT64_MIN, caf::timespan::max(), INT64_MIN, 1, {}};
  compat::anon_send(f.limiter, settle_atom_v, report);
  compat::anon_send(f.limiter, acquire_atom_v, demand{"key", 1, false}, f.time.context());
  f.time.settle();
  CHECK(f.status().in_flight == 2);
  CHECK(f.acquire(f.time.context(), {std::string(100'000, 'x'), 1, false})->error ==
        errc::invalid_input);
  auto after = f.acquire();
  f.time.advance(70s);
  CHECK(after->result);
}

TEST_CASE("a lease counts in flight until it was reported, and comes back with its node") {
  fixture f{in_flight(10)};
  auto taken = f.take_lease({"key", 64, 640});
  REQUIRE(taken->result);
  CHECK(taken->result->permits == 10);
  CHECK(taken->result->tokens == 100);
  CHECK(taken->result->valid_for == 2s);
  auto waits = f.acquire();
  CHECK(waits->pending());
  lease_report report;
  report.id = taken->result->id;
  report.answered = 3;
  report.unused = 1;
  report.tokens_reserved = 40;
  report.tokens_used = 25;
  compat::anon_send(f.limiter, settle_atom_v, report);
  f.time.settle();
  CHECK(waits->result);
  CHECK(f.status().in_flight == 7);
  f.kill(0);
  CHECK(f.status().in_flight == 1);
}

TEST_CASE("keys that nobody uses any more make room for new ones") {
  fixture f{requests_a_minute(600)};
  auto get = [&](int i) {
    auto result = ask<permit>(f.time, f.limiter, acquire_atom_v,
        demand{"key " + std::to_string(i), 1, false}, f.time.context());
    f.time.settle();
    return result;
  };
  for (int i = 0; i < 10'000; ++i)
    get(i);
  CHECK(get(10'000)->error == errc::overloaded);
  f.time.advance(70s);
  CHECK(get(10'000)->result);
  CHECK(f.status().key == "key 10000");
}

} // namespace rate_limiter_test

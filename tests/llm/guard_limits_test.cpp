// The guard and its rate limiter.
#include "support/guard_fixture.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace guard_limits_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct limited_fixture : guard_fixture {
  rate_limiter_options limits;

  void limit() { options.limiter = spawn_rate_limiter(time.system, limits); }

  limiter_status status() {
    auto reply = ask<limiter_status>(time, options.limiter, status_atom_v);
    time.settle();
    return reply->result.value();
  }

  uint64_t in_flight() {
    uint64_t result = 0;
    for (const auto& key : status().keys)
      result += key.in_flight + key.waiting;
    return result;
  }

  ~limited_fixture() { caf::anon_send_exit(options.limiter, caf::exit_reason::user_shutdown); }
};

} // namespace

TEST_CASE("a guarded call waits for its permit") {
  limited_fixture f;
  f.limits.defaults.max_in_flight = 1;
  f.limit();
  f.fake->reply = [] { return answer_with("x", 1s); };
  auto one = f.start();
  auto two = f.start();
  CHECK(f.fake->calls.size() == 1);
  f.pass(1s);
  CHECK(one->result);
  CHECK(f.fake->calls.size() == 2);
  f.pass(1s);
  CHECK(two->result);
  CHECK(f.in_flight() == 0);
}

TEST_CASE("a guard counts a target's limits under its name and the model") {
  limited_fixture f;
  f.limit();
  f.request.parameters.model = "large";
  f.run();
  auto status = f.status();
  REQUIRE(status.keys.size() == 1);
  CHECK(status.keys[0].key == "first large");
}

TEST_CASE("a guarded call that waits for its permit can be cancelled") {
  limited_fixture f;
  f.limits.defaults.max_in_flight = 1;
  f.limit();
  f.fake->reply = [] { return answer_with("x", 1s); };
  auto one = f.start();
  auto context = f.time.context();
  auto two = f.start(context);
  compat::anon_send(f.guard, cancel_atom_v, context.id);
  f.time.settle();
  CHECK(two->error == errc::cancelled);
  CHECK(f.in_flight() == 1);
  f.pass(2s);
  CHECK(one->result);
  CHECK(f.fake->calls.size() == 1);
  CHECK(f.in_flight() == 0);
}

TEST_CASE("a cancelled call gives its permit back") {
  limited_fixture f;
  f.limit();
  f.fake->reply = [] { return answer_with("x", caf::timespan{caf::infinite}); };
  auto context = f.time.context();
  auto reply = f.start(context);
  CHECK(f.in_flight() == 1);
  compat::anon_send(f.guard, cancel_atom_v, context.id);
  f.time.settle();
  CHECK(f.in_flight() == 0);
}

TEST_CASE("a guard that is killed gives its permits back") {
  limited_fixture f;
  f.limit();
  f.fake->reply = [] { return answer_with("x", caf::timespan{caf::infinite}); };
  auto reply = f.start();
  CHECK(f.in_flight() == 1);
  caf::anon_send_exit(f.guard, caf::exit_reason::kill);
  f.time.settle();
  CHECK_FALSE(reply->pending());
  CHECK(f.in_flight() == 0);
}

TEST_CASE("one 429 holds back every call of its key") {
  limited_fixture f;
  f.limit();
  f.fake->reply = [&f] { return f.fake->calls.size() == 1 ? limit_with(5s) : answer_with("x"); };
  auto one = f.start();
  auto two = f.start();
  f.pass(4s);
  CHECK(f.fake->calls.size() == 1);
  f.pass(2s);
  CHECK(one->result);
  CHECK(two->result);
  CHECK(one->result->attempts.size() == 2);
  CHECK(two->result->attempts.size() == 1);
}

TEST_CASE("two 429s with Retry-After 1 cost little more than two seconds") {
  limited_fixture f;
  f.limit();
  f.options.limits_are_known = GENERATE(true, false);
  f.fake->reply = [&f] { return f.fake->calls.size() <= 2 ? limit_with(1s) : answer_with("x"); };
  auto begin = f.time.now();
  REQUIRE(f.run().result);
  CHECK(f.fake->calls.back().at - begin >= 2s);
  CHECK(f.fake->calls.back().at - begin < 2300ms);
}

TEST_CASE("a limiter is left alone while an endpoint does not speak of limits") {
  limited_fixture f;
  f.limits.defaults.max_in_flight = 1;
  f.limit();
  f.options.limits_are_known = false;
  f.run(); // it may speak of some in its first answer
  f.fake->reply = [] { return answer_with("x", 1s); };
  f.start();
  f.start();
  CHECK(f.fake->calls.size() == 3);
  f.pass(1s);
  SECTION("in a header") {
    f.fake->like.limits.emplace();
    f.run();
  }
  SECTION("by a 429") {
    f.fake->reply = [&f] {
      return f.fake->calls.size() == 4 ? limit_with(1s) : answer_with("x", 1s);
    };
    f.run();
  }
  auto calls = f.fake->calls.size();
  f.fake->like.limits.reset();
  f.start();
  f.start();
  CHECK(f.fake->calls.size() == calls + 1);
  f.pass(3s);
}

TEST_CASE("a limiter that is gone does not silence a call") {
  limited_fixture f;
  f.limit();
  caf::anon_send_exit(f.options.limiter, caf::exit_reason::kill);
  f.time.settle();
  f.options.retry.max_attempts = 2;
  auto reply = f.run();
  CHECK(reply.error == errc::shut_down);
  CHECK(f.fake->calls.empty());
}

TEST_CASE("what a call really used is what its limit counts") {
  limited_fixture f;
  f.limits.defaults.tokens_per_minute = 100'000;
  f.limit();
  f.request.parameters.max_tokens = 5'000;
  f.fake->like.usage = {10, 20, 30};
  f.run();
  CHECK(f.status().keys.at(0).tokens_used == 30);
}

} // namespace guard_limits_test

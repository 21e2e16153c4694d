#include <chainmail/llm/policies/circuit_breaker.hpp>

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <limits>
#include <random>
#include <vector>

namespace circuit_breaker_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = circuit_breaker::time_point;
using mode = circuit_breaker::mode;

const time_point start{1h};

void fail(circuit_breaker& breaker, time_point now, int calls) {
  for (int i = 0; i < calls; ++i)
    breaker.failed(breaker.allow(now).value(), now);
}

void succeed(circuit_breaker& breaker, time_point now, int calls) {
  for (int i = 0; i < calls; ++i)
    breaker.succeeded(breaker.allow(now).value(), now);
}

circuit_breaker opened() {
  circuit_breaker result{{}};
  fail(result, start, 20);
  return result;
}

std::string complaint(void (*change)(breaker_options&)) {
  breaker_options options;
  change(options);
  return sentence_of(check(options));
}

} // namespace

TEST_CASE("breaker options that can never work are refused with the name of the option") {
  CHECK_FALSE(check(breaker_options{}));
  auto names = [](const std::string& sentence, const char* option) {
    CAPTURE(sentence);
    return sentence.find(option) != std::string::npos;
  };
  CHECK(names(complaint([](auto& x) { x.min_calls = 0; }), "min_calls"));
  CHECK(names(complaint([](auto& x) { x.failure_share = 0; }), "failure_share"));
  CHECK(names(complaint([](auto& x) { x.failure_share = 1.1; }), "failure_share"));
  CHECK(
      names(complaint([](auto& x) { x.failure_share = std::numeric_limits<double>::quiet_NaN(); }),
          "failure_share"));
  CHECK(names(complaint([](auto& x) { x.window = 0s; }), "window"));
  CHECK(names(complaint([](auto& x) { x.open_for = 0s; }), "open_for"));
}

TEST_CASE("only failures of the endpoint itself count against it") {
  std::vector<errc> counted;
  for (int i = 0; i < 256; ++i)
    if (is_endpoint_failure(static_cast<errc>(i)))
      counted.push_back(static_cast<errc>(i));
  CHECK(counted == std::vector{errc::server_error, errc::connection_failed, errc::timed_out,
                       errc::malformed_response, errc::shut_down});
}

TEST_CASE("an outage opens the breaker after min_calls") {
  circuit_breaker breaker{{}};
  CHECK(breaker.retry_at() == time_point::min());
  fail(breaker, start, 19);
  CHECK(breaker.current(start) == mode::closed);
  fail(breaker, start, 1);
  CHECK(breaker.current(start) == mode::open);
  CHECK_FALSE(breaker.allow(start));
  CHECK(breaker.retry_at() == start + 1s);
}

TEST_CASE("an outage opens the breaker as soon after many good calls") {
  circuit_breaker breaker{{}};
  succeed(breaker, start, 10'000);
  fail(breaker, start, 20);
  CHECK(breaker.current(start) == mode::open);
}

TEST_CASE("a share of failures that is no accident opens the breaker") {
  circuit_breaker breaker{{}};
  auto now = start;
  std::mt19937 random{1};
  std::bernoulli_distribution fails{0.8};
  int calls = 0;
  for (; breaker.current(now) == mode::closed && calls < 1000; ++calls) {
    auto sent = breaker.allow(now).value();
    fails(random) ? breaker.failed(sent, now) : breaker.succeeded(sent, now);
    now += 5ms;
  }
  CHECK(calls >= 20);
  CHECK(calls < 300);
}

TEST_CASE("calls of which 30 % fail at random never open the breaker") {
  for (uint32_t seed = 0; seed < 20; ++seed)
    for (caf::timespan between : {1ms, 50ms, 400ms}) {
      CAPTURE(seed, between.count());
      circuit_breaker breaker{{}};
      std::mt19937 random{seed};
      std::bernoulli_distribution fails{0.3};
      auto now = start;
      for (int i = 0; i < 20'000; ++i) {
        auto sent = breaker.allow(now);
        REQUIRE(sent);
        fails(random) ? breaker.failed(*sent, now) : breaker.succeeded(*sent, now);
        now += between;
      }
    }
}

TEST_CASE("what is older than the window is forgotten") {
  breaker_options options;
  options.failure_share = 0.2;
  options.min_calls = 100;
  circuit_breaker breaker{options};
  auto fails_to_open = [&](caf::timespan later) {
    breaker = circuit_breaker{options};
    fail(breaker, start, 45);
    succeed(breaker, start + later, 1);
    fail(breaker, start + later, 54);
    return breaker.current(start + later) == mode::closed;
  };
  CHECK_FALSE(fails_to_open(9s));
  CHECK(fails_to_open(10s));
  CHECK(fails_to_open(11s));
  CHECK(fails_to_open(24h));
}

TEST_CASE("a clock that goes back a little confuses nothing") {
  circuit_breaker breaker{{}};
  fail(breaker, start, 10);
  fail(breaker, start - 5s, 10);
  CHECK(breaker.current(start - 5s) == mode::open);
}

TEST_CASE("a good probe closes the breaker, and the past is forgotten") {
  auto breaker = opened();
  CHECK_FALSE(breaker.allow(start + 999ms));
  CHECK(breaker.current(start + 1s) == mode::half_open);
  auto probe = breaker.allow(start + 1s);
  REQUIRE(probe);
  CHECK_FALSE(breaker.allow(start + 1s));
  CHECK(breaker.current(start + 2s) == mode::half_open);
  breaker.succeeded(*probe, start + 2s);
  CHECK(breaker.current(start + 2s) == mode::closed);
  fail(breaker, start + 2s, 19);
  CHECK(breaker.current(start + 2s) == mode::closed);
  fail(breaker, start + 2s, 1);
  CHECK(breaker.current(start + 2s) == mode::open);
}

TEST_CASE("a failed probe leaves the endpoint alone for a while again") {
  auto breaker = opened();
  auto probe = breaker.allow(start + 1s).value();
  breaker.failed(probe, start + 3s);
  CHECK(breaker.current(start + 3s) == mode::open);
  CHECK(breaker.retry_at() == start + 4s);
  CHECK_FALSE(breaker.allow(start + 3999ms));
  CHECK(breaker.allow(start + 4s));
}

TEST_CASE("a probe that is given up makes way for another at once") {
  auto breaker = opened();
  auto probe = breaker.allow(start + 1s).value();
  breaker.abandoned(probe, start + 1500ms);
  CHECK(breaker.retry_at() == start + 1500ms);
  auto second = breaker.allow(start + 1500ms);
  REQUIRE(second);
  breaker.abandoned(probe, start + 1600ms);
  CHECK_FALSE(breaker.allow(start + 1600ms));
}

TEST_CASE("a probe without a verdict does not keep the breaker open for ever") {
  auto breaker = opened();
  auto lost = breaker.allow(start + 1s).value();
  CHECK(breaker.retry_at() == start + 31s);
  CHECK_FALSE(breaker.allow(start + 30999ms));
  auto second = breaker.allow(start + 31s);
  REQUIRE(second);
  SECTION("its failure says nothing of the next probe") {
    breaker.failed(lost, start + 32s);
    breaker.abandoned(lost, start + 32s);
    CHECK(breaker.current(start + 32s) == mode::half_open);
    CHECK_FALSE(breaker.allow(start + 32s));
  }
  SECTION("its success closes, for an endpoint whose answers take that long") {
    breaker.succeeded(lost, start + 32s);
    CHECK(breaker.current(start + 32s) == mode::closed);
  }
  SECTION("its success closes also after the next probe failed") {
    breaker.failed(*second, start + 32s);
    breaker.succeeded(lost, start + 32500ms);
    CHECK(breaker.current(start + 32500ms) == mode::closed);
  }
}

TEST_CASE("verdicts on calls that were sent before the opening change nothing") {
  circuit_breaker breaker{{}};
  auto early = breaker.allow(start).value();
  fail(breaker, start, 20);
  SECTION("while it is open") {
    breaker.succeeded(early, start);
    CHECK(breaker.current(start) == mode::open);
    breaker.failed(early, start + 900ms);
    CHECK(breaker.retry_at() == start + 1s);
  }
  SECTION("while a probe is out") {
    REQUIRE(breaker.allow(start + 1s));
    breaker.succeeded(early, start + 1s);
    breaker.failed(early, start + 1s);
    breaker.abandoned(early, start + 1s);
    CHECK(breaker.current(start + 1s) == mode::half_open);
    CHECK_FALSE(breaker.allow(start + 1s));
  }
  SECTION("after it closed") {
    auto probe = breaker.allow(start + 1s).value();
    breaker.succeeded(probe, start + 1s);
    for (int i = 0; i < 100; ++i)
      breaker.failed(early, start + 2s);
    breaker.failed(probe, start + 2s);
    breaker.abandoned(probe, start + 2s);
    CHECK(breaker.current(start + 2s) == mode::closed);
  }
}

TEST_CASE("with calls coming all the time, the breaker closes within open_for of an outage's end") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    circuit_breaker breaker{{}};
    std::mt19937 random{seed};
    std::uniform_int_distribution<int> latency_ms{1, 50};
    struct call {
      time_point ends;
      circuit_breaker::pass sent;
      bool is_good;
    };
    std::vector<call> calls;
    auto down_from = start + 2s;
    auto up_from =
        down_from + std::chrono::milliseconds{std::uniform_int_distribution{3000, 9000}(random)};
    int sent_while_down = 0;
    for (auto now = start; now < up_from + 1100ms; now += 1ms) {
      std::erase_if(calls, [&](const call& x) {
        if (x.ends > now)
          return false;
        x.is_good ? breaker.succeeded(x.sent, now) : breaker.failed(x.sent, now);
        return true;
      });
      if (auto sent = breaker.allow(now)) {
        auto is_down = now >= down_from && now < up_from;
        sent_while_down += is_down ? 1 : 0;
        calls.push_back({now + std::chrono::milliseconds{latency_ms(random)}, *sent, !is_down});
      }
    }
    CHECK(breaker.current(up_from + 1100ms) == mode::closed);
    CHECK(sent_while_down < 100);
  }
}

} // namespace circuit_breaker_test

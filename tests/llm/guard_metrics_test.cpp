// What a guard counts.
#include "support/guard_fixture.hpp"
#include "support/metrics_of.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

namespace guard_metrics_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

using Catch::Matchers::WithinRel;

namespace {

std::string of(const std::string& metric, const std::string& model = "default") {
  return "chainmail_llm_" + metric + "{model=\"" + model + "\"}";
}

std::string errors(errc code) {
  return "chainmail_llm_errors_total{code=\"" + to_string(code) + "\",model=\"default\"}";
}

/// Replies in order; the last one goes on.
std::function<scripted_reply()> in_order(std::vector<scripted_reply> replies) {
  return [replies = std::move(replies), next = size_t{0}]() mutable {
    return replies[std::min(next++, replies.size() - 1)];
  };
}

} // namespace

TEST_CASE("a guard counts a call, its duration and its tokens") {
  guard_fixture f;
  f.fake->like.usage = {7, 3, 10};
  f.fake->reply = [] { return answer_with("x", 2s); };
  f.request.parameters.model = "small";
  auto reply = f.start();
  CHECK(series{f.time.system}[of("in_flight", "small")] == 1);
  f.pass(3s);
  REQUIRE(reply->result);
  series counted{f.time.system};
  CHECK(counted[of("calls_total", "small")] == 1);
  CHECK(counted[of("attempts_total", "small")] == 1);
  CHECK(counted[of("retries_total", "small")] == 0);
  CHECK(counted[of("in_flight", "small")] == 0);
  CHECK(counted[of("duration_seconds_count", "small")] == 1);
  CHECK_THAT(counted[of("duration_seconds_sum", "small")], WithinRel(2.0, 0.01));
  CHECK(counted[of("prompt_tokens_total", "small")] == 7);
  CHECK(counted[of("completion_tokens_total", "small")] == 3);
}

TEST_CASE("an attempt after a failed one is a retry, and the call no error") {
  guard_fixture f;
  f.fake->reply = in_order({fail_with(errc::server_error), answer_with("x")});
  REQUIRE(f.run().result);
  series counted{f.time.system};
  CHECK(counted[of("calls_total")] == 1);
  CHECK(counted[of("attempts_total")] == 2);
  CHECK(counted[of("retries_total")] == 1);
  CHECK(counted[errors(errc::server_error)] == 0);
}

TEST_CASE("a call that fails counts under its code") {
  guard_fixture f;
  f.fake->reply = [] { return fail_with(errc::authentication); };
  CHECK(f.run().error);
  CHECK(f.run().error);
  f.start(call_context{{}, {f.time.now()}, {}, 0});
  series counted{f.time.system};
  CHECK(counted[errors(errc::authentication)] == 2);
  CHECK(counted[errors(errc::timed_out)] == 1);
  CHECK(counted[of("calls_total")] == 3);
  CHECK(counted[of("duration_seconds_count")] == 3);
  CHECK(counted[of("in_flight")] == 0);
}

TEST_CASE("tokens cost what their model's price says, and nothing without a price") {
  guard_fixture f;
  f.options.prices["dear"] = {2, 10};
  f.fake->like.usage = {1'000, 500, 1'500};
  for (const auto* model : {"dear", "dear", "free"}) {
    f.request.parameters.model = model;
    REQUIRE(f.run().result);
  }
  series counted{f.time.system};
  CHECK_THAT(counted[of("cost_total", "dear")], WithinRel(2 * 0.007, 0.001));
  CHECK_FALSE(counted.all().contains(of("cost_total", "free")));
}

TEST_CASE("a price below zero is refused") {
  guard_options options;
  options.prices["odd"] = {-1, 0};
  CHECK(check(options) == errc::invalid_input);
}

TEST_CASE("answers from the cache, and calls that share one, are counted as such") {
  guard_fixture f;
  f.options.cache.emplace();
  f.request.parameters.temperature = 0;
  f.fake->reply = [] { return answer_with("x", 1s); };
  f.start();
  f.start();
  f.pass(2s);
  REQUIRE(f.run().result->is_cached);
  series counted{f.time.system};
  CHECK(counted[of("calls_total")] == 3);
  CHECK(counted[of("attempts_total")] == 1);
  CHECK(counted[of("shared_calls_total")] == 1);
  CHECK(counted[of("cache_hits_total")] == 1);
  CHECK(counted[of("duration_seconds_count")] == 3);
  CHECK(counted[of("in_flight")] == 0);
}

TEST_CASE("a second attempt at a slow call is a hedge, not a retry") {
  guard_fixture f;
  f.options.hedge.emplace();
  for (auto i = 0; i < 200; ++i) {
    f.fake->reply = [i] { return answer_with("quick", i % 16 == 0 ? 100ms : 50ms); };
    f.start();
    f.pass(100ms);
  }
  series before{f.time.system};
  f.fake->reply = in_order({answer_with("slow", 5s), answer_with("quick", 50ms)});
  auto reply = f.start();
  f.pass(1s);
  REQUIRE(reply->result);
  series counted{f.time.system};
  CHECK(counted[of("hedges_total")] == before[of("hedges_total")] + 1);
  CHECK(counted[of("attempts_total")] == before[of("attempts_total")] + 2);
  CHECK(counted[of("retries_total")] == 0);
}

TEST_CASE("a fallback is counted at the model that failed, an open breaker at its target") {
  guard_fixture f;
  f.options.retry.max_attempts = 1;
  f.options.breaker->min_calls = 3;
  f.fake->reply = [] { return fail_with(errc::server_error); };
  f.spawn_with_fallback();
  for (auto i = 0; i < 4; ++i)
    REQUIRE(f.run().result);
  const auto* breaker = "chainmail_llm_breaker_open{target=\"first\"}";
  series counted{f.time.system};
  CHECK(counted[of("fallbacks_total")] == 4);
  CHECK(counted[breaker] == 1);
  CHECK(counted["chainmail_llm_breaker_open{target=\"second\"}"] == 0);
  f.fake->reply = [] { return answer_with("well again"); };
  f.pass(2s);
  REQUIRE(f.run().result);
  CHECK(series{f.time.system}[breaker] == 0);
}

TEST_CASE("what a guard shows as under way is gone when it is killed") {
  guard_fixture f;
  f.fake->reply = [] { return answer_with("x", caf::timespan{caf::infinite}); };
  f.start();
  f.start();
  CHECK(series{f.time.system}[of("in_flight")] == 2);
  caf::anon_send_exit(f.guard, caf::exit_reason::kill);
  f.time.settle();
  CHECK(series{f.time.system}[of("in_flight")] == 0);
  CHECK(series{f.time.system}[of("calls_total")] == 2);
}

TEST_CASE("callers cannot make models without end, nor labels that break a scrape") {
  guard_fixture f;
  f.request.parameters.model = "a\"b\\c\nd\xff";
  REQUIRE(f.run().result);
  CHECK(series{f.time.system}[of("calls_total", "a_b_c_d_")] == 1);
  for (auto i = 0; i < 40; ++i) {
    f.request.parameters.model = "model-" + std::to_string(i);
    REQUIRE(f.run().result);
  }
  series counted{f.time.system};
  CHECK(counted[of("calls_total", "model-30")] == 1);
  CHECK(counted[of("calls_total", "other")] == 9);
  CHECK_FALSE(counted.all().contains(of("calls_total", "model-31")));
}

} // namespace guard_metrics_test

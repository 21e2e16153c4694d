#include <chainmail/errors.hpp>
#include <chainmail/limits/fallback_limits.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace fallback_limits_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = fallback_limits::time_point;
constexpr time_point start{1h};

limiter_share share_of(int64_t requests, int64_t tokens = 0, uint64_t in_flight = 0) {
  return {"key", 7, 3, requests, tokens, in_flight, 1s};
}

lease_pool::question question(uint32_t permits, int64_t tokens_each = 1) {
  lease_pool::question result;
  result.permits = permits;
  result.tokens = tokens_each * permits;
  result.due = time_point::max();
  return result;
}

/// Asks again and again, and counts what is granted until then.
uint32_t granted_until(fallback_limits& limits, time_point& now, time_point end) {
  uint32_t result = 0;
  for (; now <= end; now += 10ms) {
    while (auto got = limits.next("key", now)) {
      REQUIRE_FALSE(got->refusal);
      result += got->granted.permits;
      lease_report report;
      report.id = got->granted.id;
      report.answered = got->granted.permits;
      report.tokens_reserved = report.tokens_used = got->granted.tokens;
      limits.settle("key", got->tenant, report, now);
      limits.ask("key", got->tenant, question(64), now);
    }
  }
  return result;
}

} // namespace

TEST_CASE("a share flows evenly, after its delay and without a burst") {
  fallback_limits limits{{share_of(600)}, start};
  limits.ask("key", "", question(64), start);
  auto now = start;
  CHECK(granted_until(limits, now, start + 1s) == 0);
  CHECK(granted_until(limits, now, start + 2s) <= 10);
  auto more = granted_until(limits, now, start + 12s);
  CHECK(more >= 98);
  CHECK(more <= 101);
}

TEST_CASE("permits of leases that were there before count in a share") {
  fallback_limits limits{{share_of(600, 0, 10)}, start};
  limits.charge("key", {20, 20}, 10, start);
  limits.ask("key", "", question(64), start);
  auto now = start;
  CHECK(granted_until(limits, now, start + 10s) == 0);
  // They are not of this limiter: only their places come back.
  CHECK_FALSE(limits.owns(4711));
  lease_report report;
  report.id = 4711;
  report.answered = 10;
  limits.settle("key", "", report, now);
  auto later = granted_until(limits, now, start + 11s);
  CHECK(later >= 9);
  CHECK(later <= 12);
}

TEST_CASE("what has no share, or no limits that are known, is unavailable") {
  limiter_share unknown;
  unknown.key = "unknown";
  unknown.holders = 2;
  fallback_limits limits{{unknown}, start};
  for (std::string key : {"unknown", "key"}) {
    limits.ask(key, "tenant", question(1), start);
    auto got = limits.next(key, start);
    REQUIRE(got);
    CHECK(got->tenant == "tenant");
    CHECK(got->refusal == errc::unavailable);
    CHECK(sentence_of(got->refusal).find(key) != std::string::npos);
    CHECK_FALSE(limits.next(key, start));
    CHECK(limits.next_at(key) == time_point::max());
    limits.ask(key, "tenant", question(1), start);
    limits.give_up(key, "tenant");
    CHECK_FALSE(limits.next(key, start));
    limits.charge(key, {1, 1}, 1, start);
    limits.settle(key, "tenant", {}, start);
  }
}

TEST_CASE("a request that only the whole limits have room for is unavailable") {
  fallback_limits limits{{share_of(600, 1'000)}, start};
  limits.ask("key", "", question(1, 2'000), start);
  auto got = limits.next("key", start);
  REQUIRE(got);
  CHECK(got->refusal == errc::unavailable);
  auto late = question(1, 900);
  late.due = start + 500ms;
  limits.ask("key", "", question(1, 900), start);
  limits.ask("key", "late", late, start);
  got = limits.next("key", start);
  REQUIRE(got);
  CHECK(got->tenant == "late");
  CHECK(got->refusal == errc::rate_limited);
}

TEST_CASE("a question that was given up gets nothing") {
  fallback_limits limits{{share_of(600)}, start};
  limits.ask("key", "one", question(1), start);
  limits.ask("key", "two", question(1), start);
  limits.give_up("key", "one");
  limits.give_up("key", "three");
  auto got = limits.next("key", limits.next_at("key"));
  if (!got)
    got = limits.next("key", start + 10s);
  REQUIRE(got);
  CHECK(got->tenant == "two");
  CHECK(limits.owns(got->granted.id));
  CHECK_FALSE(limits.next("key", start + 20s));
}

TEST_CASE("a refusal pauses a share, and what it teaches of the whole limits does not count") {
  fallback_limits limits{{share_of(600)}, start};
  limits.ask("key", "", question(1), start);
  auto got = limits.next("key", start + 5s);
  REQUIRE(got);
  lease_report report;
  report.id = got->granted.id;
  report.rate_limited = 1;
  report.retry_after = 10s;
  report.limits.emplace();
  report.limits->token_limit = 10;
  limits.settle("key", "", report, start + 5s);
  auto status = limits.status(start + 5s);
  REQUIRE(status.keys.size() == 1);
  CHECK(status.keys[0].paused_for == 10s);
  CHECK(status.keys[0].tokens_per_minute == 0);
  CHECK(status.keys[0].requests_per_minute == 600);
}

} // namespace fallback_limits_test

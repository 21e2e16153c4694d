#include <chainmail/errors.hpp>
#include <chainmail/limits/key_limiter.hpp>

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <queue>
#include <random>
#include <vector>

namespace key_limiter_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = key_limiter::time_point;
constexpr time_point start{1h};
const std::map<std::string, double> weights{{"one", 1}, {"two", 2}, {"five", 5}};

fair_queue::item call(uint64_t id, int64_t tokens, std::string tenant = {}, int64_t requests = 1) {
  return {id, std::move(tenant), 0, false, {requests, tokens}};
}

rate_limits limits_of(std::optional<int64_t> requests, std::optional<int64_t> tokens) {
  rate_limits result;
  result.requests_per_minute = requests;
  result.tokens_per_minute = tokens;
  return result;
}

lease_report answered(int64_t reserved, int64_t used) {
  lease_report result;
  result.answered = 1;
  result.tokens_reserved = reserved;
  result.tokens_used = used;
  return result;
}

lease_report refused(int64_t reserved, std::optional<caf::timespan> retry_after = {}) {
  lease_report result;
  result.rate_limited = 1;
  result.tokens_reserved = reserved;
  result.retry_after = retry_after;
  return result;
}

/// Grants that may go now.
std::vector<uint64_t> granted(key_limiter& limiter, time_point now) {
  std::vector<uint64_t> result;
  while (auto next = limiter.next(now))
    result.push_back(next->id);
  return result;
}

} // namespace

TEST_CASE("random loads keep every minute within the limits and leave nearly nothing unused") {
  struct sent {
    time_point at;
    int64_t tokens;
  };
  struct under_way {
    time_point ends_at;
    time_point sent_at;
    size_t index;
    int64_t reserved;
    std::string tenant;
    bool operator<(const under_way& x) const { return ends_at > x.ends_at; }
  };
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto by_requests = seed % 2 == 0;
    auto limits = limits_of(600, by_requests ? 600'000 : 60'000);
    key_limiter limiter{"endpoint", limits, &weights, start};
    std::vector<sent> log;
    std::priority_queue<under_way> calls;
    std::map<std::string, int64_t> tokens_of;
    // Reserved in vain, until that was known.
    double held = 0;
    uint64_t id = 0;
    const char* tenants[] = {"one", "two", "five"};
    std::map<uint64_t, int64_t> estimates;
    auto push = [&](const std::string& tenant) {
      auto estimate = static_cast<int64_t>(random() % 400) + 1;
      estimates[++id] = estimate;
      CHECK_FALSE(limiter.admit(call(id, estimate, tenant), {}, start));
    };
    for (int i = 0; i < 60; ++i)
      push(tenants[i % 3]);
    auto now = start;
    auto end = start + 10min;
    while (now < end) {
      while (auto next = limiter.next(now)) {
        // What is really used is at most the estimate: no limiter can foresee more.
        auto share = static_cast<int64_t>(random() % 4);
        auto used = share == 0 ? next->granted.tokens / 2 : next->granted.tokens;
        log.push_back({now, used});
        tokens_of[next->tenant] += used;
        calls.push({now + std::chrono::milliseconds{random() % 2'000}, now, log.size() - 1,
            next->granted.tokens, next->tenant});
        push(next->tenant);
        if (random() % 10 == 0) {
          push(next->tenant);
          limiter.give_up(id);
        }
      }
      auto at = limiter.next_at();
      if (!calls.empty() && calls.top().ends_at <= at) {
        auto done = calls.top();
        calls.pop();
        now = std::max(now, done.ends_at);
        held += static_cast<double>(done.reserved - log[done.index].tokens) *
                std::chrono::duration<double>{now - done.sent_at}.count() / 60;
        limiter.settle(
            answered(done.reserved, log[done.index].tokens), done.tenant, done.sent_at, now);
      } else {
        now = at;
      }
    }
    int64_t requests = 0;
    int64_t tokens = 0;
    int64_t most_requests = 0;
    int64_t most_tokens = 0;
    int64_t all_tokens = 0;
    size_t first = 0;
    for (const auto& x : log) {
      ++requests;
      tokens += x.tokens;
      all_tokens += x.tokens;
      for (; log[first].at <= x.at - 60s; ++first) {
        --requests;
        tokens -= log[first].tokens;
      }
      most_requests = std::max(most_requests, requests);
      most_tokens = std::max(most_tokens, tokens);
    }
    CHECK(most_requests <= 600);
    CHECK(most_tokens <= *limits.tokens_per_minute);
    auto use = by_requests ? static_cast<double>(log.size()) / 6'000.0
                           : (static_cast<double>(all_tokens) + held) / 600'000.0;
    CAPTURE(use, by_requests);
    CHECK(use >= 0.99);
    for (auto [tenant, weight] : weights) {
      auto share = static_cast<double>(tokens_of[tenant]) / static_cast<double>(all_tokens);
      CAPTURE(tenant, share);
      CHECK(share > weight / 8 * 0.97);
      CHECK(share < weight / 8 * 1.03);
    }
  }
}

TEST_CASE("a request that is larger than its limit is refused with a sentence") {
  key_limiter limiter{"endpoint", limits_of({}, 1'000), &weights, start};
  auto error = limiter.admit(call(1, 1'001), {}, start);
  CHECK(error == errc::invalid_input);
  CHECK(sentence_of(error).find("1001 tokens, and endpoint allows 1000 in 60.0 s") !=
        std::string::npos);
  CHECK_FALSE(limiter.admit(call(2, 1'000), {}, start));
  CHECK(granted(limiter, start) == std::vector<uint64_t>{2});
}

TEST_CASE("a limit that is learned while a larger request waits refuses that request") {
  key_limiter limiter{"endpoint", {}, &weights, start};
  CHECK_FALSE(limiter.admit(call(1, 10), {}, start));
  CHECK(granted(limiter, start).size() == 1);
  auto report = refused(10, 5s);
  CHECK_FALSE(limiter.admit(call(2, 5'000), {}, start));
  report.limits.emplace();
  report.limits->token_limit = 1'000;
  limiter.settle(report, "", start, start);
  auto next = limiter.next(start);
  REQUIRE(next);
  CHECK(next->id == 2);
  CHECK(next->refusal == errc::invalid_input);
  CHECK(limiter.waiting() == 0);
}

TEST_CASE("a deadline that cannot be met is refused at once, one that can is not") {
  key_limiter limiter{"endpoint", limits_of(60, {}), &weights, start};
  for (uint64_t id = 1; id <= 11; ++id)
    CHECK_FALSE(limiter.admit(call(id, 1), {}, start));
  CHECK(granted(limiter, start).size() == 1);
  auto error = limiter.admit(call(20, 1), {start + 10s}, start);
  CHECK(error == errc::rate_limited);
  CHECK(
      sentence_of(error).find("leave no room for the request for about 11.") != std::string::npos);
  CHECK(detail_of(error)->retry_after > 11s);
  CHECK_FALSE(limiter.admit(call(21, 1), {start + 12s}, start));
  auto urgent = call(22, 1);
  urgent.priority = 1;
  CHECK_FALSE(limiter.admit(urgent, {start + 2s}, start));
}

TEST_CASE("deadlines are judged by what calls really use") {
  key_limiter limiter{"endpoint", limits_of({}, 60'000), &weights, start};
  auto now = start;
  for (uint64_t id = 1; id <= 100; ++id) {
    CHECK_FALSE(limiter.admit(call(id, 500), {}, now));
    if (granted(limiter, now).empty()) {
      now = limiter.next_at();
      CHECK(granted(limiter, now).size() == 1);
    }
    limiter.settle(answered(500, 50), "", now, now);
  }
  for (uint64_t id = 200; id < 220; ++id)
    CHECK_FALSE(limiter.admit(call(id, 500), {}, now));
  // By the estimates it would be 10 s.
  CHECK_FALSE(limiter.admit(call(300, 500), {now + 3s}, now));
}

TEST_CASE("what was not used is given back, and what was used beyond the estimate is a debt") {
  key_limiter limiter{"endpoint", limits_of(600, 6'000), &weights, start};
  CHECK_FALSE(limiter.admit(call(1, 60), {}, start));
  CHECK(granted(limiter, start).size() == 1);
  lease_report unused;
  unused.unused = 1;
  unused.tokens_reserved = 60;
  limiter.settle(unused, "", start, start);
  CHECK(limiter.status(start).requests_used == 0);
  CHECK(limiter.status(start).tokens_used == 0);
  CHECK(limiter.status(start).in_flight == 0);
  CHECK_FALSE(limiter.admit(call(2, 60), {}, start));
  CHECK(granted(limiter, start).size() == 1);
  limiter.settle(answered(60, 660), "", start, start);
  CHECK(limiter.status(start).tokens_used == 660);
  CHECK_FALSE(limiter.admit(call(3, 60), {}, start));
  CHECK(granted(limiter, start + 6s).empty());
  CHECK(granted(limiter, start + 7s).size() == 1);
}

TEST_CASE("one hostile report holds nobody up for more than a period") {
  key_limiter limiter{"endpoint", limits_of(600, 6'000), &weights, start};
  CHECK_FALSE(limiter.admit(call(1, 60), {}, start));
  CHECK(granted(limiter, start).size() == 1);
  limiter.settle(answered(60, INT64_MAX), "", start, start);
  CHECK_FALSE(limiter.admit(call(2, 60), {}, start));
  CHECK(granted(limiter, start + 62s).size() == 1);
}

TEST_CASE("calls in flight stay within their limit, and the one that waits goes when one is over") {
  rate_limits limits;
  limits.max_in_flight = 2;
  key_limiter limiter{"endpoint", limits, &weights, start};
  for (uint64_t id = 1; id <= 4; ++id)
    CHECK_FALSE(limiter.admit(call(id, 1), {}, start));
  CHECK(granted(limiter, start) == std::vector<uint64_t>{1, 2});
  CHECK(limiter.next_at() == time_point::max());
  limiter.settle(answered(1, 1), "", start, start);
  CHECK(granted(limiter, start) == std::vector<uint64_t>{3});
  limiter.release(1);
  CHECK(granted(limiter, start) == std::vector<uint64_t>{4});
}

TEST_CASE("a refusal pauses the whole key") {
  key_limiter limiter{"endpoint", limits_of(6'000, {}), &weights, start};
  CHECK_FALSE(limiter.admit(call(1, 1), {}, start));
  CHECK(granted(limiter, start).size() == 1);
  limiter.settle(refused(1, 20s), "", start, start);
  CHECK(limiter.status(start).paused_for == 20s);
  CHECK_FALSE(limiter.admit(call(2, 1), {}, start));
  CHECK(granted(limiter, start + 19s).empty());
  CHECK(limiter.next_at() == start + 20s);
  CHECK(limiter.admit(call(3, 1), {start + 10s}, start) == errc::rate_limited);
  CHECK(granted(limiter, start + 20s).size() == 1);
}

TEST_CASE("without limits, refusals limit what is in flight") {
  key_limiter limiter{"endpoint", {}, &weights, start};
  for (uint64_t id = 1; id <= 100; ++id)
    CHECK_FALSE(limiter.admit(call(id, 1), {}, start));
  CHECK(granted(limiter, start).size() == 100);
  limiter.settle(refused(1), "", start, start);
  CHECK(limiter.status(start).max_in_flight == 50);
  for (int i = 0; i < 59; ++i)
    limiter.settle(answered(1, 1), "", start, start + 1s);
  for (uint64_t id = 101; id <= 200; ++id)
    CHECK_FALSE(limiter.admit(call(id, 1), {}, start));
  CHECK(granted(limiter, start + 1s).size() == limiter.status(start).max_in_flight - 40);
}

TEST_CASE("limits that an endpoint speaks of are kept, with what it already counted") {
  key_limiter limiter{"endpoint", {}, &weights, start};
  for (uint64_t id = 1; id <= 10; ++id)
    CHECK_FALSE(limiter.admit(call(id, 1), {}, start));
  CHECK(granted(limiter, start).size() == 10);
  auto report = answered(1, 1);
  report.limits.emplace();
  report.limits->request_limit = 100;
  report.limits->requests_left = 90;
  report.limits->requests_reset = 6s;
  report.limits->token_limit = -7;
  limiter.settle(report, "", start, start);
  auto status = limiter.status(start);
  CHECK(status.requests_per_minute == 100);
  CHECK(status.requests_used == 10);
  CHECK(status.tokens_per_minute == 0);
  CHECK(limiter.status(start + 7s).requests_used == 0);
}

TEST_CASE("configured limits stay what they are, whatever the endpoint says") {
  key_limiter limiter{"endpoint", limits_of(60, {}), &weights, start};
  CHECK_FALSE(limiter.admit(call(1, 1), {}, start));
  CHECK(granted(limiter, start).size() == 1);
  auto report = answered(1, 1);
  report.limits.emplace();
  report.limits->request_limit = 10'000;
  report.limits->requests_left = 0;
  limiter.settle(report, "", start, start);
  CHECK(limiter.status(start).requests_per_minute == 60);
  CHECK(limiter.status(start).requests_used == 1);
}

TEST_CASE("several requests are granted together as far as there is room, and at least one") {
  key_limiter limiter{"endpoint", limits_of(600, 60'000), &weights, start};
  CHECK_FALSE(limiter.admit(call(1, 1'000, "", 10), {}, start));
  auto next = limiter.next(start);
  REQUIRE(next);
  CHECK(next->granted.requests == 6);
  CHECK(next->granted.tokens == 600);
  CHECK(limiter.status(start).in_flight == 6);
  CHECK_FALSE(limiter.admit(call(2, 1'000, "", 10), {}, start));
  CHECK_FALSE(limiter.next(start));
  next = limiter.next(limiter.next_at());
  REQUIRE(next);
  CHECK(next->granted.requests == 1);
  CHECK(next->granted.tokens == 100);
}

TEST_CASE("fast limits grant leases that are worth their message") {
  key_limiter limiter{"endpoint", limits_of(60'000, {}), &weights, start};
  CHECK_FALSE(limiter.admit(call(1, 1'000, "", 1'000), {}, start));
  CHECK(limiter.next(start)->granted.requests == 600);
  CHECK_FALSE(limiter.admit(call(2, 64, "", 64), {}, start));
  CHECK_FALSE(limiter.next(start));
  CHECK(limiter.next(limiter.next_at())->granted.requests >= 19);
}

TEST_CASE("a key is idle when nothing of it is left to remember") {
  key_limiter limiter{"endpoint", limits_of(60, {}), &weights, start};
  CHECK(limiter.is_idle(start));
  CHECK_FALSE(limiter.admit(call(1, 1), {}, start));
  CHECK_FALSE(limiter.is_idle(start));
  CHECK(granted(limiter, start).size() == 1);
  CHECK_FALSE(limiter.is_idle(start));
  limiter.settle(answered(1, 1), "", start, start);
  CHECK_FALSE(limiter.is_idle(start));
  CHECK(limiter.is_idle(start + 61s));
}

TEST_CASE("a limit that changes forgets nothing that was used") {
  key_limiter limiter{"endpoint", {}, &weights, start};
  auto report = answered(1, 1);
  report.limits.emplace();
  report.limits->request_limit = 100;
  limiter.settle(report, "", start, start);
  CHECK_FALSE(limiter.admit(call(1, 100, "", 100), {}, start));
  auto now = start;
  auto next = limiter.next(now);
  REQUIRE(next);
  CHECK(next->granted.requests == 1);
  for (uint64_t id = 2; id < 30; ++id) {
    CHECK_FALSE(limiter.admit(call(id, 1), {}, now));
    if (granted(limiter, now).empty()) {
      now = limiter.next_at();
      CHECK(granted(limiter, now).size() == 1);
    }
  }
  report.limits->request_limit = 50;
  limiter.settle(report, "", start, now);
  CHECK(limiter.status(now).requests_per_minute == 50);
  CHECK(limiter.status(now).requests_used == 29);
}

TEST_CASE("no call is refused that would have met its deadline") {
  size_t refused = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto limits = limits_of(600, 60'000);
    if (seed % 3 == 0)
      limits.token_burst = 60'000;
    key_limiter limiter{"endpoint", limits, &weights, start};
    const char* tenants[] = {"one", "two", "five", "other"};
    auto make = [&](uint64_t id) {
      auto result = call(id, static_cast<int64_t>(random() % 400) + 1, tenants[random() % 4]);
      result.priority = static_cast<int32_t>(random() % 3);
      return result;
    };
    auto now = start;
    for (uint64_t id = 1; id <= 200 + seed; ++id) {
      CHECK_FALSE(limiter.admit(make(id), {}, now));
      if (random() % 2 == 0) {
        granted(limiter, now);
        if (random() % 3 == 0)
          now += std::chrono::milliseconds{random() % 500};
      }
    }
    auto last = make(10'000);
    // The latest deadline that is refused, found by halving.
    auto low = now;
    auto high = now + 1h;
    while (high - low > 1ms) {
      auto due = low + (high - low) / 2;
      if (limiter.admit(last, {due}, now)) {
        low = due;
      } else {
        limiter.give_up(10'000);
        high = due;
      }
    }
    refused += low > now ? 1 : 0;
    CHECK_FALSE(limiter.admit(last, {}, now));
    for (auto is_granted = false; !is_granted;) {
      for (auto id : granted(limiter, now))
        is_granted |= id == 10'000;
      if (!is_granted)
        now = limiter.next_at();
    }
    CHECK(now >= low);
    CHECK(now <= high + 5s);
  }
  CHECK(refused > 200);
}

TEST_CASE("a share is a part of the limits in force, and none when too little is left for each") {
  auto limits = limits_of(600, 90'000);
  limits.max_in_flight = 10;
  key_limiter limiter{"endpoint", limits, &weights, start};
  auto share = limiter.share(3, start);
  CHECK(share.key == "endpoint");
  CHECK(share.holders == 3);
  CHECK(share.requests_per_minute == 200);
  CHECK(share.tokens_per_minute == 30'000);
  CHECK(share.max_in_flight == 3);
  CHECK(share.after >= 600ms);
  CHECK(share.after <= 610ms);
  CHECK(limiter.share(11, start).holders == 11);
  CHECK(limiter.share(11, start).requests_per_minute == 0);
  CHECK(limiter.share(0, start).requests_per_minute == 0);
  key_limiter unlimited{"endpoint", {}, &weights, start};
  CHECK(unlimited.share(2, start).requests_per_minute == 0);
  CHECK(unlimited.share(2, start).max_in_flight == 0);
}

TEST_CASE("a limit of a day that is too small for a minute is no leave to send without one") {
  key_limiter limiter{"endpoint", limits_of({}, 90'000), &weights, start};
  lease_report report;
  report.answered = 1;
  report.limits.emplace();
  report.limits->request_limit = 1'000;
  for (int64_t left : {990, 970}) {
    report.limits->requests_left = left;
    report.limits->requests_reset = 86'400s * (1'000 - left) / 1'000;
    limiter.settle(report, "", start, start);
  }
  CHECK(limiter.status(start).requests_per_minute == 0);
  CHECK(limiter.share(1, start).tokens_per_minute == 0);
}

TEST_CASE("places in flight that are set apart are for nobody else") {
  rate_limits limits;
  limits.max_in_flight = 9;
  key_limiter limiter{"endpoint", limits, &weights, start};
  CHECK(limiter.set_apart(1.0 / 3, start));
  CHECK_FALSE(limiter.set_apart(1.0 / 3, start));
  for (uint64_t id = 1; id <= 9; ++id)
    CHECK_FALSE(limiter.admit(call(id, 1), {}, start));
  CHECK(granted(limiter, start).size() == 6);
  limiter.set_apart(0, start);
  CHECK(granted(limiter, start).size() == 3);
}

} // namespace key_limiter_test

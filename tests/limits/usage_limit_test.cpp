// Buckets, windows, and both together.
#include <chainmail/limits/concurrency_limit.hpp>
#include <chainmail/limits/usage_limit.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <deque>
#include <random>

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = usage_limit::time_point;

const time_point start{1'000h};

/// What an endpoint would count that allows `limit` in any minute.
class strict_minute {
public:
  void take(int64_t cost, time_point at) {
    taken_.push_back({at, cost});
    sum_ += cost;
    while (taken_.front().first + 60s <= at) {
      sum_ -= taken_.front().second;
      taken_.pop_front();
    }
    most = std::max(most, sum_);
  }

  int64_t most = 0;

private:
  std::deque<std::pair<time_point, int64_t>> taken_;
  int64_t sum_ = 0;
};

} // namespace

TEST_CASE("a token bucket lets a burst through, and then an even flow") {
  token_bucket bucket{60, 3, 60s};
  for (auto i = 0; i < 3; ++i) {
    CHECK(bucket.earliest(1) <= start);
    bucket.take(1, start);
  }
  CHECK(bucket.earliest(1) == start + 1s);
  bucket.take(1, start + 1s);
  CHECK(bucket.earliest(1) == start + 2s);
  CHECK(bucket.earliest(3) == start + 4s);
}

TEST_CASE("a cost of more than a token bucket's burst is paid off afterwards") {
  token_bucket bucket{60, 3, 60s};
  CHECK(bucket.earliest(10) <= start);
  bucket.take(10, start);
  CHECK(bucket.earliest(1) == start + 8s);
  bucket.adjust(-5);
  CHECK(bucket.earliest(1) == start + 3s);
}

TEST_CASE("a sliding window forgets what is a period old") {
  sliding_window window{60s};
  window.take(5, start);
  window.take(7, start + 30s);
  CHECK(window.used(start + 59s) == 12);
  CHECK(window.when_at_most(7, start + 30s) == start + 60s);
  CHECK(window.when_at_most(6, start + 30s) == start + 90s);
  CHECK(window.when_at_most(20, start + 30s) == start + 30s);
  CHECK(window.used(start + 60s) == 7);
  CHECK(window.used(start + 90s) == 0);
}

TEST_CASE("a sliding window is corrected where it was used") {
  sliding_window window{60s};
  window.take(100, start);
  window.take(50, start + 10s);
  window.adjust(start, -40, start + 20s);
  CHECK(window.used(start + 20s) == 110);
  CHECK(window.used(start + 60s) == 50);
  window.adjust(start, 7, start + 61s); // forgotten, so it counts from now
  CHECK(window.used(start + 61s) == 57);
  window.adjust(start, -7, start + 61s);
  CHECK(window.used(start + 61s) == 57);
  window.adjust(start + 10s, -500, start + 62s);
  CHECK(window.used(start + 62s) == 7);
}

TEST_CASE("a sliding window agrees with a simple sum, and never counts too little") {
  std::mt19937_64 random{GENERATE(1U, 2U, 3U)};
  sliding_window window{60s};
  std::deque<std::pair<time_point, int64_t>> simple;
  auto now = start;
  for (auto i = 0; i < 20'000; ++i) {
    now += std::chrono::microseconds{random() % 20'000};
    auto cost = static_cast<int64_t>(random() % 100);
    window.take(cost, now);
    simple.emplace_back(now, cost);
    while (simple.front().first + 60s <= now)
      simple.pop_front();
    if (i % 100 == 0) {
      int64_t sum = 0;
      for (const auto& x : simple)
        sum += x.second;
      auto used = window.used(now);
      REQUIRE(used >= sum);
      REQUIRE(used <= sum + 600); // a sum of 10 ms holds a few of them
    }
  }
}

TEST_CASE("a limit is never exceeded in any minute, and hardly left unused") {
  std::mt19937_64 random{GENERATE(1U, 2U, 3U, 4U)};
  auto largest = GENERATE(1, 100, 600);
  constexpr int64_t allowed = 60'000;
  usage_limit limit{allowed, allowed / 50, 60s};
  strict_minute endpoint;
  auto now = start;
  int64_t total = 0;
  while (now < start + 30min) {
    auto cost = static_cast<int64_t>(1 + random() % static_cast<uint64_t>(largest));
    now = std::max(now, limit.earliest(cost, now));
    limit.take(cost, now);
    endpoint.take(cost, now);
    total += cost;
  }
  CHECK(endpoint.most <= allowed);
  CHECK(total >= 30 * allowed * 99 / 100);
}

TEST_CASE("a limit holds although calls use more or less than was reserved") {
  std::mt19937_64 random{GENERATE(1U, 2U, 3U)};
  constexpr int64_t allowed = 60'000;
  usage_limit limit{allowed, allowed / 50, 60s};
  struct call {
    time_point sent;
    int64_t reserved;
    int64_t used;
  };
  std::deque<call> under_way;
  strict_minute endpoint;
  auto now = start;
  int64_t total = 0;
  while (now < start + 20min) {
    constexpr int64_t reserved = 150;
    now = std::max(now, limit.earliest(reserved, now));
    limit.take(reserved, now);
    auto used = static_cast<int64_t>(random() % 200);
    endpoint.take(used, now);
    total += used;
    under_way.push_back({now, reserved, used});
    while (under_way.front().sent + 500ms <= now) {
      const auto& done = under_way.front();
      limit.adjust(done.sent, done.used - done.reserved, now);
      under_way.pop_front();
    }
  }
  // What is under way is known by its estimate only.
  CHECK(endpoint.most <= allowed + 500);
  CHECK(total >= 20 * allowed * 98 / 100);
}

TEST_CASE("what others use of a limit counts until it is free again") {
  usage_limit limit{100, 100, 60s};
  limit.take(10, start);
  limit.learn_left(40, 30s, start); // 60 are gone, 10 of them ours
  CHECK(limit.used(start) == 60);
  limit.learn_left(40, 30s, start);
  CHECK(limit.used(start) == 60);
  CHECK(limit.used(start + 31s) == 10);
}

TEST_CASE("concurrency is not limited before the first 429, and follows what the endpoint takes") {
  concurrency_limit limit{0};
  CHECK(limit.has_room(1'000'000));
  limit.rate_limited(100, start);
  CHECK(limit.limit() == 50);
  CHECK_FALSE(limit.has_room(50));
  limit.rate_limited(100, start + 500ms); // sent together with the first
  CHECK(limit.limit() == 50);
  for (auto i = 0; i < 51; ++i)
    limit.answered();
  CHECK(limit.limit() == 51);
  limit.rate_limited(51, start + 2s);
  CHECK(limit.limit() == 25);
  limit.rate_limited(1, start + 4s);
  CHECK(limit.limit() == 1);
  for (auto i = 0; i < 100'000; ++i)
    limit.answered();
  CHECK(limit.limit() == 0);
}

TEST_CASE("a concurrency that is configured stays") {
  concurrency_limit limit{8};
  limit.rate_limited(8, start);
  CHECK(limit.limit() == 8);
  CHECK(limit.has_room(7));
  CHECK_FALSE(limit.has_room(8));
}

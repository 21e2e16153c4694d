#include <chainmail/limits/rate_limit.hpp>

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <utility>
#include <vector>

namespace rate_limit_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = rate_limit::time_point;
constexpr time_point start{1h};

/// The largest sum of costs in any 60 s.
int64_t most_in_a_minute(const std::vector<std::pair<time_point, int64_t>>& taken) {
  int64_t most = 0;
  int64_t sum = 0;
  size_t first = 0;
  for (const auto& [at, cost] : taken) {
    sum += cost;
    while (taken[first].first <= at - 60s)
      sum -= taken[first++].second;
    most = std::max(most, sum);
  }
  return most;
}

} // namespace

TEST_CASE("no minute has more than the limit, and little of it is left unused") {
  struct load {
    int64_t limit;
    std::optional<int64_t> burst;
    int64_t highest_cost;
  };
  for (auto [limit, burst, highest_cost] : {load{600, {}, 1}, load{3, {}, 1}, load{600, 600, 1},
           load{60'000, {}, 200}, load{60'000, 10'000, 200}, load{100'000, {}, 2}}) {
    CAPTURE(limit, highest_cost);
    std::mt19937_64 random{11};
    rate_limit tested{limit, 60s, burst, start};
    std::vector<std::pair<time_point, int64_t>> taken;
    int64_t sum = 0;
    auto now = start;
    while (now < start + 20min) {
      auto cost = static_cast<int64_t>(random() % static_cast<uint64_t>(highest_cost)) + 1;
      now = tested.ready_at(cost, now);
      tested.take(cost, now);
      taken.emplace_back(now, cost);
      sum += cost;
    }
    CHECK(most_in_a_minute(taken) <= limit);
    CHECK(static_cast<double>(sum) >= 0.99 * 20 * static_cast<double>(limit));
  }
}

TEST_CASE("a cost over the burst waits for its share only, and one over the limit never fits") {
  rate_limit tested{600, 60s, {}, start};
  CHECK(tested.ready_at(600, start) == start);
  tested.take(300, start);
  CHECK(tested.ready_at(1, start) > start + 29s);
  CHECK(tested.ready_at(301, start + 40s) > start + 60s);
  CHECK(tested.ready_at(601, start) == time_point::max());
}

TEST_CASE("work that is taken bit by bit ends when its last bit may be taken") {
  for (auto burst : {std::optional<int64_t>{}, std::optional<int64_t>{600}})
    for (int64_t work : {1, 5, 6, 7, 300, 600, 601, 1'500}) {
      CAPTURE(work);
      rate_limit tested{600, 60s, burst, start};
      for (int i = 0; i < 100; ++i)
        tested.take(1, start);
      auto estimate = tested.done_at(work, start);
      auto now = start;
      for (int64_t i = 0; i < work; ++i) {
        now = tested.ready_at(1, now);
        tested.take(1, now);
      }
      CHECK(estimate <= now);
      CHECK(estimate >= now - 11s);
    }
}

TEST_CASE("what others use of the same limit is counted until it is said to be over") {
  rate_limit tested{600, 60s, 600, start};
  for (int i = 0; i < 100; ++i)
    tested.take(1, start);
  tested.learn_left(495, 10s, start);
  CHECK(tested.used(start) == 100);
  tested.learn_left(300, 10s, start);
  CHECK(tested.used(start) == 300);
  tested.learn_left(-5, -10s, start);
  CHECK(tested.used(start) == 100);
  tested.learn_left(0, 48h, start);
  CHECK(tested.used(start) == 600);
  CHECK(tested.used(start + 61s) == 0);
}

TEST_CASE("what is reserved flows away from the others, and is theirs again when it is not") {
  std::vector<std::pair<time_point, int64_t>> taken;
  rate_limit limit{600, 1min, {}, start};
  auto take_until = [&](time_point from, time_point end) {
    int64_t sum = 0;
    for (auto now = from; now < end; now += 10ms)
      while (limit.ready_at(1, now) <= now) {
        limit.take(1, now);
        taken.emplace_back(now, 1);
        ++sum;
      }
    return sum;
  };
  take_until(start, start + 100s);
  limit.reserve(1.0 / 3, 1500ms, start + 100s);
  auto others = take_until(start + 100s, start + 160s);
  CHECK(others >= 385);
  CHECK(others <= 400);
  limit.reserve(0, 1500ms, start + 160s);
  auto all = take_until(start + 220s, start + 280s);
  CHECK(all >= 590);
  CHECK(all <= 606);
  limit.reserve(1, 0s, start + 280s);
  CHECK(take_until(start + 280s, start + 340s) <= 5);
}

TEST_CASE("a reserve that nobody looked at for a while is no debt") {
  rate_limit limit{600, 1min, {}, start};
  limit.reserve(0.5, 0s, start);
  CHECK(limit.ready_at(1, start + 50s) == start + 50s);
  CHECK(limit.used(start + 50s) >= 245);
  CHECK(limit.used(start + 50s) <= 250);
}

TEST_CASE("a limit that is held back grants nothing until then, and no burst") {
  rate_limit limit{600, 1min, 100, start};
  CHECK(limit.burst_time() >= 10s);
  CHECK(limit.burst_time() <= 10100ms);
  limit.hold_back_until(start + 5s);
  auto at = limit.ready_at(1, start);
  CHECK(at > start + 5s);
  CHECK(at < start + 5200ms);
  CHECK(limit.ready_at(10, start) > start + 6s);
}

} // namespace rate_limit_test

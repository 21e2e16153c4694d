#include <chainmail/limits/lease_pool.hpp>

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <random>
#include <vector>

namespace lease_pool_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = lease_pool::time_point;
constexpr time_point start{1h};

lease lease_of(uint64_t id, uint32_t permits, int64_t tokens) {
  return {id, permits, tokens, 2s};
}

} // namespace

TEST_CASE("a pool asks for permits that are large enough for any of those who wait") {
  lease_pool pool;
  CHECK_FALSE(pool.wants(start));
  pool.push({1, 0, false, 100, start + 5s}, start);
  pool.push({2, 3, false, 80, start + 9s}, start);
  pool.push({3, 0, false, 5'000, start + 60s}, start);
  auto asked = pool.wants(start);
  REQUIRE(asked);
  CHECK(asked->permits == 2);
  CHECK(asked->tokens == 200);
  CHECK(asked->priority == 3);
  CHECK(asked->due == start + 9s);
  CHECK(asked->calls == std::vector<uint64_t>{2, 1});
  CHECK(asked->largest == 1);
  for (uint64_t i = 10; i < 200; ++i)
    pool.push({i, 9, true, 10, {}}, start);
  CHECK(pool.wants(start)->permits == 64);
}

TEST_CASE("calls get permits by priority, and none overtakes one that needs more tokens") {
  lease_pool pool;
  pool.push({1, 0, false, 10, {}}, start);
  pool.push({2, 0, true, 10, {}}, start);
  pool.push({3, 1, false, 500, {}}, start);
  pool.add(lease_of(7, 2, 100), start);
  CHECK_FALSE(pool.next());
  pool.add(lease_of(8, 1, 500), start);
  CHECK(pool.next()->number == 3);
  CHECK(pool.next()->number == 2);
  CHECK(pool.next()->number == 1);
  CHECK_FALSE(pool.next());
}

TEST_CASE("a lease's tokens that no permit is left for go back at once") {
  lease_pool pool;
  pool.push({1, 0, false, 10, {}}, start);
  pool.add(lease_of(7, 1, 100), start);
  auto got = pool.next();
  REQUIRE(got);
  auto reports = pool.take_reports();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].tokens_reserved == 90);
  CHECK(reports[0].tokens_used == 0);
  pool.settle(*got, {permit_use::answered, 7, {}, {}});
  reports = pool.take_reports();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].answered == 1);
  CHECK(reports[0].tokens_reserved == 10);
  CHECK(reports[0].tokens_used == 7);
  CHECK(pool.is_empty());
}

TEST_CASE("leases and reports without sense do no harm") {
  lease_pool pool;
  pool.push({1, 0, false, 10, {}}, start);
  pool.add({7, 0, 10, 2s}, start);
  pool.add({7, 5, INT64_MIN, 2s}, start);
  pool.add({7, 5, 100, 2s}, start);
  CHECK_FALSE(pool.next());
  pool.add({8, UINT32_MAX, INT64_MAX, caf::timespan::max()}, start);
  auto got = pool.next();
  REQUIRE(got);
  pool.settle(*got, {permit_use::answered, INT64_MAX, caf::timespan::min(), {}});
  pool.settle({1, 4711, 10}, {});
  CHECK_FALSE(pool.erase(1));
  pool.return_unused(time_point::max());
  uint64_t permits = 0;
  for (const auto& x : pool.take_reports()) {
    permits += uint64_t{x.answered} + x.unused;
    CHECK(x.tokens_reserved >= 0);
    CHECK(x.tokens_used >= 0);
  }
  CHECK(permits == uint64_t{UINT32_MAX} + 5);
  CHECK(pool.is_empty());
}

TEST_CASE("permits that nobody used in time go back") {
  lease_pool pool;
  pool.add(lease_of(7, 5, 50), start);
  CHECK(pool.expires_at() == start + 2s);
  pool.return_unused(start + 1s);
  CHECK(pool.take_reports().empty());
  pool.return_unused(start + 2s);
  auto reports = pool.take_reports();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].unused == 5);
  CHECK(reports[0].tokens_reserved == 50);
  CHECK(pool.is_empty());
  CHECK(pool.expires_at() == time_point::max());
}

TEST_CASE("a busy pool keeps a stock, and an idle one does not") {
  lease_pool pool;
  uint64_t number = 0;
  auto now = start;
  for (int i = 0; i < 60; ++i, now += 5ms) {
    pool.push({++number, 0, false, 40, {}}, now);
    pool.erase(number);
  }
  auto asked = pool.wants(now);
  REQUIRE(asked);
  CHECK(asked->permits == 20);
  CHECK(asked->tokens == 800);
  CHECK(asked->calls.empty());
  pool.add(lease_of(1, 20, 800), now);
  CHECK_FALSE(pool.wants(now));
  pool.return_unused(time_point::max());
  CHECK_FALSE(pool.wants(now + 1s));
}

TEST_CASE("whatever happens, a lease's permits and tokens are all reported once") {
  std::mt19937_64 random{9};
  lease_pool pool;
  std::map<uint64_t, lease> leased;
  std::vector<lease_pool::grant> out;
  std::map<uint64_t, lease_report> sums;
  uint64_t number = 0;
  auto now = start;
  auto collect = [&] {
    for (const auto& x : pool.take_reports()) {
      auto& sum = sums[x.id];
      sum.answered += x.answered + x.rate_limited + x.failed + x.unused;
      sum.tokens_reserved += x.tokens_reserved;
    }
  };
  auto settle = [&] {
    std::swap(out[random() % out.size()], out.back());
    pool.settle(out.back(), {static_cast<permit_use>(random() % 4), -1, {}, {}});
    out.pop_back();
  };
  for (int i = 0; i < 20'000; ++i) {
    now += std::chrono::milliseconds{random() % 20};
    pool.return_unused(now);
    if (random() % 2 == 0)
      pool.push({++number, static_cast<int32_t>(random() % 3), random() % 4 == 0,
                    static_cast<int64_t>(random() % 100) + 1, {}},
          now);
    if (auto asked = pool.wants(now); asked && random() % 3 == 0) {
      auto permits = static_cast<uint32_t>(random() % asked->permits) + 1;
      auto id = leased.size() + 1;
      leased[id] = lease_of(id, permits, asked->tokens / asked->permits * permits);
      pool.add(leased[id], now);
    }
    while (auto got = pool.next())
      out.push_back(*got);
    if (!out.empty() && random() % 2 == 0)
      settle();
    if (random() % 50 == 0)
      pool.erase(number);
    if (random() % 10 == 0)
      collect();
  }
  while (!out.empty())
    settle();
  pool.return_unused(time_point::max());
  collect();
  REQUIRE(leased.size() > 100);
  for (const auto& [id, what] : leased) {
    CHECK(sums[id].answered == what.permits);
    CHECK(sums[id].tokens_reserved == what.tokens);
  }
}

} // namespace lease_pool_test

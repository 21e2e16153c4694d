// One key's limits under load: what is let through, and what is learned.
#include <chainmail/errors.hpp>
#include <chainmail/limits/limited_key.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <deque>
#include <map>
#include <queue>
#include <random>

using namespace chainmail;
using namespace std::literals;

using Catch::Matchers::ContainsSubstring;

namespace {

using time_point = limited_key::time_point;

const time_point start{1'000h};

double weight_of(const std::string& tenant) {
  if (tenant == "two")
    return 2;
  return tenant == "five" ? 5 : 1;
}

limited_key key_with(const rate_limits& limits) {
  return {"key", limits, weight_of};
}

fair_queue::entry entry(uint64_t ticket, int64_t tokens = 0, int32_t priority = 0) {
  return {ticket, priority, false, 1, tokens};
}

/// What an endpoint counts in any minute.
struct strict_minute {
  std::deque<std::pair<time_point, int64_t>> taken;
  int64_t sum = 0;
  int64_t most = 0;

  void take(int64_t cost, time_point at) {
    taken.emplace_back(at, cost);
    sum += cost;
    while (taken.front().first + 60s <= at) {
      sum -= taken.front().second;
      taken.pop_front();
    }
    most = std::max(most, sum);
  }
};

/// Three tenants that always have calls waiting, each answered after a while.
struct load {
  struct call {
    limited_key::grant grant;
    int64_t used;
  };

  limited_key key;
  std::mt19937_64 random;
  strict_minute requests;
  strict_minute tokens;
  std::map<std::string, int64_t> got;
  std::multimap<time_point, call> under_way;
  uint64_t tickets = 0;
  uint64_t most_in_flight = 0;
  int64_t inversions = 0;
  std::map<uint64_t, int32_t> priority_of;
  std::map<std::string, std::multiset<int32_t>> waiting;

  load(const rate_limits& limits, uint64_t seed) : key(key_with(limits)), random(seed) {}

  void push(const std::string& tenant) {
    auto priority = static_cast<int32_t>(random() % 3);
    auto tokens_wanted = static_cast<int64_t>(20 + random() % 300);
    key.enqueue(tenant, entry(++tickets, tokens_wanted, priority));
    priority_of[tickets] = priority;
    waiting[tenant].insert(priority);
  }

  void run_for(caf::timespan total) {
    auto now = start;
    for (const auto* tenant : {"one", "two", "five"})
      for (auto i = 0; i < 50; ++i)
        push(tenant);
    while (now < start + total) {
      while (auto granted = key.next(now)) {
        auto& own = waiting[granted->tenant];
        auto priority = priority_of[granted->ticket];
        inversions += priority < *own.rbegin() ? 1 : 0;
        own.erase(own.find(priority));
        push(granted->tenant);
        auto used = static_cast<int64_t>(
            static_cast<double>(granted->tokens) * (0.5 + 0.5 * unit()));
        requests.take(1, now);
        tokens.take(used, now);
        got[granted->tenant] += used;
        auto took = std::chrono::milliseconds{100 + random() % 900};
        under_way.emplace(now + took, call{*granted, used});
        most_in_flight = std::max<uint64_t>(most_in_flight, under_way.size());
      }
      auto next = key.next_at(now);
      if (!under_way.empty())
        next = std::min(next, under_way.begin()->first);
      now = std::max(next, now + 1us);
      while (!under_way.empty() && under_way.begin()->first <= now) {
        const auto& done = under_way.begin()->second;
        key.settle(done.grant, {permit_use::answered, done.used, {}, {}}, now);
        under_way.erase(under_way.begin());
      }
    }
  }

  double unit() { return static_cast<double>(random() % 1'000) / 1'000; }

  [[nodiscard]] double share(const std::string& tenant) const {
    int64_t all = 0;
    for (const auto& [name, count] : got)
      all += count;
    return static_cast<double>(got.at(tenant)) / static_cast<double>(all);
  }
};

void check_shares(const load& x) {
  CHECK(x.share("one") > 0.97 / 8);
  CHECK(x.share("one") < 1.03 / 8);
  CHECK(x.share("two") > 0.97 * 2 / 8);
  CHECK(x.share("two") < 1.03 * 2 / 8);
  CHECK(x.share("five") > 0.97 * 5 / 8);
  CHECK(x.share("five") < 1.03 * 5 / 8);
}

} // namespace

TEST_CASE("under load, tokens a minute hold and are used, and tenants get their share") {
  rate_limits limits;
  limits.tokens_per_minute = 120'000;
  load x{limits, GENERATE(1U, 2U, 3U)};
  x.run_for(20min);
  CHECK(x.tokens.most <= 120'000);
  int64_t all = 0;
  for (const auto& [tenant, count] : x.got)
    all += count;
  CHECK(all >= 20 * 120'000 * 99 / 100);
  check_shares(x);
  CHECK(x.inversions == 0);
}

TEST_CASE("under load, requests a minute hold and are used, and tenants share by tokens") {
  rate_limits limits;
  limits.requests_per_minute = 600;
  load x{limits, GENERATE(1U, 2U, 3U)};
  x.run_for(20min);
  CHECK(x.requests.most <= 600);
  CHECK(x.tickets - 150 >= 20 * 600 * 99 / 100);
  check_shares(x);
  CHECK(x.inversions == 0);
}

TEST_CASE("under load, calls in flight stay within their limit") {
  rate_limits limits;
  limits.max_in_flight = 7;
  load x{limits, GENERATE(1U, 2U)};
  x.run_for(10min);
  CHECK(x.most_in_flight == 7);
  check_shares(x);
}

TEST_CASE("all limits hold at once") {
  rate_limits limits;
  limits.requests_per_minute = 600;
  limits.tokens_per_minute = 60'000;
  limits.max_in_flight = 20;
  load x{limits, GENERATE(1U, 2U)};
  x.run_for(10min);
  CHECK(x.requests.most <= 600);
  CHECK(x.tokens.most <= 60'000);
  CHECK(x.most_in_flight <= 20);
  CHECK(x.inversions == 0);
}

// -- refusals -----------------------------------------------------------------------------

TEST_CASE("a call whose turn would come too late is refused at once") {
  rate_limits limits;
  limits.requests_per_minute = 60;
  auto key = key_with(limits);
  for (uint64_t i = 1; i <= 31; ++i)
    key.enqueue("", entry(i));
  REQUIRE(key.next(start));
  auto error = key.refusal("", entry(100), start + 10s, start);
  CHECK(error == errc::rate_limited);
  CHECK_THAT(sentence_of(error), ContainsSubstring("about 24.1 s") && ContainsSubstring("10.0 s"));
  CHECK_FALSE(key.refusal("", entry(100), start + 40s, start));
  CHECK_FALSE(key.refusal("", entry(100), time_point::max(), start));
  // Who is more urgent, or another tenant, waits for less.
  CHECK_FALSE(key.refusal("", entry(100, 0, 1), start + 10s, start));
  CHECK_FALSE(key.refusal("other", entry(100), start + 10s, start));
}

TEST_CASE("a call of more tokens than a minute has is refused, and says so") {
  rate_limits limits;
  limits.tokens_per_minute = 1'000;
  auto key = key_with(limits);
  auto error = key.refusal("", entry(1, 1'001), time_point::max(), start);
  CHECK(error == errc::invalid_input);
  CHECK_THAT(sentence_of(error), ContainsSubstring("1001") && ContainsSubstring("max_tokens"));
  CHECK_FALSE(key.refusal("", entry(1, 1'000), time_point::max(), start));
}

TEST_CASE("a call of as many tokens as a minute has goes through in the end") {
  rate_limits limits;
  limits.tokens_per_minute = 1'000;
  auto key = key_with(limits);
  key.enqueue("", entry(1, 1'000));
  key.enqueue("", entry(2, 1'000));
  REQUIRE(key.next(start));
  CHECK_FALSE(key.next(start));
  auto next = key.next_at(start);
  CHECK(next >= start + 60s);
  CHECK(next < start + 61s);
  CHECK(key.next(next));
}

// -- what replies teach -----------------------------------------------------------------------

TEST_CASE("a Retry-After pauses the whole key") {
  auto key = key_with({});
  key.enqueue("", entry(1));
  auto first = key.next(start);
  REQUIRE(first);
  key.settle(*first, {permit_use::rate_limited, 0, caf::timespan{5s}, {}}, start);
  key.enqueue("", entry(2));
  CHECK_FALSE(key.next(start + 4s));
  CHECK(key.next_at(start) == start + 5s);
  CHECK(key.next(start + 5s));
}

TEST_CASE("a 429 that does not say how long pauses for longer each time") {
  auto key = key_with({});
  auto now = start;
  std::vector<caf::timespan> pauses;
  for (uint64_t i = 1; i <= 8; ++i) {
    key.enqueue("", entry(i));
    auto granted = key.next(now);
    REQUIRE(granted);
    key.settle(*granted, {permit_use::rate_limited, 0, {}, {}}, now);
    pauses.push_back(key.status(now).paused_for);
    now += pauses.back();
  }
  CHECK(pauses.front() == 100ms);
  CHECK(pauses[1] == 200ms);
  CHECK(pauses.back() == 5s);
  key.enqueue("", entry(100));
  auto granted = key.next(now);
  REQUIRE(granted);
  key.settle(*granted, {permit_use::answered, 0, {}, {}}, now);
  key.enqueue("", entry(101));
  granted = key.next(now);
  key.settle(*granted, {permit_use::rate_limited, 0, {}, {}}, now);
  CHECK(key.status(now).paused_for == 100ms);
}

TEST_CASE("without limits, a 429 halves what is in flight") {
  auto key = key_with({});
  std::vector<limited_key::grant> out;
  for (uint64_t i = 1; i <= 101; ++i)
    key.enqueue("", entry(i));
  while (auto granted = key.next(start))
    out.push_back(*granted);
  REQUIRE(out.size() == 101);
  key.settle(out[0], {permit_use::rate_limited, 0, {}, {}}, start);
  CHECK(key.status(start).max_in_flight == 50);
}

TEST_CASE("limits are learned from what an endpoint says, unless they are configured") {
  auto is_configured = GENERATE(false, true);
  rate_limits limits;
  if (is_configured)
    limits.requests_per_minute = 50;
  auto key = key_with(limits);
  key.enqueue("", entry(1, 100));
  auto granted = key.next(start);
  provider_limits said;
  said.request_limit = 600;
  said.requests_left = 599;
  said.requests_reset = caf::timespan{100ms};
  said.token_limit = 60'000;
  said.tokens_left = 20'000;
  said.tokens_reset = caf::timespan{40s};
  key.settle(*granted, {permit_use::answered, 100, {}, said}, start);
  auto status = key.status(start);
  CHECK(status.requests_per_minute == (is_configured ? 50 : 600));
  CHECK(status.tokens_per_minute == 60'000);
  CHECK(status.tokens_used == 40'000); // by others, mostly
  CHECK(key.status(start + 41s).tokens_used <= 100);
}

TEST_CASE("a limit of a day is not taken for one of a minute") {
  auto key = key_with({});
  key.enqueue("", entry(1));
  auto granted = key.next(start);
  provider_limits said;
  said.request_limit = 1'000;
  said.requests_left = 500;
  said.requests_reset = caf::timespan{12h};
  key.settle(*granted, {permit_use::answered, 1, {}, said}, start);
  for (uint64_t i = 2; i <= 100; ++i)
    key.enqueue("", entry(i));
  auto now = start;
  auto sent = 0;
  while (now < start + 1h && key.next_at(now) < start + 1h) {
    now = std::max(now, key.next_at(now));
    sent += key.next(now) ? 1 : 0;
  }
  CHECK(sent <= 52); // 1,000 a day, and the burst
  CHECK(sent >= 40);
}

TEST_CASE("an endpoint's nonsense does no harm") {
  auto key = key_with({});
  key.enqueue("", entry(1));
  auto granted = key.next(start);
  provider_limits said;
  said.request_limit = GENERATE(int64_t{-5}, int64_t{0}, std::numeric_limits<int64_t>::max());
  said.requests_left = GENERATE(std::numeric_limits<int64_t>::min(), int64_t{-1});
  said.requests_reset = GENERATE(caf::timespan{-1s}, caf::timespan::max());
  permit_report report{permit_use::rate_limited, std::numeric_limits<int64_t>::max(),
      caf::timespan::max(), said};
  key.settle(*granted, report, start);
  CHECK(key.status(start).in_flight == 0);
  CHECK(key.status(start).paused_for <= 24h);
}

// -- settling -----------------------------------------------------------------------------------

TEST_CASE("what was not sent is given back, and what failed keeps its request") {
  rate_limits limits;
  limits.requests_per_minute = 100;
  limits.tokens_per_minute = 1'000;
  auto key = key_with(limits);
  key.enqueue("", entry(1, 200));
  auto granted = key.next(start);
  REQUIRE(granted);
  SECTION("not sent") {
    key.settle(*granted, {permit_use::unused, -1, {}, {}}, start);
    CHECK(key.status(start).requests_used == 0);
    CHECK(key.status(start).tokens_used == 0);
  }
  SECTION("failed") {
    key.settle(*granted, {permit_use::failed, 0, {}, {}}, start);
    CHECK(key.status(start).requests_used == 1);
    CHECK(key.status(start).tokens_used == 0);
  }
  SECTION("failed, and nobody knows after how much") {
    key.settle(*granted, {permit_use::failed, -1, {}, {}}, start);
    CHECK(key.status(start).tokens_used == 200);
  }
  SECTION("answered, with more than was reserved") {
    key.settle(*granted, {permit_use::answered, 700, {}, {}}, start);
    CHECK(key.status(start).tokens_used == 700);
  }
  CHECK(key.status(start).in_flight == 0);
}

TEST_CASE("a lease gets as many permits as may go now, and at least one") {
  rate_limits limits;
  limits.max_in_flight = 10;
  auto key = key_with(limits);
  key.enqueue("", {1, 0, false, 64, 6'400});
  auto granted = key.next(start);
  REQUIRE(granted);
  CHECK(granted->permits == 10);
  CHECK(granted->tokens == 1'000);
  key.enqueue("", {2, 0, false, 64, 6'400});
  CHECK_FALSE(key.next(start));
  key.release(1);
  granted = key.next(start);
  REQUIRE(granted);
  CHECK(granted->permits == 1);
}

#include <chainmail/limits/known_shares.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace known_shares_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = known_shares::time_point;
constexpr time_point start{1h};

limiter_share share_of(const std::string& key, uint32_t holders) {
  return {key, 7, holders, 100, 0, 0, 1s};
}

} // namespace

TEST_CASE("shares are claimed when the limiter is lost, until they are told again") {
  known_shares shares;
  shares.tell(share_of("a", 3), start);
  shares.tell(share_of("b", 2), start);
  CHECK(shares.claimed_keys().empty());
  auto good = shares.claim(start + 1s);
  REQUIRE(good.size() == 2);
  CHECK(good[0].key == "a");
  CHECK(good[0].requests_per_minute == 100);
  shares.tell(share_of("a", 4), start + 2s);
  CHECK(shares.claimed_keys() == std::vector<std::string>{"b"});
}

TEST_CASE("a question says which share is there") {
  known_shares shares;
  shares.tell(share_of("a", 3), start);
  auto asked = shares.question("a", 5, 50, start + 59s);
  CHECK(asked.key == "a");
  CHECK(asked.permits == 5);
  CHECK(asked.tokens == 50);
  CHECK(asked.limiter == 7);
  CHECK(asked.holders == 3);
  CHECK(shares.question("a", 5, 50, start + 60s).holders == 0);
  CHECK(shares.question("b", 5, 50, start).holders == 0);
  shares.claim(start + 59s);
  CHECK(shares.question("a", 0, 0, start + 10min).holders == 3);
}

TEST_CASE("a share that was taken away, or not told for a minute, is none") {
  known_shares shares;
  shares.tell(share_of("a", 3), start);
  shares.tell(share_of("b", 3), start);
  shares.tell(share_of("b", 0), start);
  CHECK(shares.claim(start + 59s).size() == 1);
  CHECK(shares.claim(start + 60s).empty());
}

TEST_CASE("shares of keys in use are asked for every thirty seconds, others forgotten") {
  known_shares shares;
  CHECK(shares.due_at() == time_point::max());
  shares.tell(share_of("a", 3), start);
  CHECK(shares.due_at() == start + 30s);
  CHECK(shares.take_due(start + 29s).empty());
  CHECK(shares.take_due(start + 30s) == std::vector<std::string>{"a"});
  CHECK(shares.due_at() == start + 60s);
  shares.tell(share_of("a", 3), start + 31s);
  shares.on_use("a", start + 40s);
  shares.on_use("unknown", start + 40s);
  CHECK(shares.take_due(start + 219s) == std::vector<std::string>{"a"});
  shares.tell(share_of("a", 3), start + 219s);
  CHECK(shares.take_due(start + 260s).empty());
  CHECK(shares.claim(start + 278s).size() == 1);
  CHECK(shares.take_due(start + 279s).empty());
  CHECK(shares.due_at() == time_point::max());
}

TEST_CASE("no more than a thousand shares are remembered") {
  known_shares shares;
  for (int i = 0; i < 2'000; ++i)
    shares.tell(share_of(std::to_string(i), 1), start);
  CHECK(shares.claim(start).size() == known_shares::most_keys);
}

} // namespace known_shares_test

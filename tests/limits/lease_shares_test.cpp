#include <chainmail/limits/lease_shares.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <vector>

namespace lease_shares_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = lease_shares::time_point;
constexpr time_point start{1h};
constexpr lease_shares::claim a_third{3, true};

/// Sends what has to be told, and has it heeded at once.
void tell(lease_shares& shares, time_point now = start) {
  for (auto told = shares.take_notices(now); !told.empty(); told = shares.take_notices(now))
    for (const auto& x : told)
      shares.on_confirmed(x.holder);
}

bool is_part(double part, int of) {
  return std::abs(part - 1.0 / of) < 1e-9;
}

} // namespace

TEST_CASE("each holder has its part of the whole") {
  lease_shares shares;
  CHECK(shares.is_empty());
  for (uint64_t holder = 1; holder <= 3; ++holder) {
    CHECK_FALSE(shares.on_demand(holder, {}, start));
    tell(shares);
    for (uint64_t other = 1; other <= holder; ++other)
      CHECK(shares.parts_of(other) == holder);
  }
  CHECK(shares.parts_of(4) == 0);
}

TEST_CASE("a new holder has no share before the others heed theirs") {
  lease_shares shares;
  shares.on_demand(1, {}, start);
  tell(shares);
  shares.on_demand(2, {}, start);
  auto told = shares.take_notices(start);
  REQUIRE(told.size() == 1);
  CHECK(told[0].holder == 1);
  CHECK(told[0].parts == 2);
  CHECK(shares.parts_of(2) == 0);
  shares.on_confirmed(1);
  told = shares.take_notices(start);
  REQUIRE(told.size() == 1);
  CHECK(told[0].holder == 2);
  CHECK(told[0].parts == 2);
}

TEST_CASE("a holder is believed to heed the last of several notices only") {
  lease_shares shares;
  shares.on_demand(1, {}, start);
  tell(shares);
  shares.on_demand(2, {}, start);
  CHECK(shares.take_notices(start).size() == 1); // 1 has a half
  shares.on_loss(2, start);
  CHECK(shares.take_notices(start).size() == 1); // 1 has all again
  shares.on_demand(3, {}, start);
  CHECK(shares.take_notices(start).size() == 1); // 1 has a half
  shares.on_confirmed(1);
  CHECK(shares.take_notices(start).empty());
  shares.on_confirmed(1);
  CHECK(shares.take_notices(start).empty());
  shares.on_confirmed(1);
  CHECK(shares.take_notices(start).size() == 1);
  CHECK(shares.parts_of(3) == 2);
}

TEST_CASE("the share of a lost holder is reserved for a minute, then goes to the others") {
  lease_shares shares;
  for (uint64_t holder = 1; holder <= 3; ++holder)
    shares.on_demand(holder, {}, start);
  tell(shares);
  shares.on_loss(3, start);
  CHECK(is_part(shares.reserved(), 3));
  CHECK(shares.next_at() == start + 60s);
  tell(shares, start + 59s);
  CHECK(shares.parts_of(1) == 3);
  tell(shares, start + 60s);
  CHECK(shares.reserved() == 0);
  CHECK(shares.parts_of(1) == 2);
  CHECK(shares.parts_of(2) == 2);
}

TEST_CASE("a holder that comes takes over what was reserved") {
  lease_shares shares;
  shares.on_demand(1, {}, start);
  shares.on_demand(2, {}, start);
  tell(shares);
  shares.on_loss(2, start);
  CHECK_FALSE(shares.on_demand(3, {}, start + 1s));
  CHECK(shares.reserved() == 0);
  tell(shares, start + 1s);
  CHECK(shares.parts_of(1) == 2);
  CHECK(shares.parts_of(3) == 2);
}

TEST_CASE("a holder that was there before takes over nothing") {
  lease_shares shares;
  shares.on_demand(1, {}, start);
  shares.on_demand(2, {}, start);
  tell(shares);
  shares.on_loss(2, start + 10s);
  shares.on_demand(3, {0, false, start + 9s}, start + 11s);
  CHECK(is_part(shares.reserved(), 2));
  tell(shares, start + 11s);
  CHECK(shares.parts_of(1) == 3);
  CHECK(shares.parts_of(3) == 0);
  tell(shares, start + 70s);
  CHECK(shares.parts_of(3) == 2);
}

TEST_CASE("a holder that was cut off takes back what it had") {
  lease_shares shares;
  shares.on_demand(1, {}, start);
  shares.on_demand(2, {}, start);
  tell(shares);
  shares.on_loss(2, start + 10s);
  shares.on_demand(3, {2, false, start}, start + 11s);
  CHECK(shares.reserved() == 0);
  CHECK(shares.parts_of(3) == 2);
  CHECK(shares.take_notices(start + 11s).empty());
}

TEST_CASE("a holder that was never told of a share leaves none to be reserved") {
  lease_shares shares;
  shares.on_demand(1, {}, start);
  tell(shares);
  shares.on_demand(2, {}, start);
  shares.on_loss(2, start);
  CHECK(shares.reserved() == 0);
}

TEST_CASE("a claim tells of holders of a limiter that was lost") {
  lease_shares shares;
  CHECK(shares.on_demand(1, a_third, start));
  CHECK(std::abs(shares.reserved() - 2.0 / 3) < 1e-9);
  CHECK(shares.parts_of(1) == 3);
  CHECK_FALSE(shares.on_demand(1, a_third, start));
  CHECK_FALSE(shares.on_demand(2, a_third, start));
  CHECK_FALSE(shares.on_demand(3, a_third, start));
  CHECK(shares.reserved() == 0);
  CHECK(shares.take_notices(start).empty());
  lease_shares lone;
  CHECK(lone.on_demand(1, {UINT32_MAX, true}, start));
  CHECK(lone.reserved() <= 1);
  tell(lone, start + 60s);
  CHECK(lone.parts_of(1) == 1);
}

TEST_CASE("who had no share of a lost limiter is not taken for one who had") {
  lease_shares shares;
  shares.on_demand(1, {0, false, start - 1s}, start);
  CHECK(shares.on_demand(2, {2, true, start - 1s}, start));
  CHECK(is_part(shares.reserved(), 2));
  shares.on_demand(3, {0, false, start - 1s}, start);
  CHECK(is_part(shares.reserved(), 2));
  shares.on_demand(4, {2, true, start - 1s}, start);
  CHECK(shares.reserved() == 0);
}

TEST_CASE("a holder that asks no more has no share, once it knows that") {
  lease_shares shares;
  shares.on_demand(1, {}, start);
  shares.on_demand(2, {}, start);
  tell(shares);
  shares.on_demand(1, {}, start + 60s);
  CHECK(shares.next_at() == start + 90s);
  auto told = shares.take_notices(start + 90s);
  REQUIRE(told.size() == 1);
  CHECK(told[0].holder == 2);
  CHECK(told[0].parts == 0);
  CHECK(shares.parts_of(1) == 2);
  shares.on_confirmed(2);
  tell(shares, start + 90s);
  CHECK(shares.parts_of(1) == 1);
  tell(shares, start + 150s);
  CHECK(shares.is_empty());
  CHECK(shares.next_at() == time_point::max());
}

TEST_CASE("the limiter's own callers count as one holder, which is not told nor lost") {
  lease_shares shares;
  shares.on_demand(1, {}, start);
  shares.on_own_use(start);
  tell(shares);
  CHECK(shares.parts_of(1) == 2);
  shares.on_loss(1, start);
  shares.on_own_use(start + 1s);
  CHECK(is_part(shares.reserved(), 2));
  shares.on_demand(2, {}, start + 2s);
  tell(shares, start + 2s);
  CHECK(shares.parts_of(2) == 2);
  shares.on_demand(2, {}, start + 89s);
  tell(shares, start + 91s);
  CHECK(shares.parts_of(2) == 1);
}

TEST_CASE("more holders than are counted get no share, and do no harm") {
  lease_shares shares;
  for (uint64_t holder = 1; holder <= lease_shares::most_holders + 5; ++holder)
    shares.on_demand(holder, {}, start);
  tell(shares);
  CHECK(shares.parts_of(1) == lease_shares::most_holders);
  CHECK(shares.parts_of(lease_shares::most_holders + 1) == 0);
}

TEST_CASE("what holders believe to have is never more than the whole, whatever is lost") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    lease_shares shares;
    auto now = start;
    uint64_t next = 1;
    struct holder {
      time_point since;
      uint32_t parts = 0;
      std::vector<lease_shares::notice> mail;
    };
    std::map<uint64_t, holder> alive;
    /// Cut off for so long, going on with so much.
    std::vector<std::pair<time_point, double>> cut_off;
    for (int i = 0; i < 5'000; ++i) {
      now += std::chrono::milliseconds{random() % 2'000};
      std::erase_if(cut_off, [&](const auto& x) { return x.first <= now; });
      if (random() % 40 == 0 && alive.size() < 6) {
        // Whoever comes is one that was cut off, if there is one.
        if (!cut_off.empty())
          cut_off.erase(cut_off.begin());
        alive[next].since = now;
        shares.on_demand(next++, {0, false, now}, now);
      }
      for (auto j = alive.begin(); j != alive.end();) {
        auto& [number, x] = *j;
        if (random() % 10 < 2)
          shares.on_demand(number, {0, false, x.since}, now);
        if (!x.mail.empty() && random() % 2 == 0) {
          x.parts = x.mail.front().parts;
          shares.on_confirmed(number);
          x.mail.erase(x.mail.begin());
        }
        if (random() % 200 == 0) {
          shares.on_loss(number, now);
          if (x.parts > 0)
            cut_off.emplace_back(now + 60s, 1.0 / x.parts);
          j = alive.erase(j);
        } else {
          ++j;
        }
      }
      for (const auto& x : shares.take_notices(now))
        alive[x.holder].mail.push_back(x);
      double sum = 0;
      for (const auto& [number, x] : alive)
        sum += x.parts > 0 ? 1.0 / x.parts : 0;
      for (const auto& x : cut_off)
        sum += x.second;
      REQUIRE(sum <= 1 + 1e-9);
    }
  }
}

} // namespace lease_shares_test

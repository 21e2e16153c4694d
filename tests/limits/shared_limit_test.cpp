// One limit over several nodes, while nodes, their connections and the central limiter come and go.
#include "limits/limiter_cluster.hpp"

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <utility>

namespace shared_limit_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr size_t node_count = cluster::node_count;
constexpr size_t one_lease = 64;

rate_limiter_options requests_a_minute(int64_t limit) {
  rate_limiter_options result;
  result.defaults.requests_per_minute = limit;
  return result;
}

} // namespace

TEST_CASE("three nodes use nearly all of a limit, under even and under skewed load") {
  cluster c{requests_a_minute(600)};
  c.demand_of(20, 20, 20);
  c.run(120s);
  CHECK(c.lately(60s) >= 570);
  c.demand_of(100, 1, 0);
  c.run(120s);
  CHECK(c.lately(60s) >= 570);
  c.demand_of(2, 2, 30);
  c.run(120s);
  CHECK(c.lately(60s) >= 570);
  CHECK(c.most_in_a_minute() <= 600);
}

TEST_CASE(
    "nodes go on with their shares when the central limiter is lost, and return to a new one") {
  cluster c{requests_a_minute(600)};
  c.demand_of(10, 10, 10);
  c.run(90s);
  c.kill_central();
  c.run(90s);
  for (size_t i = 0; i < node_count; ++i) {
    CHECK(c.lately(i, 60s) >= 190);
    CHECK(c.lately(i, 60s) <= 201);
  }
  c.demand_of(30, 1, 0);
  c.start_central();
  c.run(130s);
  CHECK(c.lately(60s) >= 570);
  // More than its share: the node that wants nothing has left it to the two others, which take turns.
  CHECK(c.lately(0, 60s) >= 280);
  CHECK(c.refused() == 0);
  CHECK(c.most_in_a_minute() <= 610);
}

TEST_CASE("a node that used little has its full share when the central limiter is lost") {
  cluster c{requests_a_minute(600)};
  c.demand_of(30, 1, 1);
  c.run(20s);
  c.demand_of(30, 0, 0);
  c.run(100s);
  c.kill_central();
  c.demand_of(30, 30, 30);
  c.run(120s);
  for (size_t i = 0; i < node_count; ++i)
    CHECK(c.lately(i, 60s) >= 190);
  CHECK(c.most_in_a_minute() <= 610);
}

TEST_CASE("a share that other nodes got since is not used any more") {
  cluster c{requests_a_minute(600)};
  c.demand_of(5, 5, 5);
  c.run(10s);
  c.demand_of(30, 30, 0);
  // Beyond three minutes without use, and the time that a share is good.
  c.run(300s);
  c.kill_central();
  c.demand_of(30, 30, 30);
  c.run(90s);
  CHECK(c.lately(0, 60s) >= 290);
  CHECK(c.lately(1, 60s) >= 290);
  CHECK(c.lately(2, 60s) == 0);
  CHECK(c.nodes[2].calls->refused > 0);
  CHECK(c.most_in_a_minute() <= 610);
}

TEST_CASE("the share of a node that is cut off is left to it for a minute") {
  cluster c{requests_a_minute(600)};
  c.demand_of(10, 10, 10);
  c.run(90s);
  c.cut(0);
  c.run(59s);
  CHECK(c.lately(0, 50s) >= 155);
  CHECK(c.lately(1, 50s) + c.lately(2, 50s) >= 310);
  CHECK(c.most_in_a_minute() <= 610);
  // It was dead.
  c.demand_of(0, 10, 10);
  c.run(70s);
  CHECK(c.lately(60s) >= 570);
}

TEST_CASE("a node that is cut off for a while comes back to what it had") {
  cluster c{requests_a_minute(600)};
  c.demand_of(10, 10, 10);
  c.run(90s);
  c.cut(0);
  c.run(20s);
  c.heal(0);
  c.run(70s);
  CHECK(c.lately(60s) >= 570);
  CHECK(c.refused() == 0);
  CHECK(c.most_in_a_minute() <= 610);
}

TEST_CASE("a burst before the loss is made up for after it") {
  auto options = requests_a_minute(600);
  options.defaults.request_burst = 300;
  cluster c{options};
  c.demand_of(1, 1, 1);
  c.run(1s);
  c.demand_of(0, 0, 0);
  c.run(55s);
  c.demand_of(200, 200, 200);
  c.run(500ms);
  CHECK(c.lately(1s) >= 300);
  c.kill_central();
  c.run(10s);
  c.start_central();
  c.run(20s);
  c.kill_central();
  c.run(60s);
  CHECK(c.most_in_a_minute() <= 600 + node_count * one_lease);
}

TEST_CASE("without its forwarder a node goes on with its share for ever") {
  cluster c{requests_a_minute(600)};
  c.demand_of(10, 10, 10);
  c.run(30s);
  c.kill(c.nodes[0].forwarder);
  c.run(200s);
  CHECK(c.lately(0, 60s) >= 190);
  CHECK(c.lately(0, 60s) <= 201);
  CHECK(c.nodes[0].calls->refused == 0);
}

TEST_CASE("a limit on calls in flight is shared as well") {
  rate_limiter_options options;
  options.defaults.max_in_flight = 7;
  cluster c{options};
  for (auto& x : c.nodes)
    x.calls->call_takes = 1s;
  c.demand_of(10, 10, 10);
  c.run(30s);
  auto in_flight = [&] {
    size_t result = 0;
    for (auto& x : c.nodes)
      result += x.calls->in_flight;
    return result;
  };
  CHECK(in_flight() <= 7);
  c.kill_central();
  c.run(10s);
  for (auto& x : c.nodes)
    CHECK(x.calls->in_flight == 2);
  c.start_central();
  c.run(10s);
  CHECK(in_flight() <= 7);
  CHECK(in_flight() >= 6);
}

TEST_CASE("who waits is not asked for more than once a second while nobody answers") {
  cluster c{requests_a_minute(60)};
  c.demand_of(100, 1, 1);
  c.run(10s);
  c.kill_central();
  c.run(1s);
  auto before = c.nodes[0].over->questions;
  c.run(10s);
  CHECK(c.nodes[0].over->questions - before <= 11);
  CHECK(c.nodes[0].over->questions - before >= 9);
}

TEST_CASE("no minute has more than the limit and one lease a node, whatever is lost and returns") {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto limit = seed % 2 == 0 ? 600 : 6'000;
    cluster c{requests_a_minute(limit)};
    auto cut_until = c.time.now();
    auto lost_until = c.time.now();
    size_t cut_node = node_count;
    size_t losses = 0;
    for (int i = 0; i < 200; ++i) {
      for (auto& x : c.nodes)
        if (random() % 4 == 0)
          x.calls->wanted = random() % 3 == 0 ? 0 : random() % 60;
      auto now = c.time.now();
      if (!c.central && now >= lost_until)
        c.start_central();
      if (cut_node < node_count && now >= cut_until)
        c.heal(std::exchange(cut_node, node_count));
      switch (random() % 12) {
      case 0:
        if (c.central) {
          c.kill_central();
          lost_until = now + std::chrono::seconds{random() % 60};
          ++losses;
        }
        break;
      case 1:
        if (cut_node == node_count) {
          cut_node = random() % node_count;
          c.cut(cut_node, std::chrono::milliseconds{random() % 1'500});
          // Who is cut off for more than a minute is taken for dead.
          cut_until = now + std::chrono::seconds{2 + random() % 48};
          ++losses;
        }
        break;
      case 2:
        // Who comes while another one is cut off is taken for that one.
        if (cut_node == node_count) {
          c.replace(random() % node_count);
          ++losses;
        }
        break;
      default:
        break;
      }
      c.run(std::chrono::milliseconds{500 + random() % 6'000}, 100ms);
    }
    INFO(losses << " losses, " << c.most_in_a_minute() << " in a minute");
    CHECK(losses > 10);
    CHECK(c.most_in_a_minute() <= static_cast<size_t>(limit) + node_count * one_lease);
    CHECK(c.most_in_a_minute() >= static_cast<size_t>(limit) / 2);
  }
}

} // namespace shared_limit_test

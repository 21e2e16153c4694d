// Who is next: fairness between tenants, priorities within one.
#include <chainmail/limits/fair_queue.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <map>
#include <random>
#include <vector>

using namespace chainmail;

namespace {

double weight_of(const std::string& tenant) {
  if (tenant == "one")
    return 1;
  if (tenant == "two")
    return 2;
  return tenant == "five" ? 5 : 1;
}

fair_queue::entry entry(uint64_t ticket, int64_t tokens = 1, int32_t priority = 0) {
  return {ticket, priority, false, 1, tokens};
}

uint64_t pop(fair_queue& queue) {
  auto front = queue.front();
  auto ticket = front.what->ticket;
  queue.pop(front.what->tokens);
  return ticket;
}

} // namespace

TEST_CASE("one tenant's calls go as they came") {
  fair_queue queue{weight_of};
  for (uint64_t i = 1; i <= 5; ++i)
    queue.push("", entry(i, static_cast<int64_t>(i)));
  for (uint64_t i = 1; i <= 5; ++i)
    CHECK(pop(queue) == i);
  CHECK(queue.size() == 0);
  CHECK(queue.front().what == nullptr);
}

TEST_CASE("higher priorities go first, and what is sent again before its equals") {
  fair_queue queue{weight_of};
  queue.push("", entry(1, 1, 0));
  queue.push("", entry(2, 1, 5));
  queue.push("", {3, 0, true, 1, 1});
  queue.push("", entry(4, 1, -1));
  queue.push("", {5, 5, true, 1, 1});
  CHECK(pop(queue) == 5);
  CHECK(pop(queue) == 2);
  CHECK(pop(queue) == 3);
  CHECK(pop(queue) == 1);
  CHECK(pop(queue) == 4);
}

TEST_CASE("tenants get tokens by weight, whatever their calls are like") {
  std::mt19937_64 random{GENERATE(1U, 2U, 3U)};
  fair_queue queue{weight_of};
  std::map<std::string, int64_t> largest = {{"one", 50}, {"two", 1'000}, {"five", 300}};
  std::map<std::string, double> got;
  uint64_t ticket = 0;
  std::map<uint64_t, std::string> whose;
  auto push = [&](const std::string& tenant) {
    auto tokens = static_cast<int64_t>(1 + random() % static_cast<uint64_t>(largest[tenant]));
    // One of them claims to be urgent all the time.
    queue.push(tenant, entry(++ticket, tokens, tenant == "one" ? 1'000 : 0));
    whose[ticket] = tenant;
  };
  for (const auto* tenant : {"one", "two", "five"})
    for (auto i = 0; i < 100; ++i)
      push(tenant);
  double total = 0;
  while (total < 2'000'000) {
    auto front = queue.front();
    auto tokens = static_cast<double>(front.what->tokens);
    auto tenant = *front.tenant;
    got[tenant] += tokens;
    total += tokens;
    queue.pop(front.what->tokens);
    push(tenant);
  }
  CHECK(got["one"] / total > 0.97 / 8);
  CHECK(got["one"] / total < 1.03 / 8);
  CHECK(got["two"] / total > 0.97 * 2 / 8);
  CHECK(got["two"] / total < 1.03 * 2 / 8);
  CHECK(got["five"] / total > 0.97 * 5 / 8);
  CHECK(got["five"] / total < 1.03 * 5 / 8);
}

TEST_CASE("no tenant's call goes before a more urgent one of the same tenant") {
  std::mt19937_64 random{GENERATE(1U, 2U)};
  fair_queue queue{weight_of};
  std::map<std::string, std::multimap<int32_t, uint64_t>> waiting;
  uint64_t ticket = 0;
  for (auto i = 0; i < 20'000; ++i) {
    if (queue.size() == 0 || random() % 2 == 0) {
      std::string tenant = random() % 2 == 0 ? "one" : "five";
      auto priority = static_cast<int32_t>(random() % 5);
      queue.push(tenant, entry(++ticket, static_cast<int64_t>(random() % 50), priority));
      waiting[tenant].emplace(priority, ticket);
    } else {
      auto front = queue.front();
      auto& own = waiting[*front.tenant];
      REQUIRE(front.what->priority == own.rbegin()->first);
      auto same = own.equal_range(front.what->priority);
      auto first = same.first;
      for (auto at = same.first; at != same.second; ++at)
        if (at->second < first->second)
          first = at;
      REQUIRE(front.what->ticket == first->second);
      own.erase(first);
      queue.pop(front.what->tokens);
    }
  }
}

TEST_CASE("a tenant that was idle saves nothing up, and one that came late is not starved") {
  fair_queue queue{weight_of};
  uint64_t ticket = 0;
  for (auto i = 0; i < 1'000; ++i)
    queue.push("a", entry(++ticket, 10));
  for (auto i = 0; i < 500; ++i)
    pop(queue);
  for (auto i = 0; i < 100; ++i)
    queue.push("b", entry(10'000 + static_cast<uint64_t>(i), 10));
  auto of_b = 0;
  for (auto i = 0; i < 100; ++i)
    of_b += pop(queue) >= 10'000 ? 1 : 0;
  CHECK(of_b >= 49);
  CHECK(of_b <= 51);
}

TEST_CASE("what a call really used counts for its tenant") {
  fair_queue queue{weight_of};
  for (uint64_t i = 1; i <= 100; ++i) {
    queue.push("a", entry(i, 10));
    queue.push("b", entry(1'000 + i, 10));
  }
  auto of_a = 0;
  for (auto i = 0; i < 90; ++i) {
    auto of = *queue.front().tenant;
    pop(queue);
    if (of == "a") {
      ++of_a;
      queue.charge("a", 10); // twice as much as reserved
    }
  }
  CHECK(of_a == 30);
}

TEST_CASE("a call may leave the queue from anywhere") {
  fair_queue queue{weight_of};
  queue.push("a", entry(1));
  queue.push("a", entry(2, 5, 3));
  queue.push("b", entry(3));
  CHECK(queue.remove("a", entry(2, 5, 3)));
  CHECK_FALSE(queue.remove("a", entry(2, 5, 3)));
  CHECK_FALSE(queue.remove("c", entry(1)));
  CHECK(queue.remove("b", entry(3)));
  CHECK(queue.size() == 1);
  CHECK(pop(queue) == 1);
}

TEST_CASE("the work ahead of a call is its tenant's, and others' by their weight") {
  fair_queue queue{weight_of};
  for (uint64_t i = 1; i <= 10; ++i)
    queue.push("one", entry(i, 100));
  CHECK(queue.ahead_of("one", 0).tokens == 1'000);
  CHECK(queue.ahead_of("one", 1).tokens == 0);
  CHECK(queue.ahead_of("five", 0).tokens == 0);
  for (uint64_t i = 11; i <= 20; ++i)
    queue.push("five", entry(i, 100));
  CHECK(queue.ahead_of("five", 0).tokens == 1'200);
  CHECK(queue.ahead_of("one", 0).tokens == 2'000); // as much as there is
  CHECK(queue.ahead_of("one", 0).permits == 20);
}

TEST_CASE("tenants that come and go leave nothing behind") {
  fair_queue queue{weight_of};
  for (uint64_t i = 1; i <= 100'000; ++i) {
    queue.push("tenant " + std::to_string(i), entry(i));
    pop(queue);
  }
  CHECK(queue.size() == 0);
  CHECK(queue.remembered() < 5'000);
}

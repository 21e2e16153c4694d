#include <chainmail/limits/fair_queue.hpp>

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <vector>

namespace fair_queue_test {

using namespace chainmail;

namespace {

const std::map<std::string, double> no_weights;

fair_queue::item call(uint64_t id, std::string tenant, int64_t tokens = 1, int32_t priority = 0,
    bool is_retry = false) {
  return {id, std::move(tenant), priority, is_retry, {1, tokens}};
}

std::vector<uint64_t> drain(fair_queue& queue) {
  std::vector<uint64_t> result;
  while (!queue.empty())
    result.push_back(queue.pop(queue.front().wanted.tokens).id);
  return result;
}

} // namespace

TEST_CASE("a tenant's calls go by priority, then retries first, then in order of arrival") {
  fair_queue queue{&no_weights};
  queue.push(call(1, "a"));
  queue.push(call(2, "a"));
  queue.push(call(3, "a", 1, 0, true));
  queue.push(call(4, "a", 1, 5));
  queue.push(call(5, "a", 1, -5, true));
  CHECK(drain(queue) == std::vector<uint64_t>{4, 3, 1, 2, 5});
}

TEST_CASE("tenants get tokens by their weights, whatever their calls cost") {
  std::map<std::string, double> weights{{"two", 2}, {"five", 5}};
  fair_queue queue{&weights};
  std::mt19937_64 random{3};
  std::map<std::string, int64_t> got;
  uint64_t id = 0;
  auto push = [&](const std::string& tenant) {
    auto highest = tenant == "one" ? 2'000U : tenant == "two" ? 100U : 500U;
    queue.push(call(++id, tenant, static_cast<int64_t>(random() % highest) + 1));
  };
  for (const auto* tenant : {"one", "two", "five"})
    for (int i = 0; i < 3; ++i)
      push(tenant);
  int64_t sum = 0;
  while (sum < 3'000'000) {
    auto next = queue.pop(queue.front().wanted.tokens);
    got[next.tenant] += next.wanted.tokens;
    sum += next.wanted.tokens;
    push(next.tenant);
  }
  for (auto [tenant, weight] : {std::pair{"one", 1.0}, {"two", 2.0}, {"five", 5.0}}) {
    auto share = static_cast<double>(got[tenant]) / static_cast<double>(sum);
    CAPTURE(tenant, share);
    CHECK(share > weight / 8 * 0.97);
    CHECK(share < weight / 8 * 1.03);
  }
}

TEST_CASE("no priority and no crowd of new tenants starves one who waits") {
  fair_queue queue{&no_weights};
  queue.push(call(1, "greedy", 100));
  queue.pop(100);
  queue.push(call(2, "greedy", 1'000, 1'000));
  queue.push(call(3, "modest", 1'000, -1'000));
  queue.push(call(4, "modest", 1'000, -1'000));
  uint64_t id = 100;
  bool was_served = false;
  for (int i = 0; i < 50 && !was_served; ++i) {
    queue.push(call(++id, "new " + std::to_string(i), 1'000, 1'000));
    queue.push(call(++id, "greedy", 1'000, 1'000));
    was_served = queue.pop(1'000).id == 4;
  }
  CHECK(was_served);
}

TEST_CASE("a tenant that comes back from a rest has saved nothing up") {
  fair_queue queue{&no_weights};
  uint64_t id = 0;
  for (int i = 0; i < 100; ++i)
    queue.push(call(++id, "busy"));
  queue.push(call(++id, "rested"));
  for (int i = 0; i < 50; ++i)
    queue.pop(1);
  for (int i = 0; i < 50; ++i)
    queue.push(call(++id, "rested"));
  int rested = 0;
  for (int i = 0; i < 40; ++i)
    rested += queue.pop(1).tenant == "rested" ? 1 : 0;
  CHECK(rested >= 19);
  CHECK(rested <= 21);
}

TEST_CASE("tenants are charged for what they really used") {
  fair_queue queue{&no_weights};
  uint64_t id = 0;
  for (int i = 0; i < 400; ++i) {
    queue.push(call(++id, "honest", 100));
    queue.push(call(++id, "boaster", 100));
  }
  std::map<std::string, int> used;
  for (int i = 0; i < 300; ++i) {
    auto next = queue.pop(100);
    auto real = next.tenant == "boaster" ? 50 : 100;
    used[next.tenant] += real;
    queue.charge(next.tenant, real - 100);
    queue.charge("nobody", 5);
  }
  CHECK(std::abs(used["honest"] - used["boaster"]) <= 200);
}

TEST_CASE("a call that is erased leaves the others in their order") {
  fair_queue queue{&no_weights};
  for (uint64_t id = 1; id <= 4; ++id)
    queue.push(call(id, "a"));
  queue.push(call(5, "b"));
  CHECK(queue.erase(1));
  CHECK(queue.erase(5));
  CHECK_FALSE(queue.erase(5));
  CHECK(queue.erase(3));
  CHECK(drain(queue) == std::vector<uint64_t>{2, 4});
}

TEST_CASE("the work before a newcomer is never estimated too high") {
  std::map<std::string, double> weights{{"a", 1}, {"b", 2}, {"c", 5}};
  std::mt19937_64 random{5};
  for (int round = 0; round < 200; ++round) {
    fair_queue queue{&weights};
    auto make = [&](uint64_t id) {
      return call(id, std::string(1, static_cast<char>('a' + random() % 4)),
          static_cast<int64_t>(random() % 50) + 1, static_cast<int32_t>(random() % 3));
    };
    for (uint64_t id = 1; id < 40; ++id) {
      queue.push(make(id));
      if (random() % 3 == 0)
        queue.pop(queue.front().wanted.tokens);
    }
    auto last = make(1'000);
    auto estimate = queue.until_granted(last);
    queue.push(last);
    work really;
    for (;;) {
      auto next = queue.pop(queue.front().wanted.tokens);
      really.requests += 1;
      really.tokens += next.wanted.tokens;
      if (next.id == 1'000)
        break;
    }
    CHECK(estimate.tokens <= really.tokens);
    CHECK(estimate.requests <= really.requests);
    CHECK(estimate.tokens >= really.tokens - 200);
  }
}

} // namespace fair_queue_test

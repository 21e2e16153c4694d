#include <chainmail/caf/deadline_heap.hpp>

#include <catch2/catch_test_macros.hpp>

#include <set>

namespace deadline_heap_test {

using chainmail::deadline_heap;
using namespace std::literals;

namespace {

using time_point = deadline_heap<int>::time_point;

struct heap_with_owners {
  deadline_heap<int> heap;
  std::set<int> live;

  void push(std::chrono::seconds at, int key) {
    live.insert(key);
    heap.push(time_point{at}, key, live.size(), [this](int x) { return live.contains(x); });
  }

  std::optional<int> pop_due(std::chrono::seconds now) {
    return heap.pop_due(time_point{now}, [this](int x) { return live.contains(x); });
  }
};

} // namespace

TEST_CASE("deadlines come out in order, and only when they are due") {
  heap_with_owners h;
  h.push(30s, 3);
  h.push(10s, 1);
  h.push(20s, 2);
  CHECK(h.heap.next() == time_point{10s});
  CHECK_FALSE(h.pop_due(9s));
  CHECK(h.pop_due(25s) == 1);
  CHECK(h.pop_due(25s) == 2);
  CHECK_FALSE(h.pop_due(25s));
  CHECK(h.pop_due(30s) == 3);
  CHECK(h.heap.next() == time_point::max());
}

TEST_CASE("keys whose owners finished early do not come out") {
  heap_with_owners h;
  h.push(10s, 1);
  h.push(20s, 2);
  h.live.erase(1);
  CHECK(h.pop_due(60s) == 2);
  CHECK_FALSE(h.pop_due(60s));
}

TEST_CASE("a million finished calls with far deadlines leave no memory behind") {
  heap_with_owners h;
  for (int i = 0; i < 1'000'000; ++i) {
    h.push(600s, i);
    h.live.erase(i - 10);
  }
  CHECK(h.heap.size() <= 128);
}

} // namespace deadline_heap_test

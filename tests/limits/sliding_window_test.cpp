#include <chainmail/limits/sliding_window.hpp>

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <vector>

namespace sliding_window_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = sliding_window::time_point;
constexpr time_point start{1h};

} // namespace

TEST_CASE("a window has room again when what was taken is a period old") {
  sliding_window window{10, 60s, start};
  window.take(4, start);
  window.take(6, start + 20s);
  CHECK(window.used(start + 20s) == 10);
  CHECK(window.ready_at(1, start + 30s) == start + 60s + 10ms);
  CHECK(window.ready_at(5, start + 30s) == start + 80s + 10ms);
  CHECK(window.ready_at(4, start + 61s) == start + 61s);
  CHECK(window.ready_at(11, start + 61s) == time_point::max());
  CHECK(window.used(start + 81s) == 0);
}

TEST_CASE("what is given back leaves the window where it was taken") {
  sliding_window window{10, 60s, start};
  window.take(4, start);
  window.take(6, start + 20s);
  window.give_back(3, start);
  CHECK(window.used(start + 20s) == 7);
  window.give_back(100, start + 20s);
  CHECK(window.used(start + 20s) == 1);
  window.give_back(1, start + 1s);
  window.give_back(1, start - 1s);
  CHECK(window.used(start + 20s) == 1);
}

TEST_CASE("what others used leaves when the endpoint says so, and counts once") {
  sliding_window window{10, 60s, start};
  window.take(2, start);
  window.set_outside(8, start, start + 5s);
  CHECK(window.used(start) == 10);
  CHECK(window.ready_at(1, start) == start + 5s);
  CHECK(window.ready_at(9, start) == start + 60s + 10ms);
  window.set_outside(1, start, start + 24h);
  CHECK(window.used(start) == 3);
  CHECK(window.used(start + 61s) == 0);
}

TEST_CASE("the time at which a cost fits is the first one at which it does") {
  std::mt19937_64 random{7};
  sliding_window window{1000, 60s, start};
  auto now = start;
  for (int i = 0; i < 2'000; ++i) {
    now += std::chrono::microseconds{random() % 100'000};
    auto cost = static_cast<int64_t>(random() % 40);
    auto at = window.ready_at(cost, now);
    if (at > now) {
      CHECK(window.used(at - 1ns) + cost > 1000);
      now = at;
    }
    CHECK(window.used(now) + cost <= 1000);
    window.take(cost, now);
  }
}

} // namespace sliding_window_test

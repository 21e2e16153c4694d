#include <chainmail/limits/limit_period.hpp>

#include <catch2/catch_test_macros.hpp>

namespace limit_period_test {

using namespace chainmail;
using namespace std::literals;

TEST_CASE("a limit is of a minute until two observations say otherwise") {
  limit_period tested;
  CHECK(tested.get() == 60s);
  tested.observe(200, 199, 432s);
  CHECK(tested.get() == 60s);
  tested.observe(200, 199, 432s);
  CHECK(tested.get() == 60s);
  tested.observe(200, 190, 4'320s);
  CHECK(tested.get() == 24h);
  tested.observe(200, 100, 30s);
  tested.observe(200, 199, 300ms);
  CHECK(tested.get() == 60s);
}

TEST_CASE("an endpoint whose minutes end at fixed times is not taken for a slow one") {
  limit_period tested;
  for (int64_t used = 1; used <= 60; ++used)
    tested.observe(60, 60 - used, 60s - used * 500ms);
  CHECK(tested.get() == 60s);
}

TEST_CASE("headers without sense leave the period alone") {
  limit_period tested;
  for (int i = 0; i < 2; ++i) {
    tested.observe(0, 0, 1s);
    tested.observe(-5, -9, 1s);
    tested.observe(INT64_MAX, 0, 1h);
    tested.observe(100, 200, 1h);
    tested.observe(100, 50 + i * 40, -1h);
    tested.observe(100, 50 + i * 40, 1ns);
  }
  CHECK(tested.get() == 60s);
}

} // namespace limit_period_test

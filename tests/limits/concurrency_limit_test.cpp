#include <chainmail/limits/concurrency_limit.hpp>

#include <catch2/catch_test_macros.hpp>

namespace concurrency_limit_test {

using namespace chainmail;
using namespace std::literals;

namespace {

constexpr concurrency_limit::time_point start{1h};

} // namespace

TEST_CASE("calls in flight are not limited until one is refused, then to half") {
  concurrency_limit limit;
  limit.on_success(1'000);
  CHECK_FALSE(limit.is_limited());
  limit.on_refusal(100, start);
  CHECK(limit.limit() == 50);
}

TEST_CASE("a crowd of refusals is one decrease, and the limit stays at least one") {
  concurrency_limit limit;
  for (int i = 0; i < 50; ++i)
    limit.on_refusal(100, start + i * 10ms);
  CHECK(limit.limit() == 50);
  for (int i = 1; i < 20; ++i)
    limit.on_refusal(100, start + i * 1s);
  CHECK(limit.limit() == 1);
}

TEST_CASE("a round of answers makes room for one more, but only where room is used") {
  concurrency_limit limit;
  limit.on_refusal(8, start);
  for (int i = 0; i < 100; ++i)
    limit.on_success(3);
  CHECK(limit.limit() == 4);
  for (int i = 0; i < 4; ++i)
    limit.on_success(4);
  CHECK(limit.limit() == 5);
  for (int i = 0; i < 4; ++i)
    limit.on_success(5);
  CHECK(limit.limit() == 5);
  limit.on_success(5);
  CHECK(limit.limit() == 6);
}

} // namespace concurrency_limit_test

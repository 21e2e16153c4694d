#include <chainmail/limits/pause.hpp>

#include <catch2/catch_test_macros.hpp>

namespace pause_test {

using namespace chainmail;
using namespace std::literals;

namespace {

constexpr chainmail::pause::time_point start{1h};

} // namespace

TEST_CASE("a pause lasts as long as the endpoint asks, and the longest one counts") {
  chainmail::pause tested;
  tested.on_refusal(start - 1s, 20s, start);
  tested.on_refusal(start - 1s, 5s, start);
  CHECK(tested.until() == start + 20s);
  tested.on_refusal(start - 1s, -5s, start + 30s);
  CHECK(tested.until() == start + 30s);
  tested.on_refusal(start - 1s, std::chrono::hours{100'000}, start);
  CHECK(tested.until() == start + 1h);
}

TEST_CASE("without a time to wait pauses double up to five seconds, until an answer comes") {
  chainmail::pause tested;
  auto now = start;
  for (auto length : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
    tested.on_refusal(now, {}, now);
    CHECK(tested.until() == now + length);
    now = tested.until();
  }
  tested.on_success(start);
  tested.on_refusal(now, {}, now);
  CHECK(tested.until() == now + 5s);
  tested.on_success(now);
  tested.on_refusal(now, {}, now + 5s);
  CHECK(tested.until() == now + 5s + 100ms);
}

TEST_CASE("refusals of calls that were sent before the pause do not prolong it") {
  chainmail::pause tested;
  for (int i = 0; i < 20; ++i)
    tested.on_refusal(start - 1s, {}, start + i * 1ms);
  CHECK(tested.until() == start + 100ms);
}

} // namespace pause_test

#include <chainmail/caf/restart_policy.hpp>

#include <catch2/catch_test_macros.hpp>

#include <vector>

namespace restart_policy_test {

using chainmail::restart_policy;
using namespace std::literals;

namespace {

/// One actor that is started when the policy says.
struct patient {
  restart_policy policy;
  restart_policy::clock::time_point now{1h};

  patient() { policy.starts(now); }

  /// Crashes after that time, and returns how long it waits for its next start.
  restart_policy::clock::duration crash_after(restart_policy::clock::duration run) {
    now += run;
    auto wait = policy.crashed(now) - now;
    now += wait;
    policy.starts(now);
    return wait;
  }
};

} // namespace

TEST_CASE("the first crash is mended at once, the following ones ever later, up to 10 s") {
  patient one;
  std::vector<restart_policy::clock::duration> waits;
  for (auto i = 0; i < 10; ++i)
    waits.push_back(one.crash_after(1ms));
  CHECK(waits == std::vector<restart_policy::clock::duration>{
                     0s, 100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10s, 10s});
}

TEST_CASE("who ran for 30 s has its crashes forgotten") {
  patient one;
  for (auto i = 0; i < 20; ++i)
    one.crash_after(1ms);
  CHECK(one.crash_after(29s) == 10s);
  CHECK(one.crash_after(30s) == 0s);
  CHECK(one.crash_after(0s) == 100ms);
}

TEST_CASE("waiting is not running") {
  patient one;
  for (auto i = 0; i < 1000; ++i)
    one.crash_after(0s);
  CHECK(one.crash_after(0s) == 10s);
}

} // namespace restart_policy_test

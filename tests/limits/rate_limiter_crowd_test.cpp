// What a crowd of waiting callers costs.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <malloc.h>
#include <memory>
#include <string>
#include <time.h>
#include <vector>

namespace rate_limiter_crowd_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double slowness = 30;
#else
constexpr double slowness = 1;
#endif

/// What is claimed of one grant, in microseconds.
constexpr double most_microseconds = 5 * slowness;

size_t allocated() {
  return mallinfo2().uordblks;
}

/// CPU time of this thread, which runs all actors: others may be busy, too.
std::chrono::nanoseconds spent_so_far() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

double microseconds_each(std::chrono::nanoseconds spent, size_t count) {
  return std::chrono::duration<double, std::micro>{spent}.count() / static_cast<double>(count);
}

/// Asks for many permits, and counts them.
caf::actor spawn_crowd(virtual_time& time, const rate_limiter_actor& limiter, size_t callers,
    const std::shared_ptr<size_t>& got) {
  return time.system.spawn(
      [=, context = time.context()](caf::event_based_actor* self) -> caf::behavior {
        for (size_t i = 0; i < callers; ++i) {
          auto mine = context.child(i);
          mine.tenant = "tenant " + std::to_string(i % 100);
          compat::send(self, limiter, acquire_atom_v, demand{"key", 100, false}, mine);
        }
        return {[got](permit) { ++*got; }};
      });
}

} // namespace

TEST_CASE("ten thousand waiting callers cost less than 2 KB and 5 us each") {
  constexpr size_t callers = 10'000;
  virtual_time time;
  rate_limiter_options options;
  options.defaults.requests_per_minute = 60'000;
  options.defaults.tokens_per_minute = 6'000'000;
  auto limiter = spawn_rate_limiter(time.system, options);
  auto got = std::make_shared<size_t>(0);
  auto before = allocated();
  auto crowd = spawn_crowd(time, limiter, callers, got);
  auto asked = spent_so_far();
  time.settle();
  auto queued = spent_so_far();
  auto bytes = (allocated() - before) / callers;
  auto granted_before = *got;
  std::chrono::nanoseconds spent{0};
  while (*got < callers) {
    auto from = spent_so_far();
    time.advance(10ms);
    spent += spent_so_far() - from;
  }
  auto acquire_cost = microseconds_each(queued - asked, callers);
  auto grant_cost = microseconds_each(spent, callers - granted_before);
  INFO("a waiting caller takes " << bytes << " bytes; acquire " << acquire_cost << " us, grant "
                                 << grant_cost << " us with the scheduler of tests");
  CHECK(bytes < 2'000);
  CHECK(acquire_cost < most_microseconds);
  CHECK(grant_cost < most_microseconds);
  caf::anon_send_exit(crowd, caf::exit_reason::kill);
}

TEST_CASE("ten thousand actors that wait for one permit each cost hardly more") {
  constexpr size_t callers = 10'000;
  virtual_time time;
  rate_limiter_options options;
  options.defaults.requests_per_minute = 60'000;
  auto limiter = spawn_rate_limiter(time.system, options);
  auto got = std::make_shared<size_t>(0);
  std::vector<caf::actor> crowd;
  for (size_t i = 0; i < callers; ++i)
    crowd.push_back(time.system.spawn(
        [got](caf::event_based_actor* self, const rate_limiter_actor& to,
            const call_context& context) -> caf::behavior {
          compat::send(self, to, acquire_atom_v, demand{"key", 100, false}, context);
          return {[got](permit) { ++*got; }};
        },
        limiter, time.context()));
  auto before = allocated();
  time.settle();
  auto bytes = (allocated() - before) / callers;
  auto waiting = callers - *got;
  std::chrono::nanoseconds spent{0};
  while (*got < callers) {
    auto from = spent_so_far();
    time.advance(10ms);
    spent += spent_so_far() - from;
  }
  auto grant_cost = microseconds_each(spent, waiting);
  INFO("a waiting actor takes " << bytes << " bytes, its grant " << grant_cost << " us");
  CHECK(bytes < 2'000);
  CHECK(grant_cost < most_microseconds);
  for (auto& x : crowd)
    caf::anon_send_exit(x, caf::exit_reason::kill);
  time.settle();
}

} // namespace rate_limiter_crowd_test

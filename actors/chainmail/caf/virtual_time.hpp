// Virtual time, for tests of actors: they run when the test says so, and an hour passes at once.
//
// Needs no test framework. With CAF 1.x, link CAF::test.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>

#if CAF_MAJOR_VERSION >= 1
#include <caf/detail/log_level.hpp>
#include <caf/test/fixture/deterministic.hpp>
#include <caf/test/reporter.hpp>
#else
#include <caf/scheduler/test_coordinator.hpp>
#endif

#include <memory>
#include <optional>
#include <utility>

namespace chainmail::test {

/// An actor system whose actors run inside settle() and advance() only. Handles must be gone before
/// the fixture is: declare them after it. `init_types()` comes before the first fixture.
class virtual_time {
#if CAF_MAJOR_VERSION >= 1
  /// CAF's fixture wants one of these, where CAF's own test runner would have it.
  struct silent_reporter {
    silent_reporter() {
      reporter->verbosity(CAF_LOG_LEVEL_QUIET);
      caf::test::reporter::instance(reporter.get());
    }
    std::unique_ptr<caf::test::reporter> reporter = caf::test::reporter::make_default();
  };

  silent_reporter reporter_;
  caf::test::fixture::deterministic fixture_;

public:
  caf::actor_system& system = fixture_.sys;
#else
  struct config : caf::actor_system_config {
    config() {
      set("caf.scheduler.policy", "testing");
      set("caf.logger.file.verbosity", "quiet");
    }
  };

  config config_;

public:
  caf::actor_system system{config_};
#endif

  virtual_time() = default;
  virtual_time(const virtual_time&) = delete;
  virtual_time& operator=(const virtual_time&) = delete;
  ~virtual_time() {
    settle();
  }

  /// Runs every actor until none has mail. The clock stands still.
  void settle() {
#if CAF_MAJOR_VERSION >= 1
    fixture_.dispatch_messages();
#else
    while (scheduler().try_run_once()) {
    }
#endif
  }

  /// Runs every actor, moves the clock, and runs the actors whose time came.
  void advance(caf::timespan by) {
    settle();
#if CAF_MAJOR_VERSION >= 1
    if (by.count() > 0)
      fixture_.advance_time(by);
#else
    scheduler().advance_time(by);
#endif
    settle();
  }

  deadline::clock::time_point now() {
    return system.clock().now();
  }

  /// A context with an ID, due in `timeout` of virtual time.
  call_context context(caf::timespan timeout = std::chrono::hours{1}) {
    call_context result;
    result.id = call_id::make();
    result.due.at = now() + timeout;
    return result;
  }

private:
#if CAF_MAJOR_VERSION < 1
  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
#endif
};

/// What came back of one request, once it has.
template <class Result>
struct reply {
  std::optional<Result> result = {};
  caf::error error = {};
  size_t answers = 0;

  [[nodiscard]] bool pending() const { return answers == 0; }
};

/// Sends a request from an actor of its own, and keeps the answer: settle() or advance() until it is
/// there. `to_requester` gets that actor's handle, for tests that kill it.
template <class Result, class Handle, class... Ts>
std::shared_ptr<reply<Result>> ask(
    virtual_time& time, const Handle& to, caf::actor* to_requester, Ts... xs) {
  auto result = std::make_shared<reply<Result>>();
  auto requester = time.system.spawn([result, to, xs...](caf::event_based_actor* self) {
    compat::request(self, to, xs...)
        .then(
            [result](const Result& x) {
              result->result = x;
              ++result->answers;
            },
            [result](const caf::error& x) {
              result->error = x;
              ++result->answers;
            });
  });
  if (to_requester != nullptr)
    *to_requester = requester;
  return result;
}

template <class Result, class Handle, class... Ts>
std::shared_ptr<reply<Result>> ask(virtual_time& time, const Handle& to, Ts... xs) {
  return ask<Result>(time, to, static_cast<caf::actor*>(nullptr), std::move(xs)...);
}

} // namespace chainmail::test

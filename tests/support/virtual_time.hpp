// Actors in virtual time: they run when the test says so, and an hour passes at once.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <optional>
#include <utility>

namespace chainmail::test {

/// An actor system whose actors run inside settle() and advance() only. Handles must be gone before
/// the fixture is: declare them after it.
class virtual_time {
  struct config : caf::actor_system_config {
    config() {
      set("caf.scheduler.policy", "testing");
      set("caf.logger.file.verbosity", "quiet");
    }
  };

  config config_;

public:
  caf::actor_system system{config_};

  virtual_time() = default;
  virtual_time(const virtual_time&) = delete;
  virtual_time& operator=(const virtual_time&) = delete;
  ~virtual_time() { settle(); }

  /// Runs every actor until none has mail. The clock stands still.
  void settle() {
    while (scheduler().try_run_once()) {
    }
  }

  void advance(caf::timespan by) {
    settle();
    scheduler().advance_time(by);
    settle();
  }

  deadline::clock::time_point now() { return system.clock().now(); }

  /// A context with an ID, due in `timeout` of virtual time.
  call_context context(caf::timespan timeout = std::chrono::hours{1}) {
    call_context result;
    result.id = call_id::make();
    result.due.at = now() + timeout;
    return result;
  }

private:
  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
};

/// What came back of one request, once it has.
template <class Result>
struct reply {
  std::optional<Result> result;
  caf::error error;
  size_t answers = 0;

  [[nodiscard]] bool pending() const { return answers == 0; }
};

/// Sends a request from an actor of its own, and keeps the answer. `to_requester` gets that actor's
/// handle, for tests that kill it.
template <class Result, class Handle, class... Ts>
std::shared_ptr<reply<Result>> ask(
    virtual_time& time, const Handle& to, caf::actor* to_requester, Ts... xs) {
  auto result = std::make_shared<reply<Result>>();
  auto requester = time.system.spawn([result, to, xs...](caf::event_based_actor* self) {
    self->request(to, caf::infinite, xs...)
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

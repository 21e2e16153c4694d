// What runs actors, in either version of CAF: the second file that looks at CAF's version.
#pragma once

#include <caf/actor_system.hpp>
#include <caf/resumable.hpp>

#if CAF_MAJOR_VERSION >= 1
#include <caf/scheduler.hpp>
#else
#include <caf/execution_unit.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#endif

namespace chainmail::compat {

#if CAF_MAJOR_VERSION >= 1

/// A thread that runs actors. `take` gets one that has mail, with a reference to it.
class runner : public caf::scheduler {
public:
  explicit runner(caf::actor_system&) {}

  virtual void take(caf::resumable* job) = 0;

  void schedule(caf::resumable* job) final { take(job); }
  void delay(caf::resumable* job) final { take(job); }
  void start() final {}
  void stop() final {}
};

/// Gives an actor that has mail to the threads of the system's scheduler.
inline void schedule(caf::actor_system& system, caf::resumable* job) {
  system.scheduler().schedule(job);
}

#else

/// A thread that runs actors. `take` gets one that has mail, with a reference to it.
class runner : public caf::execution_unit {
public:
  explicit runner(caf::actor_system& system) : caf::execution_unit(&system) {}

  virtual void take(caf::resumable* job) = 0;

  void exec_later(caf::resumable* job) final { take(job); }
};

/// Gives an actor that has mail to the threads of the system's scheduler.
inline void schedule(caf::actor_system& system, caf::resumable* job) {
  system.scheduler().enqueue(job);
}

#endif

} // namespace chainmail::compat

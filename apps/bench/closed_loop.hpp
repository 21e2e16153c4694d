// Requests of one kind to one actor, so many outstanding all the time.
#pragma once

#include "measure.hpp"

#include <chainmail/messages.hpp>

#include <caf/actor.hpp>
#include <caf/error.hpp>
#include <caf/fwd.hpp>
#include <caf/message.hpp>

#include <functional>

namespace chainmail::bench {

struct loop_plan {
  caf::actor to;
  size_t calls = 0;
  size_t in_flight = 1;
  std::function<caf::message(const call_context&)> request;
  /// Looks at an answer that is no error.
  std::function<caf::error(const caf::message&)> check;
};

/// Waits until all are answered.
figures run_loop(caf::actor_system& system, const loop_plan& plan);

} // namespace chainmail::bench

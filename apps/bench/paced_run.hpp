// A chain called at a constant rate, by an actor.
#pragma once

#include "pace.hpp"

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <functional>

namespace chainmail::bench {

/// Waits until every call is answered. `every_second`, if there is one, runs between calls, on this
/// thread.
paced_figures run_at_pace(caf::actor_system& system, const chain_actor& chain, pace plan,
    const std::function<void()>& every_second = {});

} // namespace chainmail::bench

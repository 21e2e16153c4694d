// Concurrent generation: one chain, many inputs, one answer with all outcomes.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

/// Spawns a gather actor. One of them hosts any number of gathers at once; each call of a gather
/// has the ID `context.id.child(index)`. A gather whose requester dies is cancelled.
gather_actor spawn_gather(caf::actor_system& system);

/// Spawns a gather actor that takes one gather and is gone when that is over.
gather_actor spawn_one_gather(caf::actor_system& system);

} // namespace chainmail

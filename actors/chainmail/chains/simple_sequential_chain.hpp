// Chains one after another, each working on what the one before it made.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <vector>

namespace chainmail {

/// Spawns a chain that hands its "input" to the first of `chains`, the output of each to the next,
/// whatever they call it, and gives the last one's as "output". Other inputs go no further. The
/// first error ends the call.
/// @throws std::invalid_argument, naming the chain by its position, for one that has not exactly
/// one input that must be there and one output; and for no chain at all.
chain_actor spawn_simple_sequential_chain(
    caf::actor_system& system, std::vector<chain_actor> chains);

} // namespace chainmail

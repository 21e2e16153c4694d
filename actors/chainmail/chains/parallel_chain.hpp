// Several chains on the same inputs at once.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <map>
#include <string>

namespace chainmail {

/// Spawns a chain that runs all `branches` at once, each on all the inputs. Each branch's output
/// goes out under the branch's name. The first error ends the call and cancels the other branches.
/// @throws std::invalid_argument, naming the branch, for one that has not exactly one output (a
/// sequential chain can choose one); and for no branch at all.
chain_actor spawn_parallel_chain(
    caf::actor_system& system, const std::map<std::string, chain_actor>& branches);

} // namespace chainmail

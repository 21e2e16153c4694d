// Chains one after another, each with everything that is known by then.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <string>
#include <vector>

namespace chainmail {

struct sequential_options {
  /// Which inputs the whole takes. Empty: those that a chain needs and none before it gives.
  std::vector<std::string> input_keys = {};
  /// Which values the whole gives, inputs among them if need be. Empty: the last chain's outputs.
  std::vector<std::string> output_keys = {};
};

/// Spawns a chain that runs `chains` in order. Each gets the inputs of the whole and the outputs of
/// the chains before it; further inputs flow through. The first error ends the call.
/// @throws std::invalid_argument, naming the chain by its position, for one whose inputs are not
/// all known by then or that gives what is already known; for an output that nobody gives; and for
/// no chain at all.
chain_actor spawn_sequential_chain(
    caf::actor_system& system, std::vector<chain_actor> chains, sequential_options options = {});

} // namespace chainmail

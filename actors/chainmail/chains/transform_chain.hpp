// A function as a chain.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <functional>
#include <string>
#include <vector>

namespace chainmail {

/// Makes outputs from inputs. Runs inside the chain's actor, one call at a time: it must be quick.
using transform_function = std::function<caf::expected<values>(const values&)>;

/// Spawns a chain that answers with what `transform` makes of all its inputs. errc::internal when
/// that throws, or gives other outputs than the declared ones.
/// @throws std::invalid_argument for an empty function.
chain_actor spawn_transform_chain(caf::actor_system& system, std::vector<std::string> input_keys,
    std::vector<std::string> output_keys, transform_function transform);

} // namespace chainmail

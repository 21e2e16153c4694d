// One of several chains, chosen anew for each call: by a function, or by a model.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <functional>
#include <map>
#include <string>

namespace chainmail {

/// Where a router may send a call.
struct route {
  /// What the route is good for, in one line. A model reads it, a function needs none.
  std::string description = {};
  chain_actor chain = {};
};

/// Routes by their names.
using route_map = std::map<std::string, route>;

/// Chooses the name of a route. Runs inside the chain's actor, one call at a time: it must be
/// quick.
using choose_route = std::function<caf::expected<std::string>(const values&)>;

/// Spawns a chain that hands its inputs to the route that `choose` names, or to `fallback` when it
/// names none of them; errc::invalid_input without a fallback. Any route may be taken, so a call
/// needs the inputs of all of them.
/// @throws std::invalid_argument for routes or a fallback whose outputs differ; and for no route at
/// all.
chain_actor spawn_router_chain(caf::actor_system& system, const route_map& routes,
    choose_route choose, const chain_actor& fallback = {});

struct llm_router_options {
  /// Takes the calls for which the model answers "DEFAULT" or names no route.
  chain_actor fallback = {};
  /// The input that the model reads.
  std::string input_key = "input";
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};
};

/// The same, with a model choosing by the routes' descriptions. Without a fallback,
/// errc::malformed_response when it names no route.
/// @throws std::invalid_argument also for names and descriptions that are not one line of text, for
/// the name "DEFAULT", and for an invalid LLM.
chain_actor spawn_llm_router_chain(caf::actor_system& system, llm_actor llm,
    const route_map& routes, llm_router_options options = {});

} // namespace chainmail

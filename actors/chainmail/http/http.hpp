// The HTTP actors: what performs the exchanges of clients.
#pragma once

#include <chainmail/http/http_options.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

/// Spawns the engine: a pool in front of one or several workers. A call that finds no free place
/// waits, up to its deadline; see http_options for the limits. A worker that dies is replaced, as
/// restart_policy says; a call that finds none running gets errc::unavailable at once. When told to
/// exit, the engine answers what it holds with errc::shut_down; when its last handle is gone, it
/// finishes what it holds first. So an actor system that is destroyed while calls are under way
/// waits for them, unless the engine is told to exit.
/// @throws std::invalid_argument with the sentence of check(options).
http_actor spawn_http(caf::actor_system& system, http_options options = {});

} // namespace chainmail

// The client of an OpenAI-compatible endpoint, as an actor.
#pragma once

#include <chainmail/llm/openai_options.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

/// Spawns a client that sends each request once, through `http`: no retries, no limits. Errors
/// carry an error_detail when a response came. The key stays in this actor and its process.
/// @throws std::invalid_argument for an invalid handle, or with the sentence of check(options).
llm_actor spawn_openai_client(caf::actor_system& system, http_actor http, openai_options options);

} // namespace chainmail

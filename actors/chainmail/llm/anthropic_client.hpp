// The client of an endpoint that speaks Anthropic's Messages API, as an actor.
#pragma once

#include <chainmail/llm/anthropic_options.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

/// Spawns a client that sends each request once, through `http`: no retries, no limits. What of a
/// request the API has other words for, or none, stands at encode (llm/anthropic_codec.hpp). Errors
/// carry an error_detail when a response came. The key stays in this actor and its process.
/// @throws std::invalid_argument for an invalid handle, or with the sentence of check(options).
llm_actor spawn_anthropic_client(
    caf::actor_system& system, http_actor http, anthropic_options options);

} // namespace chainmail

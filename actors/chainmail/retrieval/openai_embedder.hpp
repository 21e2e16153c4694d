// The embeddings of an OpenAI-compatible endpoint, as an actor.
#pragma once

#include <chainmail/llm/openai_options.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/retrieval/embeddings_codec.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

/// Spawns an embedder that sends texts to POST {base}/embeddings, in batches, through `http`. A batch
/// that fails is sent again as options.retry says; the first that fails for good ends the call, and
/// its other requests. Of the endpoint's
/// options only those that say how to reach it count. No texts give no vectors, without a request.
/// @throws std::invalid_argument for an invalid handle, or with the sentence of check(options).
embedder_actor spawn_openai_embedder(caf::actor_system& system, http_actor http,
    openai_options endpoint, embedder_options options = {});

} // namespace chainmail

// A document instead of prose: what a model answers is held against a JSON schema.
#pragma once

#include <chainmail/messages.hpp>
#include <chainmail/prompts/llm_prompt.hpp>

#include <caf/fwd.hpp>

#include <string>

namespace chainmail {

struct structured_options {
  /// Under which name the document goes out.
  std::string output_key = "json";
  /// Whether the request has the schema, too, so that a server that can holds the model to it. Not for
  /// servers that refuse "response_format".
  bool sends_schema = true;
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};
};

/// Spawns a chain that asks `llm`, which must be a chat model, and gives the JSON text of a document
/// that fits `schema` (see json_schema): the model is told the schema in a system message, and its
/// answer may stand between ``` fences or in prose. An answer that does not fit goes back once, with
/// what is wrong and where; when the next one does not fit either, or one was cut off at its token
/// limit, that is errc::malformed_response with the JSON pointer in its sentence. Takes no streams: a
/// document is there when it is checked.
/// @throws std::invalid_argument for an invalid handle, and for a schema that is none.
chain_actor spawn_structured_chain(caf::actor_system& system, llm_actor llm, llm_prompt prompt,
    std::string schema, structured_options options = {});

} // namespace chainmail

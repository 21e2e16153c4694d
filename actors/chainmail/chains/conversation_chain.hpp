// A chat with a model that remembers what was said.
#pragma once

#include <chainmail/messages.hpp>
#include <chainmail/prompts/llm_prompt.hpp>

#include <caf/fwd.hpp>

#include <string>
#include <vector>

namespace chainmail {

struct conversation_options {
  /// Has exactly the variables "history" and "input". In a chat prompt, "history" is a placeholder: the
  /// turns go as messages, and what was summed up before them as a system message.
  llm_prompt prompt = default_prompt;
  /// Of a prompt of text: ends the reply before the model speaks for the human.
  std::vector<std::string> stop = {"\nHuman:"};
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};

  static const char* const default_prompt;
};

/// Spawns a chain that answers "input" with "response", blanks around it removed, as part of a
/// conversation in `memory`: the one named by the input "conversation", or "default" for calls
/// without. A call sees the turns that were saved when it started, so of calls that overlap none
/// sees the other. The turn is saved before the response goes out; a call that fails or is cancelled
/// while the model is asked saves nothing.
/// @throws std::invalid_argument for invalid handles, and for a prompt with other variables.
chain_actor spawn_conversation_chain(caf::actor_system& system, llm_actor llm, memory_actor memory,
    conversation_options options = {});

} // namespace chainmail

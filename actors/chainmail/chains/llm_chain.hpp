// The basic chain: a prompt and an LLM.
#pragma once

#include <chainmail/messages.hpp>
#include <chainmail/prompts/llm_prompt.hpp>

#include <caf/fwd.hpp>

#include <string>

namespace chainmail {

/// How an LLM chain deviates from the plain case.
struct llm_chain_options {
  /// Under which name the completion goes out. "text" is LangChain's.
  std::string output_key = "text";
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};
};

/// Spawns a chain that formats `prompt` with its inputs and asks `llm`. Inputs that the prompt does
/// not use are left alone; the input "stop" (text, or a list of texts) sets the stop sequences. The
/// output is the first completion, as the model wrote it: models like to start with blank lines.
/// @throws std::invalid_argument for an invalid handle; a malformed template throws it by itself.
chain_actor spawn_llm_chain(
    caf::actor_system& system, llm_actor llm, llm_prompt prompt, llm_chain_options options = {});

} // namespace chainmail

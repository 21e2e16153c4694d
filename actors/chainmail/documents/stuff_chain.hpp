// All documents in one prompt.
#pragma once

#include <chainmail/messages.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/fwd.hpp>

#include <string>

namespace chainmail {

/// How documents become one text.
struct stuff_options {
  /// Writes one document; its variables are `page_content` and names of metadata.
  prompt_template document_prompt = "{page_content}";
  /// Under which input the text goes to the chain.
  std::string document_variable = "context";
  std::string separator = "\n\n";
};

/// Spawns a chain that writes the documents of its input "input_documents" into one text, and gives
/// that, with all its other inputs, to `chain`. Out: "output_text", the one output of `chain`.
/// @throws std::invalid_argument for a chain that does not take the document variable, or that has
/// not exactly one output.
chain_actor spawn_stuff_chain(
    caf::actor_system& system, chain_actor chain, stuff_options options = {});

} // namespace chainmail

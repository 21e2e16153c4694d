// One document after another, each time with the answer so far.
#pragma once

#include <chainmail/messages.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/fwd.hpp>

#include <string>

namespace chainmail {

/// The chains of a refine chain.
struct refine_parts {
  /// Takes the first document's text, gives one output.
  chain_actor initial;
  /// Takes each further document's text and the answer so far, gives one output.
  chain_actor refine;
};

struct refine_options {
  /// Writes one document.
  prompt_template document_prompt = "{page_content}";
  /// Under which input it goes to both chains.
  std::string document_variable = "context_str";
  /// Under which input the answer so far goes to the refine chain.
  std::string answer_variable = "existing_answer";
  /// Adds the output "intermediate_steps": the answer after each document.
  bool return_intermediate_steps = false;
};

/// Spawns a chain that asks `initial` about the first document of "input_documents", then `refine`
/// about each next one, strictly one after another. The other inputs go to both. Out: "output_text".
/// errc::invalid_input when there is no document.
/// @throws std::invalid_argument for chains that do not fit their slots.
chain_actor spawn_refine_chain(
    caf::actor_system& system, refine_parts parts, refine_options options = {});

} // namespace chainmail

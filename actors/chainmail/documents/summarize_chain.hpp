// Summaries of documents, in the three ways of LangChain's load_summarize_chain.
#pragma once

#include <chainmail/documents/map_reduce_chain.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/fwd.hpp>

#include <optional>

namespace chainmail {

/// How documents become a summary; see qa_type.
enum class summarize_type { stuff, map_reduce, refine };

/// How a summary deviates from the plain case. What a type does not use is left alone.
struct summarize_options {
  /// In place of chainmail's own (documents/qa_prompts.hpp). `prompt` and `combine_prompt` take
  /// text; `refine_prompt` takes existing_answer besides. Without a combine_prompt, map_reduce
  /// combines with `prompt`.
  std::optional<prompt_template> prompt = {};
  std::optional<prompt_template> combine_prompt = {};
  std::optional<prompt_template> refine_prompt = {};
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};
  /// Of map_reduce.
  size_t token_max = 3'000;
  /// Of map_reduce; empty: measure_tokens_of the model of `parameters`.
  token_measure count_tokens = {};
  /// Of map_reduce: how many documents of one call are summarised at once.
  size_t max_in_flight = 1'000;
  /// Adds the output "intermediate_steps"; stuff has none.
  bool return_intermediate_steps = false;
};

/// Spawns a chain that summarises documents. In: "input_documents". Out: "output_text", and
/// "intermediate_steps" on request.
/// @throws std::invalid_argument for an invalid handle, for prompts that lack a variable, and for
/// intermediate steps of stuff.
chain_actor spawn_summarize_chain(
    caf::actor_system& system, llm_actor llm, summarize_type type, summarize_options options = {});

} // namespace chainmail

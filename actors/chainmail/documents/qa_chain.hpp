// Question answering over documents, in the four ways of LangChain's load_qa_chain.
#pragma once

#include <chainmail/documents/map_reduce_chain.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/fwd.hpp>

#include <optional>
#include <string_view>

namespace chainmail {

/// How the documents and the question become an answer.
enum class qa_type {
  /// All documents in one prompt: one call.
  stuff,
  /// Every document by itself, then the extracts together: two rounds of calls.
  map_reduce,
  /// One document after another: as many rounds as documents.
  refine,
  /// Every document by itself, and the answer with the best score: one round of calls.
  map_rerank,
};

/// "stuff", "map_reduce", "refine", "map_rerank"; nothing for another word.
std::optional<qa_type> parse_qa_type(std::string_view name);

std::string_view to_string(qa_type type);

/// How question answering deviates from the plain case. What a type does not use is left alone.
struct qa_options {
  /// The prompts in place of chainmail's own (documents/qa_prompts.hpp), with the same variables.
  /// stuff: context, question. map_rerank: context, question, and an answer in the form of
  /// read_scored_answer. map_reduce: `prompt` maps with context, question; `combine_prompt` takes
  /// summaries, question. refine: `prompt` takes context_str, question; `refine_prompt` takes
  /// existing_answer besides.
  std::optional<prompt_template> prompt = {};
  std::optional<prompt_template> combine_prompt = {};
  std::optional<prompt_template> refine_prompt = {};
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};
  /// Of map_reduce.
  size_t token_max = 3'000;
  /// Of map_reduce; empty: measure_tokens_of the model of `parameters`.
  token_measure count_tokens = {};
  /// Of map_reduce and map_rerank: how many documents of one call are asked about at once.
  size_t max_in_flight = 1'000;
  /// Adds the output "intermediate_steps"; stuff has none.
  bool return_intermediate_steps = false;
};

/// Spawns a chain that answers a question from documents. In: "input_documents", "question". Out:
/// "output_text", and "intermediate_steps" on request.
/// @throws std::invalid_argument for an invalid handle, for prompts that lack a variable, and for
/// intermediate steps of stuff.
chain_actor spawn_qa_chain(
    caf::actor_system& system, llm_actor llm, qa_type type, const qa_options& options = {});

/// The same with sources. The documents' metadata must hold a "source". Out: "answer" and
/// "sources", as the model named them, separated by commas; "" when it named none. Of map_rerank they
/// are the source of the best answer; "" when its score is 0.
/// errc::malformed_response when the model wrote more than one "SOURCES:".
chain_actor spawn_qa_with_sources_chain(
    caf::actor_system& system, llm_actor llm, qa_type type, const qa_options& options = {});

// -- the pure part ------------------------------------------------------------------------

/// An answer and where it comes from.
struct sourced_answer {
  std::string answer = {};
  std::string sources = {};
};

/// Splits "... SOURCES: a, b": errc::malformed_response for more than one of the mark.
caf::expected<sourced_answer> split_sources(std::string_view text);

} // namespace chainmail

// Each document on its own, and the answer that scored best.
#pragma once

#include <chainmail/messages.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

struct map_rerank_options {
  /// Writes one document.
  prompt_template document_prompt = "{page_content}";
  /// Under which input it goes to the chain.
  std::string document_variable = "context";
  /// Metadata of the best answer's document to give as outputs of these names.
  std::vector<std::string> metadata_keys = {};
  /// Documents of one call that are asked about at once; the others wait. At least 1.
  size_t max_in_flight = 1'000;
  /// Adds the output "intermediate_steps": every answer as a document, best first, with its "score"
  /// in the metadata of the document that it came from.
  bool return_intermediate_steps = false;
};

/// Spawns a chain that asks `chain` about every document of "input_documents" at once. Each answer
/// must end in "\nScore: " and an integer; the one with the highest score wins, the earlier of
/// equals. Out: "output_text", without the score. errc::invalid_input when there is no document,
/// errc::malformed_response when an answer has no score.
/// @throws std::invalid_argument for a chain that does not take the document variable, or that has
/// not exactly one output.
chain_actor spawn_map_rerank_chain(
    caf::actor_system& system, chain_actor chain, map_rerank_options options = {});

// -- the pure part ------------------------------------------------------------------------

/// An answer and how well its model thinks of it.
struct scored_answer {
  std::string answer = {};
  int64_t score = 0;
};

/// Reads "(.*?)\nScore: (.*)": errc::malformed_response when that is not there or the score is no
/// integer. Lines after the score are left alone.
caf::expected<scored_answer> read_scored_answer(std::string_view text);

} // namespace chainmail

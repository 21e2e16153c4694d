// Each document on its own first, then what came of them together.
#pragma once

#include <chainmail/llm/token_counter.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// The chains of a map_reduce chain.
struct map_reduce_parts {
  /// Takes one document's text, gives one output.
  chain_actor map;
  /// Takes "input_documents" (a stuff chain does), gives one output.
  chain_actor combine;
  /// Like `combine`, for what is too long to combine at once. Null: `combine` itself.
  chain_actor collapse;
};

struct map_reduce_options {
  /// Writes one document for the map step.
  prompt_template document_prompt = "{page_content}";
  /// Under which input it goes to the map chain.
  std::string document_variable = "context";
  /// Map steps of one call that are outstanding at once; the others wait. At least 1.
  size_t max_in_flight = 1'000;
  /// What the combine chain takes at most, as measured by `count_tokens`: above it, the mapped texts
  /// are collapsed in groups, as often as it takes. 3000 is LangChain's.
  size_t token_max = 3'000;
  /// Empty: measure_tokens_of an unnamed model.
  token_measure count_tokens = {};
  /// Adds the output "intermediate_steps": the mapped texts, in the documents' order.
  bool return_intermediate_steps = false;
};

/// Spawns a chain that runs the map chain on every document of its input "input_documents" at once,
/// collapses what came of them while that is longer than token_max, and combines it. The other
/// inputs go to all three chains. Out: "output_text". A collapsed document's metadata holds the
/// values of its group, joined by ", ". errc::invalid_input when one mapped text alone, or two that
/// must go together, are longer than token_max.
/// @throws std::invalid_argument for chains that do not fit their slots.
chain_actor spawn_map_reduce_chain(
    caf::actor_system& system, map_reduce_parts parts, map_reduce_options options = {});

// -- the pure part ------------------------------------------------------------------------

/// Puts texts of these lengths into groups, greedily and in order, that are each at most `most`
/// long. errc::invalid_input for a text that is longer alone, and for two that would have to stand
/// together but are: then collapsing cannot help.
caf::expected<std::vector<size_t>> group_sizes(const std::vector<size_t>& lengths, size_t most);

/// The metadata of all, per key, joined by ", ".
std::map<std::string, std::string> merge_metadata(const document* first, const document* last);

} // namespace chainmail

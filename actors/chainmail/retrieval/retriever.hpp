// From texts to documents and back: retrievers find, indexers add.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace chainmail {

/// How a retriever searches; see search_options.
struct retriever_options {
  double mmr_lambda = -1;
  uint32_t fetch_k = 20;
  /// Together with the query's own: where the two want different values, nothing is found.
  metadata_filter filter = {};
  /// Documents whose score is below are left out. Cosine similarity, so from -1 to 1.
  std::optional<double> score_threshold = {};
};

/// Spawns a retriever that embeds the query and searches the index with it. An empty text and k = 0
/// get errc::invalid_input.
/// @throws std::invalid_argument for an invalid handle, or for an option that can never work.
retriever_actor spawn_retriever(caf::actor_system& system, embedder_actor embedder,
    vector_index_actor index, retriever_options options = {});

/// Adds documents that have no vectors yet.
using indexer_actor = caf::typed_actor<
    // Embeds the documents' contents and adds them all, or none. The answer is their IDs.
    caf::result<document_ids>(add_atom, std::vector<document>, call_context),
    // Gives up a call, unless the index has its documents already.
    caf::result<void>(cancel_atom, call_id)>;

/// @throws std::invalid_argument for an invalid handle.
indexer_actor spawn_indexer(
    caf::actor_system& system, embedder_actor embedder, vector_index_actor index);

/// Embeds and adds, and waits for it: for programs and their progress bars. At the timeout the
/// answer is errc::timed_out.
caf::expected<document_ids> add_documents(caf::scoped_actor& self, const embedder_actor& embedder,
    const vector_index_actor& index, std::vector<document> documents,
    caf::timespan timeout = default_timeout);

} // namespace chainmail

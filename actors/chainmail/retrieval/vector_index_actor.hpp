// Documents and their vectors, as an actor.
#pragma once

#include <chainmail/messages.hpp>
#include <chainmail/retrieval/vector_index.hpp>

#include <caf/fwd.hpp>

#include <cstddef>
#include <string>

namespace chainmail {

struct index_options {
  /// Where the index is kept; made if it is missing, in a folder that is not. Empty: in memory.
  std::string folder = {};
  /// Up to this many vectors, a search looks at each; above, it uses a graph, which is linked in
  /// turns of about 20 ms between the calls. Until that is done, a search looks at the rest.
  size_t exact_up_to = vector_index::default_exact_up_to;
};

/// Spawns an index. With a folder it has a thread of its own, because disks block; it goes when the
/// last handle does, and its folder is free again then. In memory it has none. Searching by
/// marginal relevance looks at no more than 2,000 candidates.
///
/// The folder holds the documents (documents.sqlite, durable when they are added or removed) and
/// the vectors (vectors, durable when they are saved). What has no other half when the folder is
/// opened is dropped: so a process that is killed loses what it added after its last save, and
/// nothing else.
/// @throws std::runtime_error for a folder that cannot be used, with a sentence that says why: it is
/// open elsewhere (in this process too), cannot be written, or holds files that are damaged.
vector_index_actor spawn_vector_index(caf::actor_system& system, const index_options& options = {});

} // namespace chainmail

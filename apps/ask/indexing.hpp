// Keeps an index in step with a folder.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace chainmail::asking {

/// How far an update is.
struct index_progress {
  /// Files that are in the index, of all that belong there.
  size_t files = 0;
  size_t all_files = 0;
  /// Pieces that were embedded by now.
  size_t pieces = 0;
};

/// What an update did.
struct index_report {
  /// Files that are in the index now.
  size_t files = 0;
  /// Those of them that are new or changed.
  size_t added = 0;
  /// A sentence for each file or folder that was left out.
  std::vector<std::string> complaints;
};

/// Embeds the files that are new or changed, drops those that are gone (unless all are), and saves. A file is in the
/// index whole or not at all; after an error, what was embedded by then is saved, and the next
/// update goes on from there. `on_progress` is called for each file, and before and after the
/// embedding of each batch.
caf::expected<index_report> update_index(caf::scoped_actor& self, const embedder_actor& embedder,
    const vector_index_actor& index, const std::filesystem::path& folder,
    const std::function<void(const index_progress&)>& on_progress);

} // namespace chainmail::asking

// A cache of answers on the disk.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstddef>
#include <string>

namespace chainmail {

struct sqlite_cache_options {
  /// Of the database; made when it is missing. Several processes may share it.
  std::string path = {};
  /// Of keys and answers; past it, the oldest go.
  size_t max_bytes = size_t{1} << 30U;
};

/// errc::invalid_input with a sentence for options that can never work.
caf::error check(const sqlite_cache_options& options);

/// Spawns a cache on a thread of its own, as it waits for the disk. What it kept is there after a
/// restart, or a crash. Its age counts by the wall clock. An answer that cannot be saved is not kept.
/// @throws std::invalid_argument with the sentence of check(options).
/// @throws std::runtime_error, with the path and what to do, for a file that cannot be opened, is
/// damaged, or is something else.
cache_actor spawn_sqlite_cache(caf::actor_system& system, sqlite_cache_options options);

} // namespace chainmail

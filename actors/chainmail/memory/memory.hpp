// Memories of conversations, each kind in LangChain's sense. All keep conversations by key, so that
// callers who share a memory never share a conversation.
#pragma once

#include <chainmail/memory/conversation_memory.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <cstddef>

namespace chainmail {

/// Spawns a memory that keeps every turn.
/// @throws std::invalid_argument, here and below, for limits of 0.
memory_actor spawn_buffer_memory(caf::actor_system& system, const memory_limits& limits = {});

/// Spawns a memory that keeps the last `k` turns and drops the others. 5 is LangChain's. Of the
/// limits, max_turns does not apply.
/// @throws std::invalid_argument for k = 0.
memory_actor spawn_window_memory(
    caf::actor_system& system, size_t k = 5, const memory_limits& limits = {});

struct summary_memory_options {
  /// Turns with more tokens than this together, as measured by `count_tokens`, go into the summary,
  /// the oldest first. 2000 is LangChain's.
  size_t max_tokens = 2'000;
  /// Empty: measure_tokens_of the model of `parameters`. It must not throw.
  token_measure count_tokens = {};
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};
  memory_limits limits = {};
};

/// Spawns a memory that keeps the last turns as they are, and a summary of those before them.
///
/// A save is answered as soon as the turn is in the conversation. When that makes too many, the
/// memory asks `llm` by itself to add the oldest (20 at most) to the summary, one request of a
/// conversation at a time, on the account of the save's tenant. A request that fails, or takes longer
/// than 2 minutes, loses nothing: its turns stay as they are, and the next save tries again.
/// @throws std::invalid_argument for an invalid LLM.
memory_actor spawn_summary_buffer_memory(
    caf::actor_system& system, llm_actor llm, summary_memory_options options = {});

/// The same with every turn going into the summary. `max_tokens` and `count_tokens` do not apply.
memory_actor spawn_summary_memory(
    caf::actor_system& system, llm_actor llm, summary_memory_options options = {});

} // namespace chainmail

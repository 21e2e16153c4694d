// What the bench can run.
#pragma once

#include "measure.hpp"

#include <chainmail/llm/openai_options.hpp>

#include <caf/fwd.hpp>

#include <cstddef>

namespace chainmail::bench {

/// How much of it.
struct load {
  openai_options endpoint;
  /// Calls of a fanout; at most `in_flight` of them at once.
  size_t calls = 1'000;
  size_t in_flight = 1'000;
  /// Calls to make before, not measured.
  size_t warm_up = 0;
  /// Chain calls gathered, each over this many documents.
  size_t chains = 10;
  size_t documents = 40;
};

/// llm_chain calls through gather.
caf::expected<figures> fanout(caf::actor_system& system, const load& how_much);

/// map_reduce question answering: one round of map steps, one of combining.
caf::expected<figures> map_reduce(caf::actor_system& system, const load& how_much);

/// Follow-up questions over an index: a round each of condensing, embedding and answering.
caf::expected<figures> chat_vector_db(caf::actor_system& system, const load& how_much);

} // namespace chainmail::bench

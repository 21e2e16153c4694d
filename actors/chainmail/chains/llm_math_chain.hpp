// Arithmetic in words: a model writes the expression, chainmail evaluates it.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

struct llm_math_options {
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};
};

/// Spawns a chain that asks `llm` to write "question" as one arithmetic expression, and evaluates
/// that. Out: "answer", as in "Answer: 42". A reply that is an answer passes through. No code is
/// run: see read_math_reply for what replies may be, and evaluate_expression for what expressions
/// may be. errc::malformed_response for other replies.
/// @throws std::invalid_argument for an invalid LLM.
chain_actor spawn_llm_math_chain(
    caf::actor_system& system, llm_actor llm, llm_math_options options = {});

} // namespace chainmail

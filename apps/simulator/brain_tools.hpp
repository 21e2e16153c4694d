// Which tools the brain calls, and what it makes of their results.

#pragma once

#include "reply.hpp"
#include "requests.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

struct tool_rules {
  bool must_call = false; ///< even when no tool fits
  bool one_at_a_time = false;
  bool breaks_schema = false; ///< the arguments do not fit their parameters
};

/// The calls that are still to be made, without ids, for those parts of the question that share
/// telling words with a tool's name or description; arguments come from the question. What follows
/// "then" waits for the results of what stands before it and may use their numbers ("then add them").
/// Empty: it is time to answer.
std::vector<tool_call> choose_calls(std::string_view question, std::span<const tool> tools,
    std::span<const tool_result> results, const tool_rules& rules);

/// What the tools said, one a line.
std::string answer_from_results(std::string_view question, std::span<const tool_result> results);

} // namespace chainmail::simulator

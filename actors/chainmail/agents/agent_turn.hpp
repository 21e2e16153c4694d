// What a model's answer means to an agent.
#pragma once

#include <chainmail/values.hpp>

#include <optional>
#include <string>
#include <vector>

namespace chainmail {

/// One answer of a model, read: calls, or the final answer, or neither.
struct agent_turn {
  /// What the model said before its calls.
  std::string thought = {};
  std::vector<tool_call> calls = {};
  std::optional<std::string> answer = {};
  /// With neither: what the model is told to do instead.
  std::string correction = {};
  /// What of the model's text stays in the conversation.
  std::string record = {};
};

} // namespace chainmail

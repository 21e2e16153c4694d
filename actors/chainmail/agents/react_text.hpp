// The text protocol of ReAct agents: Thought, Action, Action Input, Observation, Final Answer.
#pragma once

#include <chainmail/agents/agent_turn.hpp>
#include <chainmail/llm.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// Reads what a model wrote after "Thought:". What comes first counts: a final answer, which goes on
/// to the end of the text, or an action. Actions that follow one another without a thought in between
/// are calls of one round. Nothing behind an "Observation:" is read: the model made that up.
///
/// Understood are labels in any case, with blanks, '*', '#' or '_' around them, with a number ("Action
/// 2:"), with a full-width colon, and without one when the line has nothing else or, behind "Action",
/// a tool's name; tool names in quotes, back-ticks or brackets, in another case, and with the input
/// in parentheses behind them; inputs of several lines and in code fences; and an action as one JSON
/// object with "action" and "action_input", also when that action is "Final Answer". Calls have no ID; their arguments are a JSON object
/// (arguments_from_text) where the tool is known. The record ends with the last action.
agent_turn read_react_reply(std::string_view text, const std::vector<tool_description>& tools);

/// What stands before the question: the tools, and how to write.
std::string react_instructions(const std::vector<tool_description>& tools);

} // namespace chainmail

// A small brain without a model: it finds sentences, rewrites questions and reads sums, and says
// when it does not know.

#pragma once

#include "requests.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace chainmail::simulator {

/// The reply to a prompt of a known kind, which is recognized by the words that chainmail's and
/// LangChain's prompts of that kind share: question answering (stuff, map, combine, rerank, refine,
/// with and without sources), follow-up questions, summaries, conversations, arithmetic, routing,
/// ReAct.
/// Empty for any other prompt. What it says stands in the prompt or follows from it by rule; the same
/// prompt always gets the same reply. Takes time in proportion to the prompt.
std::optional<std::string> think(std::string_view prompt);

/// The reply to a chat's last message from what was said before it: the system's text serves as
/// context, the user's earlier messages as memory. Empty for anything but a question that they
/// answer, unless the system's text asks for "I don't know".
std::optional<std::string> recall(std::string_view prompt, std::span<const message> history);

} // namespace chainmail::simulator

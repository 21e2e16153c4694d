// A conversation as prompts show it.
#pragma once

#include <chainmail/retrieval.hpp>

#include <string>
#include <string_view>

namespace chainmail {

/// The summary, if there is one, then "Human: ..." and "AI: ..." lines, without a final newline.
/// Empty for an empty conversation. The side of a turn that said nothing is left out.
std::string show_conversation(const conversation& what, std::string_view human_prefix = "Human",
    std::string_view ai_prefix = "AI");

/// The turns as the messages of a user and an assistant, behind what was summed up as a system message.
std::vector<chat_message> as_messages(const conversation& what);

} // namespace chainmail

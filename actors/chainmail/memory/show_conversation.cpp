// Writing conversations.
#include <chainmail/memory/show_conversation.hpp>

namespace chainmail {

std::string show_conversation(
    const conversation& what, std::string_view human_prefix, std::string_view ai_prefix) {
  auto result = what.summary;
  auto say = [&result](std::string_view who, const std::string& text) {
    if (text.empty())
      return;
    if (!result.empty())
      result += '\n';
    result += who;
    result += ": ";
    result += text;
  };
  for (const auto& turn : what.turns) {
    say(human_prefix, turn.human);
    say(ai_prefix, turn.ai);
  }
  return result;
}

} // namespace chainmail

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

std::vector<chat_message> as_messages(const conversation& what) {
  std::vector<chat_message> result;
  auto say = [&result](const char* role, const std::string& text) {
    if (!text.empty())
      result.push_back({role, text});
  };
  say("system", what.summary);
  for (const auto& turn : what.turns) {
    say("user", turn.human);
    say("assistant", turn.ai);
  }
  return result;
}

} // namespace chainmail

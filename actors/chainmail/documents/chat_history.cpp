// Reading histories.
#include <chainmail/documents/chat_history.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

namespace chainmail {

namespace {

caf::expected<conversation> from_messages(const std::vector<chat_message>& messages) {
  conversation result;
  auto is_open = false; // the last turn waits for its answer
  for (size_t i = 0; i < messages.size(); ++i) {
    const auto& role = messages[i].role;
    const auto& content = messages[i].content;
    if (role == "user") {
      result.turns.push_back({content, {}});
      is_open = true;
    } else if (role == "assistant" && is_open) {
      result.turns.back().ai = content;
      is_open = false;
    } else if (role == "assistant") {
      result.turns.push_back({{}, content});
    } else if (role == "system") {
      result.summary += (result.summary.empty() ? "" : "\n") + content;
    } else {
      return make_failure(errc::invalid_input,
          "message " + std::to_string(i + 1) + " of the chat history has the role '" +
              one_line(role, 20) + "'; it takes user, assistant and system");
    }
  }
  return result;
}

conversation from_texts(const std::vector<std::string>& texts) {
  conversation result;
  for (size_t i = 0; i < texts.size(); i += 2)
    result.turns.push_back({texts[i], i + 1 < texts.size() ? texts[i + 1] : std::string{}});
  return result;
}

} // namespace

caf::expected<conversation> read_chat_history(const value& history) {
  if (auto* messages = std::get_if<std::vector<chat_message>>(&history))
    return from_messages(*messages);
  if (auto* texts = std::get_if<std::vector<std::string>>(&history))
    return from_texts(*texts);
  if (auto* text = std::get_if<std::string>(&history))
    return conversation{*text, {}};
  return make_failure(errc::invalid_input, "a chat history is a list of chat messages, a list of "
                                           "texts (human and AI in turns) or a text");
}

} // namespace chainmail

// Formatting of chat prompts.
#include <chainmail/errors.hpp>
#include <chainmail/prompts/chat_prompt_template.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace chainmail {

namespace {

bool needs(const prompt_template& text, const std::string& name) {
  return std::ranges::binary_search(text.input_variables(), name);
}

} // namespace

chat_prompt_template::chat_prompt_template(std::vector<part> parts) : parts_(std::move(parts)) {
  constexpr std::array<std::string_view, 4> roles = {"system", "developer", "user", "assistant"};
  if (parts_.empty())
    throw std::invalid_argument{"a chat prompt needs at least one message"};
  for (const auto& one : parts_)
    if (const auto* message = std::get_if<part::message>(&one.what_);
        message != nullptr && std::ranges::find(roles, message->role) == roles.end())
      throw std::invalid_argument{"the chat prompt has the role '" + message->role +
                                  "'; there are: system, developer, user, assistant"};
  for (const auto& one : parts_)
    if (const auto* where = std::get_if<messages_placeholder>(&one.what_)) {
      // Whatever a variable may be called.
      if (where->name.find_first_of("{}") != std::string::npos ||
          !prompt_template::parse("{" + where->name + "}"))
        throw std::invalid_argument{
            "the chat prompt has a placeholder '" + where->name + "', which names no variable"};
      auto is_variable = std::ranges::any_of(parts_, [where](const part& other) {
        const auto* message = std::get_if<part::message>(&other.what_);
        return message != nullptr && needs(message->text, where->name);
      });
      if (is_variable)
        throw std::invalid_argument{
            "the chat prompt has '" + where->name + "' as a placeholder and as a variable"};
    }
  collect_variables();
}

caf::expected<chat_prompt_template> chat_prompt_template::with_partial(
    const std::string& name, const std::string& text) const {
  return with_partial(name, prompt_template::partial{[text] { return text; }});
}

caf::expected<chat_prompt_template> chat_prompt_template::with_partial(
    const std::string& name, const prompt_template::partial& text) const {
  auto result = *this;
  auto is_used = false;
  for (auto& one : result.parts_)
    if (auto* message = std::get_if<part::message>(&one.what_);
        message != nullptr && needs(message->text, name)) {
      message->text = *message->text.with_partial(name, text);
      is_used = true;
    }
  if (!is_used)
    return make_failure(errc::unexpected_input, "the chat prompt has no variable '" + name + "'");
  result.collect_variables();
  return result;
}

void chat_prompt_template::collect_variables() {
  input_variables_.clear();
  for (const auto& one : parts_) {
    if (const auto* message = std::get_if<part::message>(&one.what_)) {
      const auto& more = message->text.input_variables();
      input_variables_.insert(input_variables_.end(), more.begin(), more.end());
    } else if (const auto& where = std::get<messages_placeholder>(one.what_); !where.is_optional) {
      input_variables_.push_back(where.name);
    }
  }
  std::ranges::sort(input_variables_);
  input_variables_.erase(
      std::unique(input_variables_.begin(), input_variables_.end()), input_variables_.end());
}

/// Whether a message has the variable, with a partial or without.
bool chat_prompt_template::uses(std::string_view name) const {
  return std::ranges::any_of(parts_, [name](const part& one) {
    const auto* message = std::get_if<part::message>(&one.what_);
    return message != nullptr && message->text.with_partial(std::string{name}, std::string{});
  });
}

caf::expected<std::vector<chat_message>> chat_prompt_template::format(const values& inputs) const {
  auto is_place = [this](const std::string& name) {
    return std::ranges::any_of(parts_, [&name](const part& one) {
      const auto* where = std::get_if<messages_placeholder>(&one.what_);
      return where != nullptr && where->name == name;
    });
  };
  for (const auto& [name, unused] : inputs)
    if (!is_place(name) && !uses(name))
      return make_failure(
          errc::unexpected_input, "the chat prompt has no variable or placeholder '" + name + "'");
  return format_from(inputs);
}

caf::expected<std::vector<chat_message>> chat_prompt_template::format_from(
    const values& inputs) const {
  std::vector<chat_message> result;
  for (const auto& one : parts_) {
    if (const auto* message = std::get_if<part::message>(&one.what_)) {
      auto text = message->text.format_from(inputs);
      if (!text)
        return std::move(text.error());
      result.push_back({message->role, std::move(*text)});
      continue;
    }
    const auto& where = std::get<messages_placeholder>(one.what_);
    auto found = inputs.find(where.name);
    if (found == inputs.end() && where.is_optional)
      continue;
    if (found == inputs.end())
      return make_failure(errc::missing_input, "the chat prompt needs the input '" + where.name +
                                                   "', a chat (std::vector<chat_message>)");
    const auto* chat = std::get_if<std::vector<chat_message>>(&found->second);
    if (chat == nullptr)
      return make_failure(errc::invalid_input,
          "the input '" + where.name + "' is no chat (std::vector<chat_message>)");
    result.insert(result.end(), chat->begin(), chat->end());
  }
  return result;
}

} // namespace chainmail

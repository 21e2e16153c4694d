// Chat prompts: messages with roles, made of templates, and places for messages that are there
// already.
#pragma once

#include <chainmail/prompts/prompt_template.hpp>
#include <chainmail/values.hpp>

#include <caf/fwd.hpp>

#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace chainmail {

/// Where the messages of an input go, such as a conversation's history.
struct messages_placeholder {
  /// The input's: it holds a chat.
  std::string name = {};
  /// An input that is not there stands for no messages.
  bool is_optional = false;
};

/// Messages in order, each a role with a prompt_template, or a placeholder for any number of them:
/// `{{"system", "You translate into {language}."}, messages_placeholder{"history"}, {"user",
/// "{text}"}}`.
class chat_prompt_template {
public:
  class part {
  public:
    part(std::string_view role, prompt_template text)
      : what_(message{std::string{role}, std::move(text)}) {}
    part(const char* role, prompt_template text) : part(std::string_view{role}, std::move(text)) {}
    part(messages_placeholder where) // NOLINT(google-explicit-constructor)
      : what_(std::move(where)) {}

  private:
    friend class chat_prompt_template;

    struct message {
      std::string role;
      prompt_template text;
    };

    std::variant<message, messages_placeholder> what_;
  };

  /// @throws std::invalid_argument for no part, for a role other than system, developer, user and
  /// assistant, and for a placeholder whose name is none, or is a variable too.
  chat_prompt_template(std::initializer_list<part> parts)
    : chat_prompt_template(std::vector<part>{parts}) {}
  explicit chat_prompt_template(std::vector<part> parts);

  /// The same template with a variable filled in, wherever it stands; an input of that name still
  /// wins. errc::unexpected_input when no message has such a variable without a partial.
  [[nodiscard]] caf::expected<chat_prompt_template> with_partial(
      const std::string& name, const std::string& text) const;
  [[nodiscard]] caf::expected<chat_prompt_template> with_partial(
      const std::string& name, const prompt_template::partial& text) const;

  /// What the inputs must have, sorted: variables without a partial, and placeholders that are not
  /// optional.
  [[nodiscard]] const std::vector<std::string>& input_variables() const { return input_variables_; }

  /// Strict, as prompt_template::format is. errc::invalid_input for an input that is no chat where a
  /// placeholder is, and for text where a chat is given.
  [[nodiscard]] caf::expected<std::vector<chat_message>> format(const values& inputs) const;

  /// Like format, but leaves alone the inputs that it does not use.
  [[nodiscard]] caf::expected<std::vector<chat_message>> format_from(const values& inputs) const;

private:
  void collect_variables();
  [[nodiscard]] bool uses(std::string_view name) const;

  std::vector<part> parts_;
  std::vector<std::string> input_variables_;
};

} // namespace chainmail

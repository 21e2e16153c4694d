// What chains take where a model is asked: a prompt of text, or of a chat.
#pragma once

#include <chainmail/llm.hpp>
#include <chainmail/prompts/chat_prompt_template.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/error.hpp>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace chainmail {

/// Either template. Implicit, so that a chain takes a string literal, too; a malformed one throws
/// std::invalid_argument.
class llm_prompt {
public:
  llm_prompt(const char* text);              // NOLINT(google-explicit-constructor)
  llm_prompt(std::string_view text);         // NOLINT(google-explicit-constructor)
  llm_prompt(prompt_template text);          // NOLINT(google-explicit-constructor)
  llm_prompt(chat_prompt_template messages); // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool is_chat() const { return what_.index() == 1; }

  [[nodiscard]] const std::vector<std::string>& input_variables() const;

  /// Sets the request's prompts or its messages. Inputs that the prompt does not use are left alone;
  /// the error is that of the template.
  caf::error fill(llm_request& request, const values& inputs) const;

private:
  std::variant<prompt_template, chat_prompt_template> what_;
};

} // namespace chainmail

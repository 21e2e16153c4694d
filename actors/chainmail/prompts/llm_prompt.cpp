// Prompts of either kind.
#include <chainmail/prompts/llm_prompt.hpp>

#include <caf/expected.hpp>

namespace chainmail {

llm_prompt::llm_prompt(const char* text) : what_(prompt_template{text}) {
}

llm_prompt::llm_prompt(std::string_view text) : what_(prompt_template{text}) {
}

llm_prompt::llm_prompt(prompt_template text) : what_(std::move(text)) {
}

llm_prompt::llm_prompt(chat_prompt_template messages) : what_(std::move(messages)) {
}

const std::vector<std::string>& llm_prompt::input_variables() const {
  return std::visit(
      [](const auto& x) -> const std::vector<std::string>& { return x.input_variables(); }, what_);
}

caf::error llm_prompt::fill(llm_request& request, const values& inputs) const {
  if (const auto* chat = std::get_if<chat_prompt_template>(&what_)) {
    auto messages = chat->format_from(inputs);
    if (!messages)
      return std::move(messages.error());
    request.messages = std::move(*messages);
    return {};
  }
  auto text = std::get<prompt_template>(what_).format_from(inputs);
  if (!text)
    return std::move(text.error());
  request.prompts.push_back(std::move(*text));
  return {};
}

} // namespace chainmail

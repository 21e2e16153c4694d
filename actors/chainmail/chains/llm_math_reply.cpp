// Finds the answer or the expression in a reply.
#include <chainmail/chains/expression.hpp>
#include <chainmail/chains/llm_math_reply.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace chainmail {

namespace {

constexpr std::string_view answer_prefix = "Answer:";
constexpr std::string_view block_fence = "```";
constexpr std::string_view blanks = " \t\r\n";
constexpr size_t longest_reply_quote = 60;

/// Words that name the language of a block even on the line of the expression.
constexpr std::array<std::string_view, 7> languages = {
    "expression", "math", "numexpr", "plaintext", "py", "python", "text"};

std::string_view without_language(std::string_view block) {
  auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  auto word_end = std::find_if_not(block.begin(), block.end(), is_letter);
  auto word = block.substr(0, static_cast<size_t>(word_end - block.begin()));
  auto rest = block.substr(word.size());
  auto line_rest = rest.substr(0, rest.find('\n'));
  bool is_alone = line_rest.size() < rest.size() && trimmed(line_rest).empty();
  bool is_known = std::find(languages.begin(), languages.end(), word) != languages.end() &&
                  rest.find_first_of(blanks) == 0;
  return is_alone || is_known ? rest : block;
}

/// What the first fenced block holds.
std::optional<std::string_view> find_block(std::string_view reply) {
  auto begin = reply.find(block_fence);
  if (begin == std::string_view::npos)
    return std::nullopt;
  auto block = reply.substr(begin);
  block.remove_prefix(std::min(block.find_first_not_of('`'), block.size()));
  return trimmed(without_language(block.substr(0, block.find(block_fence))));
}

caf::error malformed(std::string sentence) {
  return make_failure(errc::malformed_response, std::move(sentence));
}

caf::expected<std::string> pass_on(std::string_view answer) {
  if (answer.size() == answer_prefix.size())
    return malformed("the LLM's reply ends after \"Answer:\", without an answer");
  return std::string{answer};
}

} // namespace

caf::expected<std::string> read_math_reply(std::string_view reply) {
  auto text = trimmed(reply);
  if (text.starts_with(answer_prefix))
    return pass_on(text);
  if (auto block = find_block(text)) {
    auto number = evaluate_expression(*block);
    if (!number)
      return malformed("the LLM's arithmetic fails: " + sentence_of(number.error()));
    return std::string{answer_prefix} + " " + show_number(*number);
  }
  if (auto found = text.rfind(answer_prefix); found != std::string_view::npos)
    return pass_on(text.substr(found));
  return malformed("unknown format from LLM: '" + one_line(text, longest_reply_quote) +
                   "' has neither a fenced block nor \"Answer:\"");
}

} // namespace chainmail

// Recognizes what kind of prompt it is, by its ending first.

#include "brain.hpp"

#include "brain_shapes.hpp"
#include "brain_text.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>

namespace chainmail::simulator {

namespace {

// -- routing and arithmetic ---------------------------------------------------

/// One "name: description" a line; a candidate that shares any telling word will do.
reply choose(const prompt_view& prompt) {
  constexpr std::string_view candidates = "<< candidates >>";
  constexpr std::string_view input = "<< input >>";
  constexpr double any = 0.1;
  auto begin = prompt.lower.find(candidates);
  auto middle = prompt.lower.find(input, std::min(begin, prompt.text.size()));
  if (middle == npos)
    return {};
  std::vector<sentence> lines;
  for (auto rest = prompt.between(begin + candidates.size(), middle); !rest.empty();) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find(':') != npos)
      lines.push_back({.text = trim(line), .begins_paragraph = true});
  }
  auto best = best_match(prompt.between(middle + input.size(), npos), lines, any);
  if (!best)
    return "DEFAULT";
  auto line = lines[best->index].text;
  return std::string(trim(line.substr(0, line.find(':'))));
}

reply calculate(const prompt_view& prompt) {
  auto at = prompt.last_line("question:");
  for (std::string fence : {"```expression", "```text", "```python"}) {
    if (at == npos || prompt.up_to(at).lower.find(fence) == npos)
      continue;
    auto question = prompt.between(at + 9, npos);
    if (question.find('\n') != npos)
      return {};
    auto found = arithmetic_of(question);
    if (!found)
      return "Answer: " + std::string(no_answer);
    return fence + "\n" + (fence == "```python" ? "print(" + *found + ")" : *found) + "\n```\n";
  }
  return {};
}

struct shape {
  std::string_view ending;
  reply (*answer)(const prompt_view&);
};

/// The longer of two endings comes first.
constexpr std::array<shape, 15> shapes{
    {{"standalone question:", condense}, {"\nthought:", follow_react},
        {"helpful answer in this format:", rate}, {"relevant text, if any:", copy_relevant},
        {"final answer:", combine}, {"concise summary:", summarize},
        {"new summary:", summarize_conversation}, {"<< output >>", choose}, {"\nai:", converse},
        {"helpful answer:", answer_helpfully}, {"refined answer:", refine},
        {"answer:", answer_plainly}, {"", refine}, {"", calculate}, {"", answer_below}}};

} // namespace

std::optional<std::string> think(std::string_view prompt) {
  auto text = trim(prompt);
  auto lower = lower_case(text);
  for (const auto& [ending, answer] : shapes) {
    if (!lower.ends_with(ending))
      continue;
    prompt_view whole{text, lower};
    if (auto result = answer(whole.up_to(text.size() - ending.size())))
      return result;
  }
  return {};
}

std::optional<std::string> recall(std::string_view prompt, std::span<const message> history) {
  std::string context;
  std::string said;
  std::string_view question;
  std::string_view answer;
  for (const auto& [role, text] : history) {
    if (role == "system" || role == "developer")
      context += text + "\n\n";
    else if (role == "assistant")
      answer = text;
    else if (role == "user") {
      question = question.empty() ? text : question;
      said += "Human: " + text + "\n";
    }
  }
  auto lower = lower_case(prompt);
  if (!answer.empty() && lower.find("existing answer") < lower.find("\n-----"))
    return think("The original question is as follows: " + std::string(question) +
                 "\nWe have provided an existing answer: " + std::string(answer) + "\n" +
                 std::string(prompt));
  if (!is_question(prompt))
    return {};
  auto found = answer_from(without_instruction(context, false), prompt);
  if (!found.starts_with(no_answer))
    return found;
  auto earlier = remembered(prompt, said);
  bool may_not_know = context.find("don't know") < context.size();
  return earlier || !may_not_know ? earlier : found;
}

} // namespace chainmail::simulator

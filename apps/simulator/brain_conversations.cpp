// Remembers what was said in a conversation, and nothing else.

#include "brain_shapes.hpp"
#include "brain_text.hpp"
#include "requests.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>

namespace chainmail::simulator {

namespace {

std::string excerpt(std::string_view text) {
  constexpr std::size_t longest = 200;
  auto line = one_line(text);
  auto head = utf8_prefix(line, longest);
  return '"' + std::string(head) + (head.size() < line.size() ? "...\"" : "\"");
}

/// Splits a conversation into "Human: ", "AI: " and other lines; `take(speaker, text)`.
template <class Take>
void for_each_line(std::string_view conversation, Take take) {
  std::string_view speaker;
  while (!conversation.empty()) {
    auto size = std::min(conversation.find('\n'), conversation.size());
    auto line = trim(conversation.substr(0, size));
    conversation.remove_prefix(std::min(size + 1, conversation.size()));
    for (std::string_view name : {"Human:", "AI:", "System:"})
      if (line.starts_with(name)) {
        speaker = name;
        line = trim(line.substr(name.size()));
      }
    if (!line.empty())
      take(speaker, line);
  }
}

} // namespace

bool is_question(std::string_view text) {
  constexpr std::array<std::string_view, 8> openings{
      "what", "who", "whose", "where", "when", "why", "how", "which"};
  return is_asked(trim(text)) ||
         std::ranges::find(openings, lower_case(next_word(text))) != openings.end();
}

reply remembered(std::string_view question, std::string_view conversation) {
  std::vector<sentence> said;
  for_each_line(conversation, [&](std::string_view speaker, std::string_view line) {
    if (speaker == "AI:" || line.starts_with("The AI "))
      return;
    auto read = read_text(line);
    std::erase_if(read.sentences, [](const auto& one) { return is_asked(one.text); });
    for (auto& one : read.sentences)
      one.source = speaker;
    said.insert(said.end(), read.sentences.begin(), read.sentences.end());
  });
  std::ranges::reverse(said); // the latest of equals counts
  auto best = best_match(question, said);
  if (!best)
    return {};
  const auto& chosen = said[best->index];
  if (chosen.source == "Human:")
    return "You said: " + excerpt(chosen.text);
  return "From what was said before: " + one_line(chosen.text);
}

reply converse(const prompt_view& prompt) {
  constexpr std::string_view label = "current conversation:";
  auto begin = prompt.lower.find(label);
  auto human = prompt.last_line("human:");
  if (begin == npos || human == npos || human < begin)
    return {};
  auto input = prompt.between(human + 6, npos);
  if (!is_question(input))
    return "This is a simulated reply (no model was asked). I noted that you said: " +
           excerpt(input);
  auto found = remembered(input, prompt.between(begin + label.size(), human));
  return found ? found
               : "I don't know: nothing that was said before answers this, and I am a simulation "
                 "without a model.";
}

reply summarize_conversation(const prompt_view& prompt) {
  constexpr std::string_view old_label = "current summary:";
  constexpr std::string_view new_label = "new lines of conversation:";
  constexpr std::size_t longest_summary = 1000;
  auto middle = prompt.last_line(new_label);
  if (middle == npos)
    return {};
  auto begin = prompt.up_to(middle).last_line(old_label);
  if (begin == npos)
    return {};
  std::string result(prompt.between(begin + old_label.size(), middle));
  for_each_line(prompt.between(middle + new_label.size(), npos),
      [&](std::string_view speaker, std::string_view line) {
        for (const auto& one : read_text(line).sentences) {
          auto opening = speaker == "AI:"     ? "The AI replied: "
                         : is_asked(one.text) ? "The human asked: "
                                              : "The human said: ";
          result += (result.empty() ? "" : "\n") + (opening + excerpt(one.text));
          if (speaker == "AI:")
            break;
        }
      });
  if (result.size() > longest_summary) { // the oldest lines go
    auto line = result.find('\n', result.size() - longest_summary);
    result.erase(0, line == std::string::npos ? 0 : line + 1);
    result.resize(utf8_prefix(result, longest_summary).size());
  }
  return result;
}

reply condense(const prompt_view& prompt) {
  auto follow_up = prompt.last_line("follow up input:");
  if (follow_up == npos)
    return {};
  auto history = prompt.up_to(follow_up).last_line("chat history:");
  if (history == npos)
    return {};
  return standalone_question(
      prompt.between(history + 13, follow_up), prompt.between(follow_up + 16, npos));
}

} // namespace chainmail::simulator

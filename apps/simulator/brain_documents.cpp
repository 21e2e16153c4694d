// Answers questions over documents, refines answers and summarizes.

#include "brain_shapes.hpp"
#include "brain_text.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace chainmail::simulator {

namespace {

bool begins_instruction(std::string_view line) {
  constexpr std::array<std::string_view, 14> openings{"use ", "given ", "answer ", "you are ",
      "please ", "if you ", "if nothing ", "return ", "here is ", "below is ", "based on ", "copy ",
      "write ", "the following is "};
  auto lower = lower_case(trim(line.substr(0, 40))) + " ";
  return std::ranges::any_of(openings, [&](auto opening) { return lower.starts_with(opening); });
}

/// The sentence by itself, with its source if its text has some.
std::string answer_with(const sentence& chosen, bool has_sources) {
  auto result = one_line(chosen.text);
  if (has_sources)
    result.append("\nSOURCES: ").append(chosen.source);
  return result;
}

std::string better_answer(
    std::string_view question, std::string_view existing, std::string_view more) {
  auto read = read_text(more);
  if (!says_nothing(existing)) {
    auto statement = existing.substr(0, lower_case(existing).rfind("\nsources:"));
    read.sentences.insert(
        read.sentences.begin(), {.text = statement, .begins_paragraph = true, .head_start = 0.2});
  }
  auto best = best_match(question, read.sentences);
  if (!best || read.sentences[best->index].text.data() == existing.data())
    return std::string(existing.empty() ? no_answer : existing);
  return answer_with(read.sentences[best->index], read.has_sources);
}

std::string longer_summary(std::string_view existing, std::string_view more) {
  constexpr std::size_t longest_summary = 1000;
  auto central = central_sentences(more, 1);
  if (says_nothing(existing))
    return central.empty() ? std::string(existing) : central;
  bool is_added = existing.size() + central.size() < longest_summary &&
                  existing.find(central) == npos; // an empty one is found
  return std::string(existing) + (is_added ? " " + central : "");
}

} // namespace

// -- answers from a context ---------------------------------------------------

std::string_view without_instruction(std::string_view text, bool in_paragraph) {
  text = trim(text);
  auto paragraph = text.find("\n\n");
  if (in_paragraph && paragraph != npos && begins_instruction(text))
    text = trim(text.substr(paragraph));
  else
    while (!text.empty() && begins_instruction(text))
      text = trim(text.substr(std::min(text.find('\n'), text.size())));
  constexpr std::string_view label = "context:";
  return lower_case(text.substr(0, label.size())) == label ? trim(text.substr(label.size())) : text;
}

std::string answer_from(std::string_view context, std::string_view question) {
  auto read = read_text(context);
  if (auto best = best_match(question, read.sentences))
    return answer_with(read.sentences[best->index], read.has_sources);
  return read.has_sources ? std::string(no_answer) + "\nSOURCES:" : std::string(no_answer);
}

reply answer_helpfully(const prompt_view& prompt) {
  auto at = prompt.last_line("question:");
  if (at == npos)
    return {};
  auto context = without_instruction(prompt.text.substr(0, at), true);
  return answer_from(context, prompt.between(at + 9, npos));
}

/// The bare "Answer:" also ends prompts that have no context, or worked examples in its place.
reply answer_plainly(const prompt_view& prompt) {
  auto at = prompt.last_line("question:");
  if (at == npos || without_instruction(prompt.text.substr(0, at), true).empty() ||
      prompt.up_to(at).last_line("answer:") != npos)
    return {};
  return answer_helpfully(prompt);
}

/// "Context information is below.", two lines of dashes, "... answer the question: ..."
reply answer_below(const prompt_view& prompt) {
  constexpr std::string_view cue = "answer the question:";
  auto first = prompt.lower.find("\n-----");
  auto last = prompt.lower.rfind("\n-----");
  auto question = prompt.lower.rfind(cue);
  if (!prompt.lower.starts_with("context information is below") || first == last ||
      question == npos || question < last)
    return {};
  return answer_from(prompt.between(first, last), prompt.between(question + cue.size(), npos));
}

reply copy_relevant(const prompt_view& prompt) {
  auto at = prompt.last_line("question:");
  if (at == npos)
    return {};
  auto read = read_text(without_instruction(prompt.text.substr(0, at), false));
  auto best = best_match(prompt.between(at + 9, npos), read.sentences);
  return best ? one_line(read.sentences[best->index].text) : "None.";
}

reply combine(const prompt_view& prompt) {
  auto question = prompt.last_line("question:");
  if (question == npos)
    return {};
  auto first = prompt.lower.find("\n=====", question);
  auto last = prompt.lower.rfind("\n=====");
  if (first == npos || first == last)
    return {};
  return answer_from(prompt.between(first, last), prompt.between(question + 9, first));
}

reply rate(const prompt_view& prompt) {
  auto question = prompt.last_line("question:");
  auto context = prompt.up_to(std::min(question, prompt.text.size())).lower.rfind("context:\n---");
  if (question == npos || context == npos)
    return {};
  auto read = read_text(prompt.between(context + 8, question));
  auto best = best_match(prompt.between(question + 9, npos), read.sentences);
  if (!best)
    return "This document does not answer the question\nScore: 0";
  return one_line(read.sentences[best->index].text) +
         "\nScore: " + std::to_string(std::lround(100 * std::min(best->score, 1.0)));
}

// -- refining -----------------------------------------------------------------

/// "We have provided an existing answer: ...", with more text between two lines of dashes.
reply refine(const prompt_view& prompt) {
  auto answer = prompt.lower.find("existing answer");
  auto summary = prompt.lower.find("existing summary");
  auto at = std::min(answer, summary);
  auto colon = prompt.lower.find_first_of(":\n", std::min(at, prompt.text.size()));
  auto first = prompt.lower.find("\n-----", std::min(colon, prompt.text.size()));
  auto last = prompt.lower.rfind("\n-----");
  if (first == npos || first == last || prompt.text[colon] != ':')
    return {};
  // What leads over from the existing answer to the new text belongs to neither.
  auto end = first;
  for (std::string_view cue : {"\nwe have the opportunity", "\nbelow is"})
    end = std::min(end, prompt.up_to(first).lower.rfind(cue));
  auto existing = prompt.between(colon + 1, end);
  auto more = prompt.between(prompt.text.find('\n', first + 1), last);
  if (at == summary)
    return longer_summary(existing, more);
  auto line = prompt.lower.rfind('\n', at);
  auto before = prompt.up_to(line == npos ? 0 : line);
  auto question = before.lower.find("question");
  auto begin = before.lower.find(':', std::min(question, before.text.size()));
  if (begin == npos)
    return {};
  return better_answer(before.between(begin + 1, npos), existing, more);
}

reply summarize(const prompt_view& prompt) {
  auto begin = prompt.text.find("\n\"");
  auto end = prompt.text.rfind('"');
  if (begin == npos || end < begin + 2)
    return {};
  auto result = central_sentences(prompt.between(begin + 2, end), 3);
  return result.empty() ? "There is nothing to summarize." : result;
}

} // namespace chainmail::simulator

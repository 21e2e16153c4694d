// The kinds of prompts that the brain knows, one function each. Private to the brain.

#pragma once

#include "words.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace chainmail::simulator {

/// A prompt without its ending, and the same in lower case to look for cues in.
struct prompt_view {
  std::string_view text;
  std::string_view lower;

  std::string_view between(std::size_t begin, std::size_t end) const {
    return begin < end ? trim(text.substr(begin, end - begin)) : std::string_view{};
  }

  prompt_view up_to(std::size_t end) const { return {text.substr(0, end), lower.substr(0, end)}; }

  /// Where the last line that starts with `label` begins, or std::string_view::npos.
  std::size_t last_line(std::string_view label) const {
    auto at = lower.rfind("\n" + std::string(label));
    if (at != std::string_view::npos)
      return at + 1;
    return lower.starts_with(label) ? 0 : std::string_view::npos;
  }
};

/// Empty: the prompt only looked like one of the kind. Each gets the prompt without its ending.
using reply = std::optional<std::string>;

inline constexpr std::string_view no_answer = "I don't know.";

// Over documents.
reply answer_helpfully(const prompt_view& prompt);
reply answer_plainly(const prompt_view& prompt);
reply answer_below(const prompt_view& prompt);
reply copy_relevant(const prompt_view& prompt);
reply combine(const prompt_view& prompt);
reply rate(const prompt_view& prompt);
reply refine(const prompt_view& prompt);
reply summarize(const prompt_view& prompt);

/// The sentence of a context that answers the question, or `no_answer`; with sources if it has some.
std::string answer_from(std::string_view context, std::string_view question);

/// The text after the instruction at its beginning, which is a paragraph, or lines before the text.
std::string_view without_instruction(std::string_view text, bool in_paragraph);

// Of conversations.
reply converse(const prompt_view& prompt);
reply summarize_conversation(const prompt_view& prompt);
reply condense(const prompt_view& prompt);

// Of agents.
reply follow_react(const prompt_view& prompt);

/// What was said that answers the question: the user's words, or a line of a summary.
reply remembered(std::string_view question, std::string_view conversation);

/// Has a question mark at its end or a question word at its beginning.
bool is_question(std::string_view text);

} // namespace chainmail::simulator

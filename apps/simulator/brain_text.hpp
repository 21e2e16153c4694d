// What the brain does with texts: splits them into sentences, and finds those that answer a question
// or stand for the whole. Private to the brain.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

/// A piece of a longer text, as it stands there: a sentence, a list item, a table row, a line of code.
struct sentence {
  std::string_view text;
  std::string_view heading = {}; ///< the Markdown heading above it, or empty
  std::string_view source = {};  ///< from "Content: ...\nSource: ..." around it, or empty
  bool begins_paragraph = false;
  bool is_prose = true;  ///< else a line of code or a row of a table
  double head_start = 0; ///< added to its rank
};

struct reading {
  std::vector<sentence> sentences;
  bool has_sources = false;
};

reading read_text(std::string_view text);

struct match {
  std::size_t index = 0; ///< of the sentence
  double score = 0;      ///< 0 to 1: how much of the question's weight it holds
  double rank = 0;       ///< the score with bonuses, by which sentences compare
};

/// The usual least score: a sentence that holds less of the question does not answer it.
inline constexpr double enough = 0.5;

/// The sentence that answers the question best, of those that score at least `least`.
std::optional<match> best_match(
    std::string_view question, const std::vector<sentence>& sentences, double least = enough);

/// The most central sentences, in the order of the text: up to `most`, fewer of a short text, and about
/// 500 bytes.
std::string central_sentences(std::string_view text, std::size_t most);

/// Line breaks and runs of blanks become single blanks.
std::string one_line(std::string_view text);

/// "None.", "I don't know." and the like.
bool says_nothing(std::string_view text);

/// Ends with a question mark, perhaps in quotation marks.
bool is_asked(std::string_view text);

/// A follow-up question with what it leaves out, taken from the lines of the conversation before it.
std::string standalone_question(std::string_view history, std::string_view follow_up);

/// The arithmetic of a question in Python's notation; empty if it has none that is understood whole.
std::optional<std::string> arithmetic_of(std::string_view question);

} // namespace chainmail::simulator

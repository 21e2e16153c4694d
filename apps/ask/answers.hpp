// What came of a question, for a person and for a program.
#pragma once

#include <chainmail/values.hpp>

#include <caf/error.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace chainmail::asking {

struct answer {
  std::string question;
  std::string text;
  /// Where the answer comes from, as the model says: the pieces it named, or their files alone.
  std::vector<document> sources;
  /// The pieces of other files that it was given, best first.
  std::vector<document> looked_at;
  double seconds = 0;
};

/// errc::invalid_input for a question that is empty, longer than 20,000 bytes, or not UTF-8.
caf::error check_question(std::string_view question);

/// Reads the outputs of a chat_vector_db chain over a qa_with_sources chain.
answer read_answer(std::string question, const values& outputs, double seconds);

/// For a terminal: the answer, and below it its sources, or what was looked at when it names none.
std::string show(const answer& what);

/// One line: {"question","answer","sources","looked_at","seconds","simulated"}.
std::string to_json(const answer& what, bool is_simulated);

/// One line for a question that got no answer: {"question","error"}.
std::string to_json(std::string_view question, const caf::error& why);

} // namespace chainmail::asking

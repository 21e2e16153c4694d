// What an LLM answers to the math prompt.
#pragma once

#include <caf/fwd.hpp>

#include <string>
#include <string_view>

namespace chainmail {

/// The answer in `reply`, as LangChain words it: "Answer: " and the number.
///
/// - A reply that starts with "Answer:" is the answer, as it stands but for blanks around it.
/// - The first fenced block (```, with or without a word such as "text" or "python" behind it)
///   holds an expression, which is evaluated. Its end may be missing: stop sequences cut there.
/// - Otherwise, the last "Answer:" and what follows it: models chat first.
///
/// errc::malformed_response for anything else, for an answer without text, and, with the sentence
/// of evaluate_expression, for an expression that fails.
caf::expected<std::string> read_math_reply(std::string_view reply);

} // namespace chainmail

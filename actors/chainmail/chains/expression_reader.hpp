// Reads an expression, and rewrites it for muParser. Private to expression.cpp.
#pragma once

#include <chainmail/chains/expression_numbers.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// A number, and the bytes of the expression that it comes from.
struct placed_number {
  typed_number number;
  size_t begin = 0;
  size_t end = 0;
};

/// An expression with indexes of `numbers` in place of its numbers. Operators are those of
/// expression.cpp; names are those of math_functions(). The first argument of a call is an index
/// too: of a number without meaning, whose place is that of the call.
struct rewritten_expression {
  std::string text;
  std::vector<placed_number> numbers;
};

/// Thrown where no return value gets through: muParser's callbacks. Never leaves
/// evaluate_expression.
struct expression_failure {
  /// The rest of a sentence that starts with "the expression".
  std::string what;
  size_t begin;
  size_t end;
};

/// Whether it says nothing where it stands between two parts of an expression.
bool is_expression_blank(char c);

/// Lets pass what muParser is sure to take, and nothing else. Time and memory are proportional to
/// the text.
/// @throws expression_failure
rewritten_expression rewrite_expression(std::string_view text);

} // namespace chainmail

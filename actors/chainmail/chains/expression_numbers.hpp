// What an expression computes with: Python's numbers, as far as doubles are exact. Private to
// expression.cpp.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace chainmail {

/// 2^53: the last integer before doubles skip some.
inline constexpr double largest_integer = 9007199254740992.0;

/// A whole number within 2^53 that is exact, or a double.
struct typed_number {
  double amount = 0;
  bool is_integer = false;
};

/// A finite number, or what is wrong, as the rest of a sentence that starts with "the expression".
using arithmetic_result = std::variant<typed_number, std::string>;

arithmetic_result add(typed_number left, typed_number right);
arithmetic_result subtract(typed_number left, typed_number right);
arithmetic_result multiply(typed_number left, typed_number right);
arithmetic_result divide(typed_number left, typed_number right);
arithmetic_result floor_divide(typed_number left, typed_number right);
arithmetic_result remainder(typed_number left, typed_number right);
arithmetic_result power(typed_number base, typed_number exponent);
arithmetic_result negate(typed_number operand);
arithmetic_result factorial(typed_number operand);

/// Reads digits only: a literal without point and exponent.
arithmetic_result read_integer(const std::string& digits);

/// Reads a literal with a point or an exponent.
arithmetic_result read_double(const std::string& literal);

struct math_function {
  std::string_view name;
  size_t fewest_arguments;
  size_t most_arguments;
  arithmetic_result (*apply)(std::span<const typed_number> arguments);
};

/// All functions, in lower case.
std::span<const math_function> math_functions();

} // namespace chainmail

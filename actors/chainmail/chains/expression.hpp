// Arithmetic that people and models write, evaluated without running any code.
#pragma once

#include <caf/fwd.hpp>

#include <string>
#include <string_view>

namespace chainmail {

/// Evaluates one arithmetic expression, read as Python reads it, since that is what models write:
///
/// - `+ - * / // % ** !` and parentheses; `^` is a power too; `× · ÷ − √` and `π` are understood.
///   Powers go from right to left and bind tighter than a sign: -2**2 is -4. `%` and `//` round
///   towards minus infinity, so the remainder has the divisor's sign: -7 % 3 is 2.
/// - pi, e, tau; sqrt cbrt pow exp log(x) log(x, base) ln log2 log10; sin cos tan asin acos atan
///   atan2 sinh cosh tanh in radians, degrees radians; abs round(x) round(x, digits), half to even,
///   floor ceil trunc int float; min max gcd hypot with one or more arguments; factorial comb.
///   Upper and lower case are alike; "math.", "np." and "numpy." in front are left out.
/// - 1_000 and 1,234,567.89: outside a function's parentheses, a comma after one to three digits
///   and before groups of exactly three is a thousands separator. Directly inside a function's
///   parentheses it always separates arguments: max(1,234) is 234, and max((1,234), 5) is 1234.
///
/// Integers are exact or refused: what Python has as an int must stay within 2^53 at every step. A
/// number with a point or an exponent, and what is computed from one, is a double: 2**60 is an
/// error, 2.0**60 is not. `/` gives a double.
///
/// Every error is errc::invalid_input and says what is wrong, at which character, and quotes the
/// piece: anything else than arithmetic, more than 1,000 bytes, more than 64 parentheses deep, a
/// division by zero, a result that is not real or that no double can hold. Safe to call from
/// several threads; never depends on the locale.
caf::expected<double> evaluate_expression(std::string_view text);

/// The shortest text that reads back as the same number; whole numbers up to 2^53 without a point
/// or an exponent, and those beyond it always with an exponent. The zero has no sign. Infinities
/// and NaN are "inf", "-inf" and "nan".
std::string show_number(double number);

} // namespace chainmail

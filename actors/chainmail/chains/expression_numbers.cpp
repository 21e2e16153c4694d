// The rules are Python's: its operators, its math module and its round.
#include <chainmail/chains/expression_numbers.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <optional>

namespace chainmail {

namespace {

using arguments = std::span<const typed_number>;

constexpr auto any_number = static_cast<size_t>(-1);

constexpr const char* divides_by_zero = "divides by zero";
constexpr const char* is_too_large = "leaves the range of doubles";
constexpr const char* is_too_large_for_an_integer =
    "has an integer that is beyond 2^53, where doubles stop being exact (a decimal point, as in "
    "2.0**60, asks for an approximation),";

arithmetic_result integer(int64_t number) {
  if (number > static_cast<int64_t>(largest_integer) ||
      number < -static_cast<int64_t>(largest_integer))
    return is_too_large_for_an_integer;
  return typed_number{static_cast<double>(number), true};
}

arithmetic_result real(double number) {
  if (std::isnan(number))
    return "has a part without a real result";
  if (std::isinf(number))
    return is_too_large;
  return typed_number{number, false};
}

/// For a double without a fraction: an integer, where those are exact.
arithmetic_result whole(double number) {
  if (std::abs(number) > largest_integer)
    return real(number);
  return typed_number{number + 0.0, true}; // -0.0 + 0.0 is 0.0
}

bool are_integers(typed_number left, typed_number right) {
  return left.is_integer && right.is_integer;
}

int64_t to_integer(typed_number number) {
  return static_cast<int64_t>(number.amount);
}

/// Also for doubles: 6/2 is as good as 3 where only whole numbers make sense.
std::optional<int64_t> as_integer(typed_number number) {
  if (std::abs(number.amount) > largest_integer || std::trunc(number.amount) != number.amount)
    return std::nullopt;
  return to_integer(number);
}

arithmetic_result integer_power(int64_t base, int64_t exponent) {
  if (base == 0 || base == 1)
    return integer(exponent == 0 ? 1 : base);
  if (base == -1)
    return integer(exponent % 2 == 0 ? 1 : -1);
  int64_t result = 1;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(result, base, &result) ||
        std::abs(static_cast<double>(result)) > largest_integer)
      return is_too_large_for_an_integer;
  }
  return integer(result);
}

/// `digits` after the point, from the number's exact decimal expansion, as Python's round does.
arithmetic_result round_fraction(typed_number number, int digits) {
  if (number.is_integer)
    return number;
  std::array<char, 512> text; // A sign, 309 digits, a point and 99 more.
  auto written = std::to_chars(
      text.data(), text.data() + text.size(), number.amount, std::chars_format::fixed, digits);
  auto result = 0.0;
  std::from_chars(text.data(), written.ptr, result);
  return real(result);
}

/// To a multiple of `unit`, a power of ten that is exact.
arithmetic_result round_to_multiple(typed_number number, double unit) {
  auto size = std::abs(number.amount);
  auto rest = std::fmod(size, unit);
  auto lower = size - rest;
  bool is_up = 2 * rest > unit || (2 * rest == unit && std::fmod(size, 2 * unit) >= unit);
  auto result = std::copysign(is_up ? lower + unit : lower, number.amount);
  if (!number.is_integer)
    return real(result);
  return std::abs(result) > largest_integer ? is_too_large_for_an_integer : whole(result);
}

arithmetic_result round(arguments x) {
  if (x.size() == 1)
    return x[0].is_integer ? x[0] : whole(std::nearbyint(x[0].amount));
  auto digits = as_integer(x[1]);
  // 10^22 is the last power of ten that is exact; 99 is more than any double needs, and leaves
  // round(1,234), where a thousands separator was meant, an error.
  if (!digits || *digits < -22 || *digits > 99)
    return "rounds to a number of digits that is not a whole number from -22 to 99";
  if (*digits >= 0)
    return round_fraction(x[0], static_cast<int>(*digits));
  auto unit = 1.0;
  for (auto i = *digits; i < 0; ++i)
    unit *= 10;
  return round_to_multiple(x[0], unit);
}

arithmetic_result logarithm(arguments x) {
  if (x.size() == 1)
    return real(std::log(x[0].amount));
  if (x[1].amount <= 0)
    return "has a logarithm whose base is not positive";
  return real(std::log(x[0].amount) / std::log(x[1].amount));
}

arithmetic_result greatest_common_divisor(arguments x) {
  int64_t result = 0;
  for (auto number : x) {
    auto n = as_integer(number);
    if (!n)
      return "has a gcd of something else than whole numbers up to 2^53";
    result = std::gcd(result, *n);
  }
  return integer(result);
}

/// n! / k! / (n - k)!, and 0 for k > n.
arithmetic_result combinations(arguments x) {
  auto n = as_integer(x[0]);
  auto k = as_integer(x[1]);
  if (!n || !k || *n < 0 || *k < 0)
    return "has a comb of something else than whole numbers from 0 to 2^53";
  if (*k > *n)
    return integer(0);
  int64_t result = 1;
  // At least doubles in every round but the last few, so there are less than 60.
  for (int64_t i = 0, end = std::min(*k, *n - *k); i < end; ++i) {
    if (__builtin_mul_overflow(result, *n - i, &result))
      return is_too_large_for_an_integer;
    result /= i + 1;
    if (static_cast<double>(result) > largest_integer)
      return is_too_large_for_an_integer;
  }
  return integer(result);
}

arithmetic_result hypotenuse(arguments x) {
  auto result = 0.0;
  for (auto number : x)
    result = std::hypot(result, number.amount);
  return real(result);
}

bool is_less(typed_number left, typed_number right) {
  return left.amount < right.amount;
}

arithmetic_result truncate(arguments x) {
  return x[0].is_integer ? x[0] : whole(std::trunc(x[0].amount));
}

template <double (*standard)(double)>
constexpr math_function real_function(std::string_view name) {
  return {name, 1, 1, [](arguments x) { return real(standard(x[0].amount)); }};
}

constexpr std::array table = {
    real_function<std::sqrt>("sqrt"),
    real_function<std::cbrt>("cbrt"),
    real_function<std::exp>("exp"),
    real_function<std::log>("ln"),
    real_function<std::log2>("log2"),
    real_function<std::log10>("log10"),
    real_function<std::sin>("sin"),
    real_function<std::cos>("cos"),
    real_function<std::tan>("tan"),
    real_function<std::asin>("asin"),
    real_function<std::asin>("arcsin"),
    real_function<std::acos>("acos"),
    real_function<std::acos>("arccos"),
    real_function<std::atan>("atan"),
    real_function<std::atan>("arctan"),
    real_function<std::sinh>("sinh"),
    real_function<std::cosh>("cosh"),
    real_function<std::tanh>("tanh"),
    real_function<std::fabs>("fabs"),
    math_function{
        "atan2", 2, 2, [](arguments x) { return real(std::atan2(x[0].amount, x[1].amount)); }},
    math_function{
        "degrees", 1, 1, [](arguments x) { return real(x[0].amount * (180 / std::numbers::pi)); }},
    math_function{
        "radians", 1, 1, [](arguments x) { return real(x[0].amount * (std::numbers::pi / 180)); }},
    math_function{"log", 1, 2, logarithm},
    math_function{"pow", 2, 2, [](arguments x) { return power(x[0], x[1]); }},
    math_function{"power", 2, 2, [](arguments x) { return power(x[0], x[1]); }},
    math_function{"factorial", 1, 1, [](arguments x) { return factorial(x[0]); }},
    math_function{"comb", 2, 2, combinations},
    math_function{"gcd", 1, any_number, greatest_common_divisor},
    math_function{"hypot", 1, any_number, hypotenuse},
    math_function{"round", 1, 2, round},
    math_function{"floor", 1, 1,
        [](arguments x) { return x[0].is_integer ? x[0] : whole(std::floor(x[0].amount)); }},
    math_function{"ceil", 1, 1,
        [](arguments x) { return x[0].is_integer ? x[0] : whole(std::ceil(x[0].amount)); }},
    math_function{"trunc", 1, 1, truncate},
    math_function{"int", 1, 1, truncate},
    math_function{"float", 1, 1, [](arguments x) { return real(x[0].amount); }},
    math_function{"abs", 1, 1,
        [](arguments x) -> arithmetic_result {
          return typed_number{std::abs(x[0].amount), x[0].is_integer};
        }},
    math_function{"min", 1, any_number,
        [](arguments x) -> arithmetic_result {
          return *std::min_element(x.begin(), x.end(), is_less);
        }},
    math_function{"max", 1, any_number,
        [](arguments x) -> arithmetic_result {
          return *std::max_element(x.begin(), x.end(), is_less);
        }},
};

} // namespace

// -- operators ----------------------------------------------------------------------

// Sums of two integers within 2^53 fit into 64 bits, and so do their differences.

arithmetic_result add(typed_number left, typed_number right) {
  if (are_integers(left, right))
    return integer(to_integer(left) + to_integer(right));
  return real(left.amount + right.amount);
}

arithmetic_result subtract(typed_number left, typed_number right) {
  if (are_integers(left, right))
    return integer(to_integer(left) - to_integer(right));
  return real(left.amount - right.amount);
}

arithmetic_result multiply(typed_number left, typed_number right) {
  if (!are_integers(left, right))
    return real(left.amount * right.amount);
  int64_t product = 0;
  if (__builtin_mul_overflow(to_integer(left), to_integer(right), &product))
    return is_too_large_for_an_integer;
  return integer(product);
}

arithmetic_result divide(typed_number left, typed_number right) {
  if (right.amount == 0)
    return divides_by_zero;
  return real(left.amount / right.amount);
}

arithmetic_result floor_divide(typed_number left, typed_number right) {
  if (right.amount == 0)
    return divides_by_zero;
  if (are_integers(left, right)) {
    auto quotient = to_integer(left) / to_integer(right);
    auto rest = to_integer(left) % to_integer(right);
    return integer(rest != 0 && (rest < 0) != (right.amount < 0) ? quotient - 1 : quotient);
  }
  // As float_floor_div in CPython: the quotient of what is left without the remainder is whole but
  // for rounding.
  auto rest = std::fmod(left.amount, right.amount);
  auto quotient = (left.amount - rest) / right.amount;
  if (rest != 0 && (rest < 0) != (right.amount < 0))
    quotient -= 1;
  auto below = std::floor(quotient);
  return real(quotient - below > 0.5 ? below + 1 : below);
}

arithmetic_result remainder(typed_number left, typed_number right) {
  if (right.amount == 0)
    return divides_by_zero;
  auto rest = std::fmod(left.amount, right.amount);
  if (rest != 0 && (rest < 0) != (right.amount < 0))
    rest += right.amount;
  return are_integers(left, right) ? whole(rest) : real(rest);
}

arithmetic_result power(typed_number base, typed_number exponent) {
  if (are_integers(base, exponent) && exponent.amount >= 0)
    return integer_power(to_integer(base), to_integer(exponent));
  if (base.amount == 0 && exponent.amount < 0)
    return divides_by_zero;
  return real(std::pow(base.amount, exponent.amount));
}

arithmetic_result negate(typed_number operand) {
  return operand.is_integer ? whole(-operand.amount) : real(-operand.amount);
}

arithmetic_result factorial(typed_number operand) {
  auto n = as_integer(operand);
  if (!n || *n < 0)
    return "has a factorial of something else than a whole number from 0 on";
  if (*n > 18)
    return is_too_large_for_an_integer;
  int64_t result = 1;
  for (int64_t i = 2; i <= *n; ++i)
    result *= i;
  return integer(result);
}

// -- reading ------------------------------------------------------------------------

arithmetic_result read_integer(const std::string& digits) {
  int64_t number = 0;
  auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return read.ec == std::errc{} ? integer(number) : is_too_large_for_an_integer;
}

arithmetic_result read_double(const std::string& literal) {
  auto number = 0.0;
  auto read = std::from_chars(literal.data(), literal.data() + literal.size(), number);
  return read.ec == std::errc{} ? real(number) : is_too_large;
}

std::span<const math_function> math_functions() {
  return table;
}

} // namespace chainmail

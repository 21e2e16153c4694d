// An expression is read and checked here, rewritten for muParser, which orders the operations, and
// computed by ours: what muParser takes for numbers are places in a table of typed numbers.
#include <chainmail/chains/expression.hpp>
#include <chainmail/chains/expression_numbers.hpp>
#include <chainmail/chains/expression_reader.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <muParser.h>
#include <vector>

namespace chainmail {

namespace {

constexpr size_t longest_expression = 1000;
constexpr size_t longest_expression_quote = 40;

// -- computing ----------------------------------------------------------------------

/// muParser with none of its own operators, functions and constants. One per thread: making it
/// costs more than using it.
class engine : private mu::ParserBase {
public:
  static engine& of_this_thread() {
    thread_local engine instance;
    return instance;
  }

  /// @throws expression_failure; a mu::ParserError would be a fault of the rewriting.
  double compute(rewritten_expression expression) {
    numbers_ = std::move(expression.numbers);
    SetExpr(expression.text);
    return at(Eval()).number.amount;
  }

private:
  engine() {
    InitCharSets();
    EnableBuiltInOprt(false);
    EnableOptimizer(false);
    AddValIdent(read_place);
    DefineOprt("+", binary<add>, mu::prADD_SUB);
    DefineOprt("-", binary<subtract>, mu::prADD_SUB);
    DefineOprt("*", binary<multiply>, mu::prMUL_DIV);
    DefineOprt("/", binary<divide>, mu::prMUL_DIV);
    DefineOprt("//", binary<floor_divide>, mu::prMUL_DIV);
    DefineOprt("%", binary<remainder>, mu::prMUL_DIV);
    DefineOprt("^", binary<power>, mu::prPOW, mu::oaRIGHT);
    DefineInfixOprt("~", negative, mu::prINFIX, false);
    DefinePostfixOprt("!", factorial, false);
    for (const auto& function : math_functions())
      DefineFunUserData(
          std::string{function.name}, call, const_cast<math_function*>(&function), false);
  }

  void InitCharSets() override {
    DefineNameChars("0123456789abcdefghijklmnopqrstuvwxyz");
    DefineOprtChars("+-*/%^!");
    DefineInfixOprtChars("~");
  }

  void InitFun() override {}
  void InitConst() override {}
  void InitOprt() override {}

  placed_number& at(double place) { return numbers_[static_cast<size_t>(place)]; }

  static int read_place(const char* text, int* position, double* place) {
    auto* end = text;
    auto number = 0;
    for (; *end >= '0' && *end <= '9'; ++end)
      number = 10 * number + (*end - '0');
    *position += static_cast<int>(end - text);
    *place = number;
    return end == text ? 0 : 1;
  }

  double keep(arithmetic_result result, size_t begin, size_t end) {
    if (auto* what = std::get_if<std::string>(&result))
      throw expression_failure{std::move(*what), begin, end};
    numbers_.push_back({std::get<typed_number>(result), begin, end});
    return static_cast<double>(numbers_.size() - 1);
  }

  template <arithmetic_result (*apply)(typed_number, typed_number)>
  static double binary(double left_place, double right_place) {
    auto& self = of_this_thread();
    auto left = self.at(left_place);
    auto right = self.at(right_place);
    return self.keep(apply(left.number, right.number), left.begin, right.end);
  }

  static double negative(double place) {
    auto& self = of_this_thread();
    auto operand = self.at(place);
    return self.keep(negate(operand.number), operand.begin, operand.end);
  }

  static double factorial(double place) {
    auto& self = of_this_thread();
    auto operand = self.at(place);
    return self.keep(chainmail::factorial(operand.number), operand.begin, operand.end + 1);
  }

  /// The first argument is the place of the call itself.
  static double call(void* function, const double* places, int count) {
    auto& self = of_this_thread();
    auto whole_call = self.at(places[0]);
    std::vector<typed_number> arguments;
    for (int i = 1; i < count; ++i)
      arguments.push_back(self.at(places[i]).number);
    return self.keep(static_cast<const math_function*>(function)->apply(arguments),
        whole_call.begin, whole_call.end);
  }

  std::vector<placed_number> numbers_;
};

// -- failures -----------------------------------------------------------------------

/// Widens the piece until its parentheses are in pairs: numbers do not know those around them.
std::string_view balanced(std::string_view text, size_t begin, size_t end) {
  auto depth = 0;
  auto missing = 0;
  for (auto c : text.substr(begin, end - begin)) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    missing = std::min(missing, depth);
  }
  auto at_front = -missing;
  auto at_back = depth - missing;
  auto is_skipped = [](char c) { return is_expression_blank(c) || c == '-' || c == '+'; };
  while (at_front > 0 && begin > 0 && (text[begin - 1] == '(' || is_skipped(text[begin - 1])))
    at_front -= text[--begin] == '(' ? 1 : 0;
  while (at_back > 0 && end < text.size() && (text[end] == ')' || is_expression_blank(text[end])))
    at_back -= text[end++] == ')' ? 1 : 0;
  return text.substr(begin, end - begin);
}

caf::error to_error(const expression_failure& failure, std::string_view text) {
  auto piece = balanced(text, failure.begin, failure.end);
  auto before = text.substr(0, static_cast<size_t>(piece.data() - text.data()));
  auto is_continuation = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  auto character =
      before.size() + 1 -
      static_cast<size_t>(std::count_if(before.begin(), before.end(), is_continuation));
  return make_failure(errc::invalid_input, "the expression " + failure.what + " at character " +
                                               std::to_string(character) + ": '" +
                                               one_line(piece, longest_expression_quote) + "'");
}

} // namespace

caf::expected<double> evaluate_expression(std::string_view text) {
  if (text.size() > longest_expression)
    return to_error({"has " + std::to_string(text.size()) + " bytes, more than the " +
                            std::to_string(longest_expression) + " that are read,",
                        0, longest_expression_quote},
        text.substr(0, longest_expression));
  try {
    return engine::of_this_thread().compute(rewrite_expression(text));
  } catch (const expression_failure& failure) {
    return to_error(failure, text);
  } catch (const mu::ParserError&) {
    return to_error({"cannot be evaluated as it is written", 0, text.size()}, text);
  }
}

std::string show_number(double number) {
  auto size = std::abs(number);
  std::array<char, 64> text;
  auto* end = text.data() + text.size();
  if (size <= largest_integer && std::trunc(number) == number)
    end = std::to_chars(text.data(), end, static_cast<long long>(number)).ptr;
  else // Where Python changes to exponents.
    end = std::to_chars(text.data(), end, number,
        size >= 1e-4 && size < largest_integer ? std::chars_format::fixed
                                               : std::chars_format::scientific)
              .ptr;
  return {text.data(), end};
}

} // namespace chainmail

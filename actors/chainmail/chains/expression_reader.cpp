// Checks and rewrites in one pass from left to right.
#include <chainmail/chains/expression_reader.hpp>

#include <algorithm>
#include <array>
#include <numbers>

namespace chainmail {

namespace {

constexpr size_t deepest_nesting = 64;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

struct spelling {
  std::string_view written;
  std::string_view rewritten;
};

/// Longer ones first.
constexpr std::array<spelling, 13> binary_operators = {
    {{"**", "^"}, {"//", "//"}, {"^", "^"}, {"*", "*"}, {"/", "/"}, {"%", "%"}, {"+", "+"},
        {"-", "-"}, {"×", "*"}, {"·", "*"}, {"⋅", "*"}, {"÷", "/"}, {"−", "-"}}};

struct constant {
  std::string_view name;
  double amount;
};

constexpr std::array<constant, 3> constants = {
    {{"pi", std::numbers::pi}, {"e", std::numbers::e}, {"tau", 2 * std::numbers::pi}}};

/// Reads left to right; rewrites what is in order, and throws at what is not.
class expression_reader {
public:
  explicit expression_reader(std::string_view text) : text_(text) {}

  /// @throws expression_failure
  rewritten_expression rewrite() {
    for (skip_blanks(); position_ < text_.size(); skip_blanks()) {
      token_begin_ = position_;
      if (wants_operand_)
        read_operand();
      else
        read_operator();
    }
    if (text_.find_first_not_of(" \t\r\n") == std::string_view::npos)
      fail("is empty", 0, 0);
    if (wants_operand_)
      fail("ends where a number is missing", token_begin_, text_.size());
    if (!open_.empty())
      fail("has a parenthesis that is never closed", open_.back().begin, text_.size());
    return {std::move(rewritten_), std::move(numbers_)};
  }

private:
  /// An open parenthesis.
  struct parenthesis {
    size_t begin;
    /// Whose arguments are in it; null for one that only groups.
    const math_function* function;
    /// Of the call.
    size_t place;
    size_t arguments;
  };

  [[noreturn]] static void fail(std::string what, size_t begin, size_t end) {
    throw expression_failure{std::move(what), begin, end};
  }

  [[noreturn]] void fail_here(std::string what) const {
    fail(std::move(what), position_, text_.size());
  }

  [[nodiscard]] char peek(size_t ahead = 0) const {
    return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
  }

  bool take(std::string_view wanted) {
    if (!text_.substr(position_).starts_with(wanted))
      return false;
    position_ += wanted.size();
    return true;
  }

  void skip_blanks() {
    while (position_ < text_.size() && is_expression_blank(text_[position_]))
      ++position_;
  }

  // -- operands ---------------------------------------------------------------------

  void read_operand() {
    read_signs();
    auto begin = position_;
    if (is_digit(peek()) || (peek() == '.' && is_digit(peek(1)))) {
      read_number();
    } else if (is_letter(peek())) {
      read_name();
    } else if (take("(")) {
      open({begin, nullptr, 0, 1});
    } else if (take("√")) {
      read_root(begin);
    } else if (take("π")) {
      append_number(typed_number{std::numbers::pi, false}, begin);
    } else if (position_ < text_.size()) {
      fail_at_no_operand();
    }
  }

  /// muParser takes one sign at a time, so an even number of minuses is none.
  void read_signs() {
    bool is_negative = false;
    for (;; skip_blanks()) {
      if (take("-") || take("−"))
        is_negative = !is_negative;
      else if (!take("+"))
        break;
    }
    if (is_negative)
      rewritten_ += '~';
  }

  [[noreturn]] void fail_at_no_operand() const {
    if (peek() == ')' && rewritten_.ends_with(','))
      fail_here("has a comma without an argument after it");
    if (peek() == ')' || peek() == ',' || starts_operator())
      fail_here("has no number where one is missing");
    fail_at_stranger();
  }

  [[noreturn]] void fail_at_stranger() const {
    if (std::string_view{"=<>!&|~:?"}.find(peek()) != std::string_view::npos && peek() != '\0')
      fail_here("assigns, compares or decides, where only arithmetic is read,");
    if (peek() == '"' || peek() == '\'' || peek() == '`')
      fail_here("has text in quotes, where only arithmetic is read,");
    fail_here("has a character without a meaning in arithmetic");
  }

  [[nodiscard]] bool starts_operator() const {
    auto rest = text_.substr(position_);
    return std::any_of(binary_operators.begin(), binary_operators.end(),
        [&](const spelling& x) { return rest.starts_with(x.written); });
  }

  void append_number(arithmetic_result result, size_t begin) {
    if (auto* what = std::get_if<std::string>(&result))
      fail(std::move(*what), begin, position_);
    append_place({std::get<typed_number>(result), begin, position_});
    wants_operand_ = false;
  }

  size_t append_place(placed_number number) {
    numbers_.push_back(number);
    rewritten_ += std::to_string(numbers_.size() - 1);
    return numbers_.size() - 1;
  }

  /// Only for a number or a parenthesis: √2**2 would leave open what the root is taken of.
  void read_root(size_t begin) {
    auto& root = find_function("sqrt", begin);
    if (take("(")) {
      open_call(root, begin);
    } else if (is_digit(peek()) || peek() == '.') {
      open_call(root, begin);
      read_number();
      close();
    } else {
      fail("has a root sign without a number or a parenthesis after it", begin, text_.size());
    }
  }

  // -- numbers ----------------------------------------------------------------------

  void read_number() {
    auto begin = position_;
    std::string literal;
    auto is_double = false;
    read_digits(literal);
    if (!is_in_call() && literal.size() <= 3 && !literal.starts_with('0'))
      read_groups(literal);
    if (take(".")) {
      is_double = true;
      literal += '.';
      read_digits(literal);
    }
    auto sign = peek(1) == '+' || peek(1) == '-' ? size_t{1} : size_t{0};
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign))) {
      is_double = true;
      literal += 'e';
      if (sign == 1 && peek(1) == '-')
        literal += '-';
      position_ += 1 + sign;
      read_digits(literal);
    }
    if (is_double)
      return append_number(read_double(literal), begin);
    if (literal.size() > 1 && literal.starts_with('0'))
      fail("has a whole number that starts with a zero", begin, position_);
    append_number(read_integer(literal), begin);
  }

  /// As in Python, one `_` may stand between two digits.
  void read_digits(std::string& literal) {
    while (is_digit(peek())) {
      literal += text_[position_++];
      if (peek() == '_' && is_digit(peek(1)))
        ++position_;
    }
  }

  /// ",234" as often as it comes.
  void read_groups(std::string& literal) {
    while (peek() == ',' && is_digit(peek(1)) && is_digit(peek(2)) && is_digit(peek(3)) &&
           !is_digit(peek(4)) && peek(4) != '_') {
      literal += text_.substr(position_ + 1, 3);
      position_ += 4;
    }
  }

  // -- names ------------------------------------------------------------------------

  void read_name() {
    auto begin = position_;
    std::string name;
    for (; is_letter(peek()) || is_digit(peek()) || peek() == '.'; ++position_) {
      auto c = text_[position_];
      name += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    for (std::string_view module : {"math.", "numpy.", "np."})
      if (name.starts_with(module)) {
        name.erase(0, module.size());
        break;
      }
    for (const auto& known : constants)
      if (name == known.name)
        return append_number(typed_number{known.amount, false}, begin);
    auto& function = find_function(name, begin);
    skip_blanks();
    if (!take("("))
      fail("names a function without arguments in parentheses", begin, text_.size());
    open_call(function, begin);
  }

  [[nodiscard]] const math_function& find_function(std::string_view name, size_t begin) const {
    auto known = math_functions();
    auto found = std::find_if(
        known.begin(), known.end(), [&](const math_function& x) { return x.name == name; });
    if (found == known.end())
      fail("has a name that is neither a function nor a constant known here", begin, position_);
    return *found;
  }

  // -- parentheses ------------------------------------------------------------------

  [[nodiscard]] bool is_in_call() const {
    return !open_.empty() && open_.back().function != nullptr;
  }

  void open(parenthesis next) {
    if (open_.size() == deepest_nesting)
      fail("is more than " + std::to_string(deepest_nesting) + " parentheses deep", next.begin,
          text_.size());
    rewritten_ += '(';
    open_.push_back(next);
  }

  /// The call goes first among its own arguments, so that a failure can quote all of it.
  void open_call(const math_function& function, size_t begin) {
    rewritten_ += function.name;
    open({begin, &function, 0, 1});
    open_.back().place = append_place({{}, begin, position_});
    skip_blanks();
    if (peek() == ')')
      fail("calls a function without arguments", begin, position_ + 1);
    rewritten_ += ',';
  }

  void close() {
    const auto& closed = open_.back();
    if (const auto* function = closed.function) {
      numbers_[closed.place].end = position_;
      if (closed.arguments < function->fewest_arguments ||
          closed.arguments > function->most_arguments)
        fail("calls a function with " + std::to_string(closed.arguments) + " instead of " +
                 std::to_string(function->fewest_arguments) +
                 (function->fewest_arguments < function->most_arguments ? " or more" : "") +
                 " arguments (a comma there is no thousands separator)",
            closed.begin, position_);
    }
    rewritten_ += ')';
    open_.pop_back();
  }

  // -- operators --------------------------------------------------------------------

  void read_operator() {
    if (peek() == '!' && peek(1) != '=')
      return read_factorial();
    if (peek() == ')')
      return read_closing();
    if (peek() == ',')
      return read_comma();
    for (const auto& known : binary_operators)
      if (take(known.written)) {
        rewritten_ += known.rewritten;
        wants_operand_ = true;
        return;
      }
    auto rest = text_.substr(position_);
    if (is_digit(peek()) || is_letter(peek()) || peek() == '.' || peek() == '(' ||
        rest.starts_with("√") || rest.starts_with("π"))
      fail_here("has no operator where one is missing");
    fail_at_stranger();
  }

  void read_factorial() {
    if (rewritten_.ends_with('!'))
      fail_here("has a factorial of a factorial, which needs parentheses, as in (3!)!,");
    ++position_;
    rewritten_ += '!';
  }

  void read_closing() {
    if (open_.empty())
      fail_here("closes a parenthesis that was never opened");
    ++position_;
    close();
  }

  void read_comma() {
    if (!is_in_call())
      fail_here("has a comma that separates neither thousands, in groups of three digits, nor the "
                "arguments of a function");
    ++position_;
    ++open_.back().arguments;
    rewritten_ += ',';
    wants_operand_ = true;
  }

  std::string_view text_;
  size_t position_ = 0;
  /// Where the last token begins.
  size_t token_begin_ = 0;
  bool wants_operand_ = true;
  std::vector<parenthesis> open_;
  std::string rewritten_;
  std::vector<placed_number> numbers_;
};

} // namespace

bool is_expression_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

rewritten_expression rewrite_expression(std::string_view text) {
  return expression_reader{text}.rewrite();
}

} // namespace chainmail

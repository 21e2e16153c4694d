// Reads the arithmetic of a question, in digits and in words, and writes it in Python's notation.

#include "brain_text.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <utility>

namespace chainmail::simulator {

namespace {

// -- tokens -------------------------------------------------------------------

/// A number without separators, a word in lower case, or one sign.
using math_token = std::string;

bool is_number(std::string_view text) {
  return is_digit(text[0]) || (text[0] == '.' && text.size() > 1);
}

std::string take_number(std::string_view& text) {
  std::string digits;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    bool is_separator = text[i] == ',' && i + 3 < text.size() && is_digit(text[i + 1]) &&
                        is_digit(text[i + 2]) && is_digit(text[i + 3]) &&
                        (i + 4 == text.size() || !is_digit(text[i + 4])) &&
                        digits.find('.') == std::string::npos;
    bool is_point = text[i] == '.' && i + 1 < text.size() && is_digit(text[i + 1]) &&
                    digits.find('.') == std::string::npos;
    if (is_digit(text[i]) || is_point)
      digits += text[i];
    else if (!is_separator)
      break;
  }
  text.remove_prefix(i);
  return digits.front() == '.' ? "0" + digits : digits;
}

std::vector<math_token> math_tokens_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> signs{{{"**", "^"},
      {"\xC3\x97", "*"}, {"\xC3\xB7", "/"}, {"\xE2\x88\x92", "-"}, {"\xC2\xB7", "*"}}};
  std::vector<math_token> result;
  while (!text.empty()) {
    auto sign = std::ranges::find_if(signs, [&](auto& one) { return text.starts_with(one.first); });
    if (sign != signs.end()) {
      result.emplace_back(sign->second);
      text.remove_prefix(sign->first.size());
    } else if (is_digit(text[0]) || (text[0] == '.' && text.size() > 1 && is_digit(text[1]))) {
      result.push_back(take_number(text));
      for (std::string_view ending : {"st", "nd", "rd", "th"}) // "the 5th power"
        if (text.starts_with(ending))
          text.remove_prefix(2);
    } else if (is_word_byte(text[0])) {
      std::size_t size = 0;
      while (size < text.size() && is_word_byte(text[size]) && !is_digit(text[size]))
        ++size;
      result.push_back(lower_case(text.substr(0, size)));
      text.remove_prefix(size);
    } else {
      bool joins_words = text[0] == '-' && text.size() > 1 && text[1] >= 'a' && text[1] <= 'z';
      if (std::string_view("+-*/^()%!=").find(text[0]) < 10 && !joins_words) // "twenty-one"
        result.emplace_back(1, text[0]);
      text.remove_prefix(1);
    }
  }
  return result;
}

// -- number words -------------------------------------------------------------

std::optional<std::uint64_t> small_number(std::string_view word) {
  constexpr std::array<std::string_view, 28> words{"zero", "one", "two", "three", "four", "five",
      "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen",
      "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty",
      "seventy", "eighty", "ninety"};
  auto at = static_cast<std::uint64_t>(std::ranges::find(words, word) - words.begin());
  if (at == words.size())
    return {};
  return at <= 20 ? at : (at - 18) * 10;
}

std::uint64_t multiple(std::string_view word) {
  return word == "hundred" ? 100 : word == "thousand" ? 1000 : word == "million" ? 1000000 : 0;
}

/// "one hundred and five thousand", "3 million": numbers in words become digits.
std::vector<math_token> with_digits(const std::vector<math_token>& tokens) {
  std::vector<math_token> result;
  for (std::size_t i = 0; i < tokens.size();) {
    std::uint64_t sum = 0;
    std::uint64_t part = 0;
    std::uint64_t last = 0;
    auto begin = i;
    for (; i < tokens.size() && sum < 1000000000; ++i) {
      bool has_digits = i == begin && is_digit(tokens[i][0]) && tokens[i].size() < 10 &&
                        tokens[i].find('.') == std::string::npos && i + 1 < tokens.size() &&
                        multiple(tokens[i + 1]) > 0;
      auto small = has_digits ? std::stoull(tokens[i]) : small_number(tokens[i]);
      bool fits = i == begin || last >= 100 || (last >= 20 && small && *small < 10 && *small > 0);
      if (small && fits) {
        part += *small;
        last = has_digits ? 1 : *small;
      } else if (auto scale = multiple(tokens[i]); scale > 0 && i > begin) {
        if (scale == 100)
          part *= scale;
        else
          sum += std::exchange(part, 0) * scale;
        last = scale;
      } else if (tokens[i] != "and" || last < 100 || i + 1 == tokens.size() ||
                 !small_number(tokens[i + 1])) {
        break;
      }
    }
    result.push_back(i > begin ? std::to_string(sum + part) : tokens[i++]);
  }
  return result;
}

// -- the parser ---------------------------------------------------------------

/// Recursive descent over the tokens. A term knows how tightly it binds, for the parentheses.
class parser {
public:
  explicit parser(std::vector<math_token> tokens) : tokens_(std::move(tokens)) {}

  /// The arithmetic at or after any token, if no other number is left over.
  std::optional<std::string> find() {
    for (std::size_t begin = 0; begin < tokens_.size(); ++begin) {
      at_ = begin;
      operations_ = 0;
      auto found = sum();
      if (found && operations_ > 0)
        return is_whole(begin, at_) ? std::optional(found->text) : std::nullopt;
      if (is_number(tokens_[begin]))
        return {};
    }
    return {};
  }

private:
  enum binding { additive, multiplicative, power, atom };

  struct term {
    std::string text;
    binding binds = atom;
  };
  using parsed = std::optional<term>;

  /// No part of a calculation stands before or after what was read.
  bool is_whole(std::size_t begin, std::size_t end) const {
    auto is_arithmetic = [](const math_token& one) {
      return is_number(one) || std::string_view("+-*/^()%!=").find(one) < 10 || one == "x" ||
             one == "rounded" || one == "times" || one == "squared";
    };
    auto at = [this](std::size_t i) { return tokens_.begin() + static_cast<std::ptrdiff_t>(i); };
    return std::none_of(at(0), at(begin), is_arithmetic) &&
           std::none_of(at(end), tokens_.end(), is_arithmetic);
  }

  bool take(std::initializer_list<std::string_view> words) {
    if (tokens_.size() - at_ < words.size() ||
        !std::equal(words.begin(), words.end(), tokens_.begin() + static_cast<std::ptrdiff_t>(at_)))
      return false;
    at_ += words.size();
    return true;
  }

  static std::string wrapped(const term& one, binding least) {
    return one.binds < least ? "(" + one.text + ")" : one.text;
  }

  parsed join(const parsed& left, std::string_view sign, const parsed& right, binding binds) {
    if (!left || !right)
      return {};
    ++operations_;
    auto tighter = binds == additive ? multiplicative : power;
    auto of_right = binds == power ? atom : sign == "+" || sign == "*" ? binds : tighter;
    return term{wrapped(*left, binds == power ? atom : binds) + " " + std::string(sign) + " " +
                    wrapped(*right, of_right),
        binds};
  }

  parsed call(std::string_view function, const parsed& of) {
    ++operations_;
    return of ? parsed(term{std::string(function) + "(" + of->text + ")"}) : parsed();
  }

  parsed sum() {
    auto left = product();
    while (left) {
      auto before = at_;
      std::string_view sign = take({"plus"}) || take({"+"}) || take({"added", "to"}) ? "+"
                              : take({"minus"}) || take({"-"})                       ? "-"
                                                                                     : "";
      if (sign.empty())
        return left;
      auto right = product();
      if (!right) {
        at_ = before;
        return left;
      }
      left = join(left, sign, right, additive);
    }
    return left;
  }

  parsed product() {
    auto left = powers();
    while (left) {
      auto before = at_;
      bool multiplies = take({"times"}) || take({"multiplied", "by"}) || take({"x"}) || take({"*"});
      bool divides = !multiplies && (take({"divided", "by"}) || take({"over"}) || take({"/"}));
      if (!multiplies && !divides)
        return left;
      auto right = powers();
      if (!right) {
        at_ = before;
        return left;
      }
      left = join(left, multiplies ? "*" : "/", right, multiplicative);
    }
    return left;
  }

  parsed powers() {
    auto base = operand();
    while (base) {
      if (take({"squared"}))
        base = join(base, "**", term{"2"}, power);
      else if (take({"cubed"}))
        base = join(base, "**", term{"3"}, power);
      else if (take({"!"}) || take({"factorial"}))
        base = call("factorial", base);
      else if (take({"^"}) || take({"to", "the", "power", "of"}) ||
               take({"raised", "to", "the", "power", "of"}))
        base = join(base, "**", operand(), power);
      else if (take({"raised", "to", "the"}) || take({"to", "the"})) {
        base = join(base, "**", operand(), power);
        if (!take({"power"}))
          return {};
      } else
        return base;
    }
    return base;
  }

  /// "sum of 3 and 4": the operands go up to the "and".
  parsed pair(std::string_view sign, binding binds) {
    auto left = product();
    if (!take({"and"}))
      return {};
    return join(left, sign, product(), binds);
  }

  parsed operand() {
    constexpr int deepest = 50;
    if (depth_ == deepest)
      return {};
    ++depth_;
    auto result = operand_here();
    --depth_;
    return result;
  }

  parsed operand_here() {
    take({"the"});
    if (take({"square", "root", "of"}) || take({"sqrt", "of"}) || take({"sqrt"}))
      return call("sqrt", powers());
    if (take({"cube", "root", "of"}) || take({"cbrt"}))
      return call("cbrt", powers());
    if (take({"factorial", "of"}))
      return call("factorial", operand());
    if (take({"sum", "of"}))
      return pair("+", additive);
    if (take({"difference", "between"}) || take({"difference", "of"}))
      return pair("-", additive);
    if (take({"product", "of"}))
      return pair("*", multiplicative);
    if (take({"half", "of"}))
      return join(powers(), "/", term{"2"}, multiplicative);
    if (take({"double"}) || take({"twice"}))
      return join(term{"2"}, "*", powers(), multiplicative);
    if (take({"-"}) || take({"minus"})) {
      auto of = powers();
      return of ? parsed(term{"-" + wrapped(*of, power), multiplicative}) : parsed();
    }
    if (take({"("})) {
      auto inner = sum(); // gets its parentheses back where it needs them
      return take({")"}) ? inner : parsed();
    }
    if (at_ == tokens_.size() || !is_number(tokens_[at_]))
      return {};
    term number{tokens_[at_++]};
    if (take({"%", "of"}) || take({"percent", "of"}) || take({"per", "cent", "of"})) {
      auto whole = powers();
      ++operations_;
      return whole ? parsed(term{number.text + "/100*" + wrapped(*whole, power), multiplicative})
                   : parsed();
    }
    return number;
  }

  std::vector<math_token> tokens_;
  std::size_t at_ = 0;
  int operations_ = 0;
  int depth_ = 0;
};

} // namespace

std::optional<std::string> arithmetic_of(std::string_view question) {
  constexpr std::size_t longest_question = 2000;
  if (question.size() > longest_question)
    return {};
  return parser(with_digits(math_tokens_of(question))).find();
}

} // namespace chainmail::simulator

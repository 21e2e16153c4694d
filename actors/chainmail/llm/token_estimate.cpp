// The rule of the token estimate.
#include <chainmail/llm/token_estimate.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <array>

namespace chainmail {

namespace {

enum class kind : uint8_t { control, blank, newline, digit, lower, upper, punctuation, beyond };

constexpr std::array<kind, 256> make_kinds() {
  std::array<kind, 256> result{};
  for (size_t c = 0; c < result.size(); ++c) {
    if (c >= 0x80)
      result[c] = kind::beyond;
    else if (c == '\n' || c == '\r')
      result[c] = kind::newline;
    else if (c == ' ' || (c >= 0x09 && c <= 0x0c))
      result[c] = kind::blank;
    else if (c < 0x20 || c == 0x7f)
      result[c] = kind::control;
    else if (c >= '0' && c <= '9')
      result[c] = kind::digit;
    else if (c >= 'a' && c <= 'z')
      result[c] = kind::lower;
    else if (c >= 'A' && c <= 'Z')
      result[c] = kind::upper;
    else
      result[c] = kind::punctuation;
  }
  return result;
}

constexpr auto kinds = make_kinds();

constexpr uint32_t letters_per_token = 7;
constexpr size_t blanks_per_token = 32;

kind kind_at(std::string_view text, size_t i) {
  return kinds[static_cast<unsigned char>(text[i])];
}

bool is_blank_at(std::string_view text, size_t i) {
  auto found = kind_at(text, i);
  return found == kind::blank || found == kind::newline;
}

/// How many ASCII letters a letter of another alphabet stands for; 0 for what is no letter of one.
uint32_t letter_weight(char32_t number) {
  if (number < 0xc0 || number == 0xd7 || number == 0xf7)
    return 0;
  if (number >= 0x800)
    return 0;
  auto latin = number < 0x250;
  auto cyrillic = number >= 0x400 && number < 0x530;
  return latin || cyrillic ? 3 : 4;
}

uint32_t tenths_of(char32_t number) {
  if (number == not_utf8 || number < 0x800 || (number >= 0x2000 && number < 0x2070) ||
      (number >= 0x3000 && number < 0x3040) || (number >= 0xff00 && number < 0xfff0))
    return 10;
  return number < 0x10000 ? 12 : 25;
}

size_t end_of_blanks(std::string_view text) {
  size_t end = 0;
  size_t after_newline = 0;
  while (end < text.size() && end < blanks_per_token && is_blank_at(text, end)) {
    if (kind_at(text, end) == kind::newline)
      after_newline = end + 1;
    ++end;
  }
  if (after_newline > 0)
    return after_newline;
  // The last space belongs to what follows.
  auto joins = end > 1 && end < text.size() && text[end - 1] == ' ' && !is_blank_at(text, end);
  return joins ? end - 1 : end;
}

token_piece word(std::string_view text, size_t begin) {
  uint32_t weight = 0;
  auto end = begin;
  auto last = kind::upper;
  while (end < text.size()) {
    auto next = kind_at(text, end);
    uint32_t more = 1;
    size_t bytes = 1;
    if (next == kind::beyond) {
      auto letter = first_code_point(text.substr(end));
      more = letter_weight(letter.number);
      bytes = letter.bytes;
      if (letter.number == not_utf8 || more == 0)
        break;
    } else if ((next != kind::lower && next != kind::upper) ||
               (next == kind::upper && last == kind::lower)) {
      break;
    }
    if (weight + more > letters_per_token)
      break;
    weight += more;
    end += bytes;
    last = next;
  }
  return {end, 10};
}

token_piece digits(std::string_view text, size_t begin) {
  auto end = begin + 1;
  while (end < text.size() && end < begin + 3 && kind_at(text, end) == kind::digit)
    ++end;
  return {end, 10};
}

token_piece punctuation(std::string_view text, size_t begin) {
  auto end = begin + 1;
  while (end < text.size() && end < begin + 8 && text[end] == text[begin])
    ++end;
  if (end == begin + 1 && end < text.size() && kind_at(text, end) == kind::punctuation)
    ++end;
  auto longest = end + blanks_per_token;
  while (end < text.size() && end < longest && kind_at(text, end) == kind::newline)
    ++end;
  return {end, 10};
}

token_piece next_piece(std::string_view text) {
  size_t begin = 0;
  if (is_blank_at(text, 0)) {
    auto joins = text[0] == ' ' && text.size() > 1 && !is_blank_at(text, 1);
    if (!joins)
      return {end_of_blanks(text), 10};
    begin = 1;
  }
  switch (kind_at(text, begin)) {
  case kind::digit:
    return digits(text, begin);
  case kind::lower:
  case kind::upper:
    return word(text, begin);
  case kind::punctuation:
    return punctuation(text, begin);
  case kind::beyond: {
    auto [number, bytes] = first_code_point(text.substr(begin));
    if (number != not_utf8 && letter_weight(number) > 0)
      return word(text, begin);
    return {begin + bytes, tenths_of(number)};
  }
  default:
    return {begin + 1, 10};
  }
}

} // namespace

token_piece next_token_piece(std::string_view text) {
  return next_piece(text);
}

size_t estimate_token_tenths(std::string_view text) {
  size_t tenths = 0;
  while (!text.empty()) {
    auto piece = next_piece(text);
    tenths += piece.tenths;
    text.remove_prefix(piece.bytes);
  }
  return tenths;
}

size_t estimate_tokens(std::string_view text) {
  return (estimate_token_tenths(text) + 9) / 10;
}

} // namespace chainmail

// Decoding of UTF-8.
#include <chainmail/prompts/utf8.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace chainmail {

namespace {

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U;
}

/// How many of the first bytes are ASCII, counted in whole words.
size_t ascii_words(std::string_view text) {
  size_t i = 0;
  for (uint64_t word = 0; i + sizeof word <= text.size(); i += sizeof word) {
    std::memcpy(&word, text.data() + i, sizeof word);
    if ((word & 0x8080808080808080U) != 0)
      break;
  }
  return i;
}

} // namespace

code_point first_code_point(std::string_view text) {
  auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80)
    return {lead, 1};
  if (lead < 0xc2 || lead > 0xf4)
    return {};
  auto bytes = lead < 0xe0 ? size_t{2} : lead < 0xf0 ? size_t{3} : size_t{4};
  if (text.size() < bytes)
    return {};
  char32_t number = lead & (0x7fU >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if (!is_continuation(text[i]))
      return {};
    number = number << 6U | (static_cast<unsigned char>(text[i]) & 0x3fU);
  }
  auto overlong = (bytes == 3 && number < 0x800) || (bytes == 4 && number < 0x10000);
  auto surrogate = number >= 0xd800 && number < 0xe000;
  if (overlong || surrogate || number > 0x10ffff)
    return {};
  return {number, bytes};
}

code_point last_code_point(std::string_view text) {
  for (size_t bytes = 1; bytes <= std::min<size_t>(text.size(), 4); ++bytes) {
    auto tail = text.substr(text.size() - bytes);
    if (is_continuation(tail.front()))
      continue;
    auto found = first_code_point(tail);
    return found.bytes == bytes ? found : code_point{};
  }
  return {};
}

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    auto ascii = ascii_words(text);
    count += ascii;
    text.remove_prefix(ascii);
    // The rest of this word, then whole words again.
    for (size_t i = 0; i < sizeof(uint64_t) && !text.empty(); ++i, ++count)
      text.remove_prefix(first_code_point(text).bytes);
  }
  return count;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    text.remove_prefix(ascii_words(text));
    for (size_t i = 0; i < sizeof(uint64_t) && !text.empty(); ++i) {
      auto [number, bytes] = first_code_point(text);
      if (number == not_utf8)
        return false;
      text.remove_prefix(bytes);
    }
  }
  return true;
}

bool is_blank(char32_t number) {
  if (number < 0x80)
    return number == ' ' || (number >= 0x09 && number <= 0x0d) ||
           (number >= 0x1c && number <= 0x1f);
  return number == 0x85 || number == 0xa0 || number == 0x1680 ||
         (number >= 0x2000 && number <= 0x200a) || number == 0x2028 || number == 0x2029 ||
         number == 0x202f || number == 0x205f || number == 0x3000;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty()) {
    auto [number, bytes] = first_code_point(text);
    if (!is_blank(number))
      break;
    text.remove_prefix(bytes);
  }
  while (!text.empty()) {
    auto [number, bytes] = last_code_point(text);
    if (!is_blank(number))
      break;
    text.remove_suffix(bytes);
  }
  return text;
}

std::string one_line(std::string_view text, size_t longest) {
  std::string result;
  text = trimmed(text);
  for (size_t count = 0; !text.empty(); ++count) {
    if (count == longest)
      return result += "...";
    auto [number, bytes] = first_code_point(text);
    auto control = number < 0x20 || (number >= 0x7f && number < 0xa0) || number == 0x200e ||
                   number == 0x200f || number == 0x2028 || number == 0x2029 ||
                   (number >= 0x202a && number <= 0x202e) || (number >= 0x2066 && number <= 0x2069);
    if (control)
      result += ' ';
    else if (number == not_utf8)
      result += "\xef\xbf\xbd";
    else
      result += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return result;
}

} // namespace chainmail

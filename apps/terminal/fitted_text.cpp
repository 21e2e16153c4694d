// Walks UTF-8 character by character, with a short table of widths.
#include "fitted_text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace chainmail::terminal {

namespace {

struct character {
  std::string_view bytes;
  uint32_t code = 0; ///< 0: not UTF-8
};

/// Takes one character off the text, or one byte that begins none.
character next_character(std::string_view& text) {
  auto lead = static_cast<unsigned char>(text.front());
  size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  uint32_t code = size <= 1 ? lead : lead & (0xffU >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    auto next = i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    if ((next & 0xc0U) != 0x80U) {
      size = 0;
      break;
    }
    code = code << 6U | (next & 0x3fU);
  }
  character result{text.substr(0, size == 0 ? 1 : size), size == 0 ? 0 : code};
  text.remove_prefix(result.bytes.size());
  return result;
}

struct range {
  uint32_t first;
  uint32_t last;
};

template <size_t N>
bool is_in(uint32_t code, const std::array<range, N>& ranges) {
  return std::ranges::any_of(
      ranges, [code](const range& one) { return code >= one.first && code <= one.last; });
}

size_t columns_of(uint32_t code) {
  static constexpr std::array<range, 7> combining{{{0x300, 0x36f}, {0x483, 0x489}, {0x591, 0x5bd},
      {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}}};
  static constexpr std::array<range, 10> wide{{{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3},
      {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff},
      {0x20000, 0x2fffd}, {0x30000, 0x3fffd}}};
  if (code < 0x300)
    return 1;
  if (is_in(code, combining))
    return 0;
  return is_in(code, wide) ? 2 : 1;
}

bool is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x202a && code <= 0x202e);
}

std::string_view ellipsis(bool unicode) {
  return unicode ? "…" : "...";
}

} // namespace

size_t columns_of(std::string_view text) {
  size_t result = 0;
  while (!text.empty())
    result += columns_of(next_character(text).code);
  return result;
}

std::string harmless(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    auto next = next_character(text);
    if (is_control(next.code))
      result += ' ';
    else
      result += next.bytes;
  }
  return result;
}

std::string fit_head(std::string_view text, size_t columns, bool unicode) {
  if (columns_of(text) <= columns)
    return std::string(text);
  auto mark = ellipsis(unicode);
  auto mark_columns = columns_of(mark);
  std::string result;
  auto room = columns > mark_columns ? columns - mark_columns : 0;
  for (auto rest = text; !rest.empty();) {
    auto next = next_character(rest);
    auto size = columns_of(next.code);
    if (size > room)
      break;
    room -= size;
    result += next.bytes;
  }
  return mark_columns <= columns ? result.append(mark) : result;
}

std::string fit_tail(std::string_view text, size_t columns, bool unicode) {
  auto left = columns_of(text);
  if (left <= columns)
    return std::string(text);
  auto mark = ellipsis(unicode);
  auto mark_columns = columns_of(mark);
  auto room = columns > mark_columns ? columns - mark_columns : 0;
  auto rest = text;
  while (!rest.empty() && left > room)
    left -= columns_of(next_character(rest).code);
  while (!rest.empty()) { // what combined with the last one that was cut
    auto after = rest;
    if (columns_of(next_character(after).code) != 0)
      break;
    rest = after;
  }
  return (mark_columns <= columns ? std::string(mark) : std::string{}).append(rest);
}

} // namespace chainmail::terminal

// UTF-8, one code point after the other. Bytes that are none are characters of their own, so that
// no text is refused and none is lost.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace chainmail {

/// What stands for a byte that belongs to no UTF-8 sequence.
constexpr char32_t not_utf8 = 0xffffffff;

/// A Unicode scalar value or not_utf8, and how many bytes it takes: 1 to 4.
struct code_point {
  char32_t number = not_utf8;
  size_t bytes = 1;
};

/// The first code point of a text that is not empty.
code_point first_code_point(std::string_view text);

/// The last code point of a text that is not empty.
code_point last_code_point(std::string_view text);

/// A byte that is not UTF-8 counts as one.
size_t count_code_points(std::string_view text);

bool is_utf8(std::string_view text);

/// True for what Python's str.strip takes away: ASCII blanks, U+00A0, U+3000 and their like.
bool is_blank(char32_t number);

/// Without blanks at both ends.
std::string_view trimmed(std::string_view text);

/// The trimmed text as one line of UTF-8 for a log or a label: of at most `longest` code points
/// and "..." where it was cut, with blanks for control characters and those that turn the direction
/// of writing, and U+FFFD for what is not UTF-8.
std::string one_line(std::string_view text, size_t longest);

} // namespace chainmail

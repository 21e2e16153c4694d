// Words as the embeddings and the brain compare them: in lower case, without endings.

#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace chainmail::simulator {

constexpr auto npos = std::string_view::npos;

/// A letter or digit of ASCII, or a byte of any other character.
inline bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         static_cast<unsigned char>(c) >= 0x80;
}

inline bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

inline bool is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/// Lower-cases ASCII, so that positions stay those of `text`.
std::string lower_case(std::string_view text);

std::string_view trim(std::string_view text);

/// Lower case without plural, -ing, -ed, final e and doubled final letters: "Retries" and "retrying"
/// are both "retry". Looks at the first 64 bytes.
std::string stem(std::string_view word);

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list);

/// Expects lower case. Such words say little about what a text is about.
bool is_stop_word(std::string_view word);

/// Takes the first word off `text`; empty at its end. Punctuation ends a word, also that of Unicode.
std::string_view next_word(std::string_view& text);

} // namespace chainmail::simulator

// How many tokens a model makes of a text, as an estimate that needs no vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chainmail {

/// A stretch of text that counts as about one token.
struct token_piece {
  size_t bytes = 0;
  /// 10 for one token. More than 10 for a single code point only, such as an emoji.
  uint32_t tenths = 0;
};

/// The first piece of a text that is not empty. Pieces never end inside a UTF-8 sequence.
///
/// The rule splits about as OpenAI's cl100k_base does, with lengths in place of a vocabulary:
/// - a word is one token for 7 ASCII letters begun; a lower-case letter before an upper-case one
///   ends a word, and a letter of another alphabet counts as 3 or 4;
/// - digits go in threes, ASCII punctuation in pairs, or in eights of the same character, and takes
///   the newlines behind it along;
/// - one space before any of these is free; other blanks are a token for every 32, newlines and the
///   indentation behind them apart;
/// - from U+0800 on each code point is a piece: 1.2 tokens, 1 for punctuation, 2.5 from U+10000 on;
/// - a byte that is not UTF-8 is one token.
token_piece next_token_piece(std::string_view text);

/// The sum of all pieces, rounded up. Takes linear time. Two texts of UTF-8 put together make at
/// most as many tokens as both apart, and each alone at most as many as both together.
size_t estimate_tokens(std::string_view text);

/// The same sum in tenths, not rounded.
size_t estimate_token_tenths(std::string_view text);

} // namespace chainmail

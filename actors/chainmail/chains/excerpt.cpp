// Reads UTF-8 strictly, and passes on what is harmless.
#include <chainmail/chains/excerpt.hpp>

namespace chainmail {

namespace {

/// The length of the well-formed UTF-8 sequence at the start of `text`, or 0. Not for empty texts.
size_t sequence_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  auto lead = byte(0);
  if (lead < 0x80)
    return 1;
  size_t length = lead >= 0xC2 && lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length)
    return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80)
      return 0;
  // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
  bool is_wrong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
                  (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F);
  return is_wrong ? 0 : length;
}

/// For a well-formed sequence: C0 and C1 controls, line separators, direction marks.
bool is_harmful(std::string_view sequence) {
  auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1)
    return first < 0x20 || first == 0x7F;
  auto second = static_cast<unsigned char>(sequence[1]);
  if (sequence.size() == 2)
    return first == 0xC2 && second < 0xA0;
  auto third = static_cast<unsigned char>(sequence[2]);
  bool is_separator_or_embedding = second == 0x80 && third >= 0xA8 && third <= 0xAE;
  bool is_direction_mark = second == 0x80 && third >= 0x8E && third <= 0x8F;
  bool is_isolate = second == 0x81 && third >= 0xA6 && third <= 0xA9;
  return first == 0xE2 && (is_separator_or_embedding || is_direction_mark || is_isolate);
}

} // namespace

std::string excerpt(std::string_view text, size_t limit) {
  std::string result;
  while (!text.empty()) {
    auto length = sequence_length(text);
    auto sequence = text.substr(0, length);
    if (length == 0 || is_harmful(sequence)) {
      auto c = text.front();
      sequence = c == '\n' || c == '\r' || c == '\t' ? " " : "?";
    }
    if (result.size() + sequence.size() > limit)
      return result + "...";
    result += sequence;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

} // namespace chainmail

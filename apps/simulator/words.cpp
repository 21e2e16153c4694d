// Words without their endings, and the list of those that say little.

#include "words.hpp"

#include <algorithm>
#include <unordered_set>

namespace chainmail::simulator {

namespace {

bool has_vowel(std::string_view text) {
  return text.find_first_of("aeiouy") < text.size();
}

/// The curly quotes, dashes and ellipses of U+2000 to U+203F.
bool is_general_punctuation(std::string_view at) {
  return at.starts_with("\xE2\x80");
}

} // namespace

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, text) != list.end();
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (auto& c : result)
    c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

std::string stem(std::string_view word) {
  constexpr std::size_t longest = 64;
  auto text = lower_case(word.substr(0, longest));
  auto drop = [&text](std::size_t count) { text.resize(text.size() - count); };
  if (text.size() > 4 && (text.ends_with("ies") || text.ends_with("ied")))
    text.replace(text.size() - 3, 3, "y");
  else if (text.size() > 3 && text.ends_with('s') && !text.ends_with("ss") && !text.ends_with("us"))
    drop(1);
  if (text.size() > 5 && text.ends_with("ing") && has_vowel({text.data(), text.size() - 3}))
    drop(3);
  else if (text.size() > 4 && text.ends_with("ed") && !text.ends_with("eed") &&
           has_vowel({text.data(), text.size() - 2}))
    drop(2);
  if (text.size() > 3 && text.ends_with('e'))
    drop(1);
  if (text.size() > 3 && text.back() == text[text.size() - 2] && !is_digit(text.back()))
    drop(1);
  return text;
}

bool is_stop_word(std::string_view word) {
  static const std::unordered_set<std::string_view> words{"a", "about", "after", "again", "all",
      "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before",
      "being", "but", "by", "can", "could", "d", "describe", "did", "do", "does", "doesn", "doing",
      "don", "each", "explain", "for", "from", "get", "give", "had", "happen", "happens", "has",
      "have", "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in", "into", "is",
      "isn", "it", "its", "just", "know", "ll", "m", "many", "may", "me", "might", "more", "most",
      "much", "must", "my", "need", "needs", "no", "not", "of", "on", "once", "one", "only", "or",
      "other", "our", "out", "over", "please", "re", "s", "shall", "she", "should", "show", "so",
      "some", "such", "t", "tell", "than", "that", "the", "their", "them", "then", "there", "these",
      "they", "this", "those", "to", "too", "under", "up", "us", "ve", "very", "want", "was", "we",
      "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why", "will",
      "with", "would", "you", "your"};
  return words.contains(word);
}

std::string_view next_word(std::string_view& text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    if (is_general_punctuation(text.substr(begin)))
      begin += std::min<std::size_t>(3, text.size() - begin);
    else if (is_word_byte(text[begin]))
      break;
    else
      ++begin;
  }
  auto end = begin;
  while (end < text.size() && is_word_byte(text[end]) && !is_general_punctuation(text.substr(end)))
    ++end;
  auto word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

} // namespace chainmail::simulator

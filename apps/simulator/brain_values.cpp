// What stands in a text: numbers, quotations and capitalised names.

#include "brain_values.hpp"

#include "words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace chainmail::simulator {

namespace {

constexpr std::size_t most_bytes = 8192;

/// Words that begin requests, where a capital letter says nothing.
bool opens_sentence(std::string_view lower) {
  constexpr std::array<std::string_view, 36> openings{"find", "look", "search", "compute",
      "calculate", "add", "book", "send", "convert", "translate", "write", "name", "list",
      "extract", "summarize", "call", "use", "return", "answer", "hello", "hi", "thanks", "compare",
      "multiply", "divide", "subtract", "sum", "set", "turn", "create", "make", "check", "read",
      "reply", "today", "question"};
  return is_stop_word(lower) || std::ranges::find(openings, lower) != openings.end();
}

/// From where the character before `at` says that a sentence begins.
bool begins_sentence(std::string_view text, std::size_t at) {
  while (at > 0 && is_blank(text[at - 1]))
    --at;
  return at == 0 || std::string_view(".?!:;\n\"").find(text[at - 1]) != npos;
}

std::string word_before(std::string_view lower, std::size_t at) {
  while (at > 0 && !is_word_byte(lower[at - 1]))
    if (--at; std::string_view(".?!,;").find(lower[at]) != npos)
      return {};
  auto end = at;
  while (at > 0 && is_word_byte(lower[at - 1]))
    --at;
  return std::string(lower.substr(at, end - at));
}

std::size_t end_of_word(std::string_view text, std::size_t at) {
  auto joins = [&](std::size_t i) { // St. is none, but O'Hara and Jean-Luc are, and a@b.c
    return std::string_view("-'@.&").find(text[i]) != npos && i + 1 < text.size() &&
           is_word_byte(text[i + 1]);
  };
  while (at < text.size() && (is_word_byte(text[at]) || joins(at)))
    ++at;
  return at;
}

bool is_origin(std::string_view word) {
  constexpr std::array<std::string_view, 6> words{
      "from", "origin", "source", "start", "departure", "sender"};
  return std::ranges::find(words, word) != words.end();
}

bool is_target(std::string_view word) {
  constexpr std::array<std::string_view, 7> words{
      "to", "destination", "target", "end", "arrival", "recipient", "into"};
  return std::ranges::find(words, word) != words.end();
}

} // namespace

std::vector<std::string> words_of_name(std::string_view name) {
  std::vector<std::string> result;
  std::string word;
  auto finish = [&] {
    if (!word.empty())
      result.push_back(stem(word));
    word.clear();
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (!is_word_byte(name[i]) || (i > 0 && is_upper(name[i]) && !is_upper(name[i - 1])))
      finish();
    if (is_word_byte(name[i]))
      word += name[i];
  }
  finish();
  return result;
}

text_values::text_values(std::string_view text)
  : text_(text.substr(0, most_bytes)), lower_(lower_case(text_)) {
  find_numbers();
  find_quotations();
  find_names();
}

// -- finding ------------------------------------------------------------------

void text_values::find_numbers() {
  for (std::size_t i = 0; i < text_.size();) {
    if (!is_digit(text_[i])) {
      i = is_word_byte(text_[i]) ? end_of_word(text_, i) : i + 1;
      continue;
    }
    std::string digits;
    auto begin = i;
    bool is_negative = i > 0 && text_[i - 1] == '-' && (i < 2 || is_blank(text_[i - 2]));
    for (; i < text_.size(); ++i) {
      bool goes_on = i + 1 < text_.size() && is_digit(text_[i + 1]);
      if (is_digit(text_[i]) || (text_[i] == '.' && goes_on && digits.find('.') == npos))
        digits += text_[i];
      else if (text_[i] != ',' || !goes_on)
        break;
    }
    thing found{.text = text_.substr(begin, i - begin), .before = word_before(lower_, begin)};
    found.at = begin;
    std::from_chars(digits.data(), digits.data() + digits.size(), found.number);
    found.number = is_negative ? -found.number : found.number;
    numbers_.push_back(std::move(found));
    while (i < text_.size() && is_word_byte(text_[i]))
      ++i;
  }
}

void text_values::find_quotations() {
  for (std::size_t i = text_.find('"'); i != npos; i = text_.find('"', i + 1)) {
    auto end = text_.find('"', i + 1);
    if (end == npos)
      return;
    if (end > i + 1)
      names_.push_back(
          {.text = text_.substr(i + 1, end - i - 1), .before = word_before(lower_, i), .at = i});
    i = end;
  }
}

void text_values::find_names() {
  auto is_quoted = [this, count = names_.size()](std::size_t at) {
    return std::any_of(names_.begin(), names_.begin() + static_cast<std::ptrdiff_t>(count),
        [at](const thing& one) { return at > one.at && at <= one.at + one.text.size(); });
  };
  for (std::size_t i = 0; i < text_.size();) {
    if (!is_word_byte(text_[i])) {
      ++i;
      continue;
    }
    auto end = end_of_word(text_, i);
    auto word = std::string_view(lower_).substr(i, end - i);
    bool is_name = is_upper(text_[i]) || word.find('@') != npos;
    if (!is_name || is_quoted(i) || word == "i" ||
        (begins_sentence(text_, i) && opens_sentence(word.substr(0, word.find('\''))))) {
      i = end;
      continue;
    }
    auto begin = i;
    while (end + 1 < text_.size() && text_[end] == ' ' && is_upper(text_[end + 1]))
      end = end_of_word(text_, end + 1);
    auto name = text_.substr(begin, end - begin);
    if (name.ends_with("'s"))
      name.remove_suffix(2);
    names_.push_back({.text = name, .before = word_before(lower_, begin), .at = begin});
    i = end;
  }
}

// -- taking -------------------------------------------------------------------

bool text_values::mentions(std::string_view field) const {
  std::string_view rest = lower_;
  auto words = words_of_name(field);
  for (auto word = next_word(rest); !word.empty(); word = next_word(rest))
    if (std::ranges::find(words, stem(word)) != words.end())
      return true;
  return false;
}

/// The first thing that was not taken and stands at most `reach` bytes behind a word of the name.
text_values::thing* text_values::behind(
    std::vector<thing>& things, std::string_view field, std::size_t reach) {
  auto words = words_of_name(field);
  std::string_view rest = lower_;
  for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
    if (std::ranges::find(words, stem(word)) == words.end())
      continue;
    auto end = lower_.size() - rest.size();
    for (auto& one : things)
      if (!one.is_taken && one.at >= end && one.at - end <= reach)
        return &one;
  }
  return nullptr;
}

std::optional<double> text_values::take_number(std::string_view field) {
  constexpr std::size_t reach = 16;
  constexpr std::size_t unit_reach = 12;
  auto words = words_of_name(field);
  thing* found = nullptr;
  for (auto& one : numbers_) { // "2 cats"
    auto end = one.at + one.text.size();
    std::string_view rest = std::string_view(lower_).substr(end, unit_reach);
    if (found == nullptr && !one.is_taken && !rest.empty() && is_blank(rest.front()) &&
        std::ranges::find(words, stem(next_word(rest))) != words.end())
      found = &one;
  }
  found = found == nullptr ? behind(numbers_, field, reach) : found;
  for (auto& one : numbers_)
    if (found == nullptr && !one.is_taken)
      found = &one;
  if (found == nullptr)
    return {};
  found->is_taken = true;
  return found->number;
}

std::optional<std::string> text_values::take_text(std::string_view field, bool or_phrase) {
  constexpr std::size_t reach = 6; // "city: Paris", "city is Paris"
  auto words = words_of_name(field);
  auto* found = behind(names_, field, reach);
  for (auto& one : names_)
    if (found == nullptr && !one.is_taken &&
        ((std::ranges::any_of(words, is_origin) && is_origin(one.before)) ||
            (std::ranges::any_of(words, is_target) && is_target(one.before))))
      found = &one;
  for (auto& one : names_)
    if (found == nullptr && !one.is_taken)
      found = &one;
  if (found != nullptr) {
    found->is_taken = true;
    return std::string(found->text);
  }
  if (auto phrase = after_preposition(); or_phrase && names_.empty() && !phrase.empty())
    return std::string(phrase);
  return {};
}

bool text_values::has_name() const {
  return std::ranges::any_of(names_, [](const thing& one) { return !one.is_taken; });
}

/// Up to four words of the text's own, such as "paris" in "how warm is it in paris?"
std::string_view text_values::after_preposition() const {
  constexpr std::array<std::string_view, 9> prepositions{
      " in ", " for ", " of ", " to ", " from ", " at ", " about ", " on ", " named "};
  std::size_t begin = npos;
  for (auto preposition : prepositions)
    if (auto at = std::string_view(lower_).rfind(preposition);
        at != npos && (begin == npos || at + preposition.size() > begin))
      begin = at + preposition.size();
  if (begin == npos)
    return {};
  if (auto rest = text_.substr(begin); lower_case(rest.substr(0, 4)) == "the ")
    begin += 4;
  auto end = begin;
  for (int words = 0; words < 4 && end < text_.size() && is_word_byte(text_[end]); ++words) {
    auto next = end_of_word(text_, end);
    if (words > 0 && is_stop_word(std::string_view(lower_).substr(end, next - end)))
      break;
    end = next;
    if (end < text_.size() && text_[end] == ' ')
      ++end;
    else
      break;
  }
  return trim(text_.substr(begin, end - begin));
}

} // namespace chainmail::simulator

// Finds out what is to be named, and puts a brand name together from a vocabulary.

#include "names.hpp"

#include "vocabulary.hpp"
#include "words.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <numeric>
#include <vector>

namespace chainmail::simulator {

namespace {

// -- words --------------------------------------------------------------------

struct word {
  std::string text; ///< in lower case
  bool ends_phrase = false;
};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '\'' || static_cast<unsigned char>(c) >= 0x80;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::vector<word> words_of(std::string_view text) {
  std::vector<word> words;
  bool inside = false;
  for (char c : text) {
    if (is_letter(c)) {
      if (!inside)
        words.emplace_back();
      words.back().text += lower(c);
    } else if (!words.empty() && c != ' ' && c != '"') {
      words.back().ends_phrase = true;
    }
    inside = is_letter(c);
  }
  return words;
}

std::size_t count_words(std::string_view list) {
  return static_cast<std::size_t>(std::ranges::count(list, ' ')) + 1;
}

std::string_view nth_word(std::string_view list, std::size_t n) {
  for (; n > 0; --n)
    list.remove_prefix(list.find(' ') + 1);
  return list.substr(0, list.find(' '));
}

bool contains_word(std::string_view list, std::string_view text) {
  for (;;) {
    auto space = list.find(' ');
    if (list.substr(0, space) == text)
      return true;
    if (space == std::string_view::npos)
      return false;
    list.remove_prefix(space + 1);
  }
}

std::string capitalized(std::string text) {
  text.front() = upper(text.front());
  return text;
}

std::string singular(std::string text) {
  if (text.size() < 4 || text.back() != 's' || text.ends_with("ss"))
    return text;
  if (text.ends_with("ies"))
    return text.replace(text.size() - 3, 3, "y");
  bool has_extra_e = text.ends_with("sses") || text.ends_with("shes") || text.ends_with("ches") ||
                     text.ends_with("xes");
  text.resize(text.size() - (has_extra_e ? 2 : 1));
  return text;
}

// -- what is asked for --------------------------------------------------------

/// "a company that makes colorful socks" has the phrase {"colorful", "socks"}.
using phrase = std::vector<std::string>;

bool is_business(std::string_view text) {
  return is_one_of(text, {"company", "business", "brand", "startup", "start-up", "product", "shop",
                             "store", "firm", "agency", "studio", "app", "restaurant", "cafe",
                             "bakery", "bar", "brewery", "boutique", "bookstore", "line"});
}

bool begins_product(std::string_view text) {
  return is_one_of(text, {"makes", "make", "making", "sells", "sell", "selling", "builds", "build",
                             "building", "produces", "producing", "manufactures", "manufacturing",
                             "creates", "creating", "designs", "designing", "offers", "offering",
                             "develops", "developing", "brews", "bakes", "repairs", "rents"});
}

bool ends_product(std::string_view text) {
  return is_one_of(text, {"in", "for", "with", "to", "from", "of", "on", "at", "by", "that",
                             "which", "and", "or", "using", "who", "based"});
}

bool is_filler(std::string_view text) {
  return is_one_of(text, {"a", "an", "the", "my", "our", "new", "good", "great", "small", "this",
                             "their", "your", "local", "for", "some", "online", "very", "really"});
}

phrase product_from(const std::vector<word>& words, std::size_t from) {
  constexpr std::size_t most_words = 6;
  phrase result;
  for (auto i = from; i < words.size() && result.size() < most_words; ++i) {
    if (ends_product(words[i].text))
      break;
    if (!is_filler(words[i].text))
      result.push_back(words[i].text);
    if (words[i].ends_phrase)
      break;
  }
  return result;
}

/// The words at `at` say what business it is; what it makes is said after or before them.
phrase product_of(const std::vector<word>& words, std::size_t at) {
  for (auto i = at; i + 1 < words.size() && i < at + 6 && !words[i].ends_phrase; ++i)
    if (begins_product(words[i + 1].text))
      return product_from(words, i + 2);
  phrase result;
  for (auto i = at; i > 0 && result.size() < 3 && !is_filler(words[i - 1].text); --i)
    result.insert(result.begin(), words[i - 1].text);
  if (result.empty() && !is_one_of(words[at].text, {"company", "business", "brand", "product"}))
    result.push_back(words[at].text);
  return result;
}

/// Recognizes "name for a toothpaste company", "name my shop", "names for a company that makes
/// kites", and not "the name of the company".
std::optional<phrase> wanted_name(std::string_view prompt) {
  auto words = words_of(prompt);
  std::optional<phrase> result;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (!is_one_of(words[i].text, {"name", "names"}) || words[i].ends_phrase ||
        !is_one_of(words[i + 1].text, {"for", "a", "an", "my", "our", "this", "ideas"}))
      continue;
    for (auto j = i + 1; j < words.size() && j < i + 10; ++j) {
      if (is_business(words[j].text)) {
        result = product_of(words, j);
        break;
      }
      if (words[j].ends_phrase)
        break;
    }
  }
  return result;
}

// -- the name -----------------------------------------------------------------

std::uint64_t hash(std::string_view text, std::uint64_t seed) {
  std::uint64_t value = 14695981039346656037U ^ (seed * 0x9E3779B97F4A7C15U);
  for (char c : text)
    value = (value ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return value ^ (value >> 29U);
}

template <class Groups>
std::string_view words_for(const Groups& groups, const phrase& about, std::string_view otherwise) {
  for (auto text = about.rbegin(); text != about.rend(); ++text)
    for (const auto& group : groups)
      if (contains_word(group.triggers, *text))
        return group.words;
  return otherwise;
}

/// Second halves for a product that the vocabulary does not know.
std::string words_from(const std::string& product) {
  constexpr std::size_t longest_stem = 8;
  constexpr std::size_t longest_word = 14;
  if (product.size() > longest_word)
    return std::string(plain_product);
  auto stem = capitalized(singular(product));
  if (stem.size() > longest_stem)
    return stem + " " + std::string(plain_product);
  auto words = stem;
  for (auto ending : {"works", "craft", "smith", "folk", "house"})
    words += " " + stem + ending;
  return words;
}

constexpr std::size_t patterns = 6;

std::string compose(std::size_t pattern, std::string_view first, std::string_view second) {
  auto join = [](std::initializer_list<std::string_view> parts) {
    std::string text;
    for (auto part : parts)
      text += part;
    return text;
  };
  switch (pattern) {
  case 0:
    return join({first, " & ", second});
  case 1:
    return join({first, second});
  case 2:
    return join({"The ", first, " ", second, " Company"});
  case 3:
    return join({first, " ", second, " Co."});
  case 4:
    return join({first, " ", second});
  default:
    return join({second, " & ", first});
  }
}

} // namespace

std::optional<std::string> brand_name(
    std::string_view prompt, std::uint64_t seed, std::uint64_t count) {
  // A question stands at the end of its prompt, after whatever documents or examples.
  constexpr std::size_t longest_question = 1024;
  auto question = prompt.substr(prompt.size() - std::min(prompt.size(), longest_question));
  auto about = wanted_name(question);
  if (!about)
    return {};
  auto firsts = words_for(moods, *about, plain_mood);
  auto seconds = std::string(words_for(products, *about, {}));
  if (seconds.empty())
    seconds = about->empty() ? std::string(plain_product) : words_from(about->back());
  // Steps through all combinations, each once, in an order that changes every part at each step.
  auto first_count = count_words(firsts);
  auto second_count = count_words(seconds);
  auto total = first_count * second_count * patterns;
  auto step = static_cast<std::size_t>(static_cast<double>(total) * 0.6180339887);
  while (std::gcd(step, total) != 1)
    ++step;
  auto at =
      static_cast<std::size_t>((hash(question, seed) % total + (count % total) * step) % total);
  return compose(at % patterns, nth_word(firsts, at / patterns % first_count),
      nth_word(seconds, at / patterns / first_count));
}

} // namespace chainmail::simulator

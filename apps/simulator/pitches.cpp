// Sentences that a brand name and a product are put into.

#include "pitches.hpp"

#include "names.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>

namespace chainmail::simulator {

namespace {

/// NAME and PRODUCT stand for what they say.
constexpr std::array<std::string_view, 7> texts{
    "NAME makes PRODUCT for people who thought that they had enough PRODUCT. They had not.",
    "At NAME we look at PRODUCT every morning and ask what could be better. By noon we know.",
    "Nobody wakes up wanting PRODUCT. NAME changes that, one customer at a time, and has the "
    "letters to prove it.",
    "Two friends, one garage, and a lot of PRODUCT: that was NAME ten years ago. The garage is "
    "bigger now.",
    "Ask anyone about PRODUCT, and sooner or later they say NAME. Ask us, and we say it at once.",
    "PRODUCT, made slowly, sold honestly and used every day: that is NAME. Try it once, and tell "
    "your neighbours.",
    "Some companies have a mission statement. NAME has PRODUCT, and has never needed the other."};

/// What follows "makes" and the like, up to the end of its sentence.
std::optional<std::string_view> product_of(std::string_view prompt, std::string_view lower) {
  for (std::string_view verb : {" that makes ", " making ", " that sells ", " selling "}) {
    auto at = lower.rfind(verb);
    if (at == npos)
      continue;
    auto rest = prompt.substr(at + verb.size());
    auto product = trim(rest.substr(0, rest.find_first_of(".,;:?!\n")));
    if (!product.empty() && product.size() <= 80)
      return product;
  }
  return {};
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

} // namespace

std::optional<std::string> pitch(std::string_view prompt, std::uint64_t seed, std::uint64_t count) {
  constexpr std::size_t longest_question = 1024;
  auto question = prompt.substr(prompt.size() - std::min(prompt.size(), longest_question));
  auto lower = lower_case(question);
  bool is_wanted = lower.find("pitch") != npos || lower.find("slogan") != npos;
  auto product = is_wanted ? product_of(question, lower) : std::nullopt;
  if (!product)
    return {};
  auto about = "What is a good name for a company that makes " + std::string(*product) + "?";
  auto name = brand_name(about, seed, count);
  std::string text(texts[(seed + count) % texts.size()]);
  replace_all(text, "NAME", name ? *name : "Our company");
  replace_all(text, "PRODUCT", *product);
  if (text.front() >= 'a' && text.front() <= 'z')
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  return text;
}

} // namespace chainmail::simulator

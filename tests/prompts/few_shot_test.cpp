#include <chainmail/errors.hpp>
#include <chainmail/prompts/few_shot.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

namespace few_shot_test {

using namespace chainmail;
using namespace std::literals;

namespace {

std::vector<values> antonyms() {
  return {{{"word", "happy"}, {"antonym", "sad"}}, {{"word", "tall"}, {"antonym", "short"}}};
}

few_shot_options antonym_options() {
  return {antonyms(), nullptr, "{word} -> {antonym}", "Give the antonym.", "{input} ->", "\n"};
}

} // namespace

TEST_CASE("a few-shot prompt is prefix, examples and suffix") {
  auto prompt = make_few_shot_prompt(antonym_options());
  REQUIRE(prompt);
  CHECK(prompt->input_variables() == std::vector{"input"s});
  CHECK(prompt->format({{"input", "big"}}) ==
        "Give the antonym.\nhappy -> sad\ntall -> short\nbig ->"s);
}

TEST_CASE("a few-shot prompt leaves out what is empty, and parts with a blank line by default") {
  few_shot_options options;
  options.examples = antonyms();
  options.example_prompt = "{word} -> {antonym}";
  CHECK(make_few_shot_prompt(options)->format({}) == "happy -> sad\n\ntall -> short"s);
  options.prefix = "Give the antonym.";
  CHECK(make_few_shot_prompt(options)->format({}) ==
        "Give the antonym.\n\nhappy -> sad\n\ntall -> short"s);
  options.prefix.clear();
  options.suffix = "{input} ->";
  CHECK(make_few_shot_prompt(options)->format({{"input", "big"}}) ==
        "happy -> sad\n\ntall -> short\n\nbig ->"s);
}

TEST_CASE("a few-shot prompt is as strict as any: missing and extra inputs are errors") {
  auto prompt = make_few_shot_prompt(antonym_options());
  REQUIRE(prompt);
  CHECK(prompt->format({}).error() == errc::missing_input);
  CHECK(prompt->format({{"input", "x"}, {"word", "y"}}).error() == errc::unexpected_input);
}

TEST_CASE("braces in examples are text, not variables") {
  auto options = antonym_options();
  options.examples = {{{"word", "{input}"}, {"antonym", "{{x}}"}}};
  auto prompt = make_few_shot_prompt(options);
  REQUIRE(prompt);
  CHECK(prompt->format({{"input", "big"}}) == "Give the antonym.\n{input} -> {{x}}\nbig ->"s);
}

TEST_CASE("exactly one source of examples is taken") {
  auto both = antonym_options();
  both.selector = [](const values&) -> caf::expected<std::vector<values>> { return antonyms(); };
  CHECK(make_few_shot_prompt(both).error() == errc::invalid_input);
  auto neither = antonym_options();
  neither.examples.clear();
  CHECK(make_few_shot_prompt(neither).error() == errc::invalid_input);
}

TEST_CASE("an example that does not fit its template is found when the prompt is made") {
  auto options = antonym_options();
  options.examples.push_back({{"word", "x"}});
  CHECK(make_few_shot_prompt(options).error() == errc::missing_input);
  options = antonym_options();
  options.examples.push_back({{"word", "x"}, {"antonym", "y"}, {"extra", "z"}});
  CHECK(make_few_shot_prompt(options).error() == errc::unexpected_input);
}

TEST_CASE("a selector sees the inputs, and its choice may be empty") {
  auto options = antonym_options();
  options.examples.clear();
  options.selector = [](const values& inputs) -> caf::expected<std::vector<values>> {
    if (*find_text(inputs, "input") == "none")
      return std::vector<values>{};
    return std::vector<values>{antonyms()[1]};
  };
  auto prompt = make_few_shot_prompt(options);
  REQUIRE(prompt);
  CHECK(prompt->format({{"input", "big"}}) == "Give the antonym.\ntall -> short\nbig ->"s);
  CHECK(prompt->format({{"input", "none"}}) == "Give the antonym.\nnone ->"s);
}

TEST_CASE("words are the pieces between spaces and newlines") {
  CHECK(count_words("one") == 1);
  CHECK(count_words("one two\nthree") == 3);
  CHECK(count_words("a  b") == 3);
  CHECK(count_words("") == 1);
}

TEST_CASE("the length selector takes examples in order until one does not fit") {
  std::vector<values> examples{{{"t", "a b c"}}, {{"t", "d e f g"}}, {{"t", "h"}}};
  auto choose = [&](size_t max, const values& inputs) {
    auto selector = make_length_selector(examples, "{t}", max);
    REQUIRE(selector);
    return (*selector)(inputs)->size();
  };
  values one_word{{"input", "x"}};
  CHECK(choose(3, one_word) == 0);
  CHECK(choose(4, one_word) == 1);
  CHECK(choose(7, one_word) == 1); // the third would fit, but the second does not
  CHECK(choose(8, one_word) == 2);
  CHECK(choose(9, one_word) == 3);
  CHECK(choose(9, {{"input", "x y"}}) == 2);
}

TEST_CASE("the length selector fills 2048 words unless told otherwise") {
  std::vector<values> examples(3000, values{{"t", "word"}});
  auto selector = make_length_selector(examples, "{t}");
  REQUIRE(selector);
  CHECK((*selector)({{"input", "x"}})->size() == 2047);
}

} // namespace few_shot_test

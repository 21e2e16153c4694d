#include <chainmail/errors.hpp>
#include <chainmail/prompts/output_parsers.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

namespace output_parsers_test {

using namespace chainmail;
using namespace std::literals;

namespace {

constexpr auto rank_pattern = "(.*?)\nScore: (.*)";

regex_parser rank_parser(std::string_view default_key = {}) {
  auto parser = regex_parser::make(rank_pattern, {"answer", "score"}, default_key);
  REQUIRE(parser);
  return *parser;
}

std::string refusal(
    std::string_view pattern, std::vector<std::string> keys, std::string_view by = {}) {
  auto parser = regex_parser::make(pattern, std::move(keys), by);
  REQUIRE_FALSE(parser);
  CHECK(parser.error() == errc::invalid_input);
  return sentence_of(parser.error());
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("groups become values in the order of the keys") {
  CHECK(rank_parser().keys() == std::vector{"answer"s, "score"s});
  CHECK(
      rank_parser().parse("in 1066\nScore: 90") == values{{"answer", "in 1066"}, {"score", "90"}});
}

TEST_CASE("the pattern is searched for anywhere, and the first match counts") {
  CHECK(rank_parser().parse("Well:\nyes\nScore: 90\nno\nScore: 10\n") ==
        values{{"answer", "yes"}, {"score", "90"}});
  auto number = regex_parser::make("(\\d+)", {"n"});
  REQUIRE(number);
  CHECK(number->parse("about 12 or 13") == values{{"n", "12"}});
}

TEST_CASE("a group that took no part is empty") {
  auto parser = regex_parser::make("(a)|(b)", {"first", "second"});
  REQUIRE(parser);
  CHECK(parser->parse("b") == values{{"first", ""}, {"second", "b"}});
}

TEST_CASE("a text without a match is malformed, and its start is quoted on one line") {
  auto missing = rank_parser().parse("no\x1b[31m\nscore" + std::string(5000, 'x'));
  REQUIRE_FALSE(missing);
  CHECK(missing.error() == errc::malformed_response);
  auto sentence = sentence_of(missing.error());
  CHECK(contains(sentence, "no [31m score"));
  CHECK(sentence.size() < 400);
  CHECK(sentence.find_first_of("\n\x1b") == std::string::npos);
}

TEST_CASE("with a default key, a text without a match goes there whole") {
  CHECK(rank_parser("answer").parse(" I do not\nknow \xff") ==
        values{{"answer", " I do not\nknow \xff"}, {"score", ""}});
  CHECK(rank_parser("answer").parse("x\nScore: 1") == values{{"answer", "x"}, {"score", "1"}});
}

TEST_CASE("a pattern that can never work is refused with the reason") {
  CHECK(contains(refusal("(a", {"x"}), "missing )"));
  CHECK(contains(refusal("(?=a)(b)", {"x"}), "(?="));
  CHECK(contains(refusal("(a)(b)", {"x"}), "2 groups for 1 key"));
  CHECK(contains(refusal("a(?:b)", {"x"}), "0 groups for 1 key"));
  CHECK(contains(refusal("(a)(b)", {"x", "x"}), "'x'"));
  CHECK(contains(refusal("(a)", {""}), "empty"));
  CHECK(contains(refusal("(a)", {"x"}, "y"), "'y'"));
  CHECK(contains(refusal("(\xff)", {"x"}), "UTF-8"));
  CHECK(refusal(std::string(100'000, '('), {"x"}).size() < 400);
}

TEST_CASE("text that is not UTF-8 is matched without losing any of it") {
  CHECK(rank_parser().parse("caf\xe9 Nero\nScore: 90\xff") ==
        values{{"answer", "caf\xe9 Nero"}, {"score", "90\xff"}});
}

TEST_CASE("a dot matches a whole code point where the text is UTF-8") {
  auto parser = regex_parser::make("^(.)(.)$", {"first", "second"});
  REQUIRE(parser);
  CHECK(parser->parse("\u6f22\U0001F600") == values{{"first", "\u6f22"}, {"second", "\U0001F600"}});
}

TEST_CASE("a pattern that makes others explode takes linear time and no deep stack") {
  auto parser = regex_parser::make("((?:a|aa|a*)*)b", {"x"}, "x");
  REQUIRE(parser);
  std::string text(1'000'000, 'a');
  CHECK(parser->parse(text) == values{{"x", text}});
}

TEST_CASE("a list is split at commas, and its items are trimmed") {
  CHECK(parse_comma_list("red, green ,\n blue") == std::vector{"red"s, "green"s, "blue"s});
  CHECK(parse_comma_list("one") == std::vector{"one"s});
  CHECK(parse_comma_list("a,,b, ") == std::vector{"a"s, ""s, "b"s, ""s});
  CHECK(parse_comma_list("\xff ,\u3000x y\u3000") == std::vector{"\xff"s, "x y"s});
  CHECK(parse_comma_list(" \n ").empty());
  CHECK(parse_comma_list("").empty());
}

} // namespace output_parsers_test

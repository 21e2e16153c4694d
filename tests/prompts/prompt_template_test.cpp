#include <chainmail/errors.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>

namespace prompt_template_test {

using namespace chainmail;
using namespace std::literals;

namespace {

std::string format(const char* text, const values& inputs) {
  auto result = prompt_template{text}.format(inputs);
  return result ? *result : describe(result.error());
}

errc parse_error(std::string_view text) {
  auto result = prompt_template::parse(text);
  return result ? errc::none : code_of(result.error());
}

} // namespace

TEST_CASE("variables are replaced, and doubled braces are braces") {
  CHECK(format("a {x} b {y}{x}", {{"x", "1"}, {"y", 2}}) == "a 1 b 21");
  CHECK(format("{{x}} {{{x}}}", {{"x", "v"}}) == "{x} {v}");
  CHECK(format("", {}).empty());
  CHECK(format("plain", {}) == "plain");
}

TEST_CASE("numbers and flags can stand in a prompt, lists cannot") {
  CHECK(format("{a} {b} {c}", {{"a", 3}, {"b", 0.25}, {"c", true}}) == "3 0.25 true");
  auto list = prompt_template{"{a}"}.format({{"a", std::vector<std::string>{"x"}}});
  CHECK(list.error() == errc::invalid_input);
  CHECK(sentence_of(list.error()).find("'a'") != std::string::npos);
}

TEST_CASE("values are never expanded again") {
  CHECK(format("{a}", {{"a", "{b} {{c}} {"}}) == "{b} {{c}} {");
}

TEST_CASE("variables are sorted and unique") {
  CHECK(prompt_template{"{b} {a} {b} {_c1}"}.input_variables() == std::vector{"_c1"s, "a"s, "b"s});
}

TEST_CASE("a strict format refuses missing and extra inputs, and names them") {
  prompt_template tpl{"{a} {b}"};
  auto missing = tpl.format({{"a", "1"}});
  CHECK(missing.error() == errc::missing_input);
  CHECK(sentence_of(missing.error()).find("'b'") != std::string::npos);
  CHECK(sentence_of(tpl.format({}).error()) ==
        "the prompt needs the inputs 'a', 'b'; the inputs are none");
  auto extra = tpl.format({{"a", "1"}, {"b", "2"}, {"zz", "3"}});
  CHECK(extra.error() == errc::unexpected_input);
  CHECK(sentence_of(extra.error()).find("'zz'") != std::string::npos);
}

TEST_CASE("picking variables tolerates extra inputs, not missing ones") {
  prompt_template tpl{"{a}"};
  CHECK(tpl.format_from({{"a", "1"}, {"zz", "3"}}) == "1"s);
  CHECK(tpl.format_from({{"zz", "3"}}).error() == errc::missing_input);
}

TEST_CASE("what is no variable is refused with its position") {
  for (auto* text : {"{}", "{0}", "{a b}", "{a.b}", "{a[0]}", "{a!r}", "{a:>10}", "{ a}", "{ü}",
           "{a", "a}", "{", "}", "{{}", "{a{b}}"})
    CHECK(parse_error(text) == errc::invalid_input);
  auto error = prompt_template::parse("name {} x").error();
  CHECK(sentence_of(error).find("character 6") != std::string::npos);
}

TEST_CASE("a variable named stop is reserved") {
  CHECK(parse_error("{stop}") == errc::invalid_input);
  CHECK(parse_error("{stops}") == errc::none);
}

TEST_CASE("constructing a template from malformed text throws the parse error's sentence") {
  CHECK_THROWS_AS(prompt_template{"{"}, std::invalid_argument);
  try {
    prompt_template{"{"};
  } catch (const std::invalid_argument& error) {
    CHECK(std::string{error.what()} == sentence_of(prompt_template::parse("{").error()));
  }
}

TEST_CASE("declared variables must be those that the template uses") {
  CHECK(prompt_template::parse("{a} {b}", {"b", "a", "a"}));
  CHECK(prompt_template::parse("{a} {b}", {"a"}).error() == errc::invalid_input);
  CHECK(prompt_template::parse("{a}", {"a", "b"}).error() == errc::invalid_input);
}

TEST_CASE("a partial fills its variable, and an input of that name wins") {
  auto tpl = prompt_template{"{who} says {what}"}.with_partial("who", "Ann");
  REQUIRE(tpl);
  CHECK(tpl->input_variables() == std::vector{"what"s});
  CHECK(tpl->format({{"what", "hi"}}) == "Ann says hi"s);
  CHECK(tpl->format({{"what", "hi"}, {"who", "Bob"}}) == "Bob says hi"s);
}

TEST_CASE("a partial may be a function, called at each format") {
  auto calls = 0;
  auto tpl = prompt_template{"{n}"}.with_partial("n", [&calls] { return std::to_string(++calls); });
  REQUIRE(tpl);
  CHECK(tpl->format({}) == "1"s);
  CHECK(tpl->format({}) == "2"s);
}

TEST_CASE("an input wins over a function, which is then not called") {
  auto tpl = prompt_template{"{n}"}.with_partial(
      "n", []() -> std::string { throw std::runtime_error{"not wanted"}; });
  REQUIRE(tpl);
  CHECK(tpl->format({{"n", "given"}}) == "given"s);
}

TEST_CASE("a partial can be replaced by another") {
  auto tpl = prompt_template{"{a}{b}"}.with_partial("a", "1")->with_partial("a", "2");
  REQUIRE(tpl);
  CHECK(tpl->input_variables() == std::vector{"b"s});
  CHECK(tpl->format({{"b", "x"}}) == "2x"s);
}

TEST_CASE("jinja2 is no format of templates: its blocks are refused, its variables are text") {
  CHECK(parse_error("{% if x %}y{% endif %}") == errc::invalid_input);
  CHECK(format("{{ name }}", {}) == "{ name }");
}

TEST_CASE("a partial's text is not expanded, and one without a variable is refused") {
  CHECK(prompt_template{"{a}"}.with_partial("a", "{b}")->format({}) == "{b}"s);
  CHECK(prompt_template{"{a}"}.with_partial("b", "x").error() == errc::unexpected_input);
}

TEST_CASE("a partial that throws is an error of the call, not of the actor") {
  auto tpl = prompt_template{"{a}"}.with_partial(
      "a", []() -> std::string { throw std::runtime_error{"no clock"}; });
  REQUIRE(tpl);
  auto text = tpl->format({});
  CHECK(text.error() == errc::invalid_input);
  CHECK(sentence_of(text.error()).find("no clock") != std::string::npos);
}

TEST_CASE("a folder is no template file, and an empty file is an empty template") {
  auto folder = std::filesystem::temp_directory_path();
  CHECK(prompt_template::from_file(folder).error() == errc::invalid_input);
  auto path = folder / "chainmail-empty-template-test.txt";
  std::ofstream{path}.flush();
  auto tpl = prompt_template::from_file(path);
  std::filesystem::remove(path);
  REQUIRE(tpl);
  CHECK(tpl->format({}) == ""s);
}

TEST_CASE("a template is read from a file, or the file is named") {
  auto path = std::filesystem::temp_directory_path() / "chainmail-template-test.txt";
  std::ofstream{path} << "Hello {name}\n";
  auto tpl = prompt_template::from_file(path);
  std::filesystem::remove(path);
  REQUIRE(tpl);
  CHECK(tpl->format({{"name", "x"}}) == "Hello x\n"s);
  auto missing = prompt_template::from_file(path);
  CHECK(missing.error() == errc::invalid_input);
  CHECK(sentence_of(missing.error()).find(path.string()) != std::string::npos);
}

TEST_CASE("examples are joined verbatim between prefix and suffix") {
  auto tpl = prompt_template::from_examples({"{one}", "two"}, "Q: {q}", "As {who}:");
  REQUIRE(tpl);
  CHECK(tpl->input_variables() == std::vector{"q"s, "who"s});
  CHECK(tpl->format({{"q", "x"}, {"who", "me"}}) == "As me:\n\n{one}\n\ntwo\n\nQ: x"s);
  CHECK(prompt_template::from_examples({"a"}, "s", "", "|")->format({}) == "a|s"s);
  CHECK(prompt_template::from_examples({"a"}, "", "p", "|")->format({}) == "p|a"s);
  CHECK(prompt_template::from_examples({}, "s", "p", "|")->format({}) == "p|s"s);
  CHECK(prompt_template::from_examples({"a", "b"}, "", "", "|")->format({}) == "a|b"s);
}

} // namespace prompt_template_test

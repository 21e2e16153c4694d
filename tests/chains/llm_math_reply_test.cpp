#include <chainmail/chains/llm_math_reply.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

namespace llm_math_reply_test {

using namespace chainmail;
using namespace std::literals;

namespace {

std::string read(std::string_view reply) {
  auto result = read_math_reply(reply);
  return result ? *result : describe(result.error());
}

} // namespace

TEST_CASE("an expression in a fenced block is evaluated") {
  for (auto* reply : {"```text\n37593 * 67\n```", "```python\n37593 * 67\n```",
           "```\n37593 * 67\n```", "```expression\n37593 * 67\n```", "```expression 37593 * 67```",
           "```37593 * 67```", "``` 37593 * 67 ```", "```text\r\n37593 * 67\r\n```\r\n",
           "\n\n```text\n37593 * 67\n", "```text\n37593 * 67", "````text\n37593 * 67\n````",
           "I multiply.\n```text\n37593 * 67\n```\nAnswer: 1\n",
           "```text\n37593 * 67\n```\n```text\n1\n```"})
    CHECK(read(reply) == "Answer: 2518731");
  CHECK(read("```text\n37593**(1/5)\n```") == "Answer: 8.222831614237718");
  CHECK(read("```sqrt(16)```") == "Answer: 4");
}

TEST_CASE("an answer passes through") {
  CHECK(read("Answer: 42") == "Answer: 42");
  CHECK(read("\n Answer:  about 3 km \n") == "Answer:  about 3 km");
  CHECK(read("Answer: see ```1 + 1```") == "Answer: see ```1 + 1```");
  CHECK(read("That is easy.\nAnswer: 42\n") == "Answer: 42");
  CHECK(read("The form is Answer: x, so\nAnswer: 42") == "Answer: 42");
}

TEST_CASE("another reply is refused with an excerpt") {
  CHECK(
      read("I cannot do that.") ==
      "malformed_response: unknown format from LLM: 'I cannot do that.' has neither a fenced block "
      "nor \"Answer:\"");
  for (const auto& reply : {""s, "  "s, "42"s, "answer: 42"s, "`1 + 1`"s, "Answer 42"s, "Answer:"s,
           "Well.\nAnswer: \n"s, std::string(1000000, 'x'), std::string(1000000, '\0'),
           "\xFF\x1B[31m\nrm -rf"s, std::string(999999, '\xC3')}) {
    auto result = read_math_reply(reply);
    REQUIRE(!result);
    CHECK(result.error() == errc::malformed_response);
    auto sentence = sentence_of(result.error());
    INFO(sentence);
    CHECK(sentence.size() < 300);
    CHECK(one_line(sentence, sentence.size()) == sentence);
  }
}

TEST_CASE("an expression that fails is refused with the evaluator's sentence") {
  CHECK(read("```text\n1 / 0\n```") == "malformed_response: the LLM's arithmetic fails: the "
                                       "expression divides by zero at character 1: '1 / 0'");
  for (const auto& reply : {"```"s, "``````"s, "```text\n```"s, "```python\nprint(3 * 4)\n```"s,
           "```python\nx = 3 * 4\n```"s, "```python\nimport os\nos.system('x')\n```"s,
           "```text\n1 + 1\n2 + 2\n```"s, "```text\n2**53 + 1\n```"s, "```\nAnswer: 42\n```"s,
           "```" + std::string(1000000, '1'), std::string(1000000, '`')}) {
    auto result = read_math_reply(reply);
    REQUIRE(!result);
    CHECK(result.error() == errc::malformed_response);
    auto sentence = sentence_of(result.error());
    INFO(sentence);
    CHECK(sentence.find("the expression ") != std::string::npos);
    CHECK(sentence.size() < 300);
  }
}

} // namespace llm_math_reply_test

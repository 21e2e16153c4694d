#include "support/chain_fixture.hpp"
#include "support/refusal.hpp"

#include <chainmail/chains/llm_math_chain.hpp>

#include <catch2/catch_test_macros.hpp>

namespace llm_math_chain_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture : chain_fixture {
  chain_actor chain = spawn_llm_math_chain(time.system, llm);

  /// What the chain makes of this reply.
  test::reply<values> run_with(const std::string& text) {
    reply = [text](const std::string&) { return scripted_reply{text, {}, {}}; };
    return run(chain, {{"question", "What is 6 times 7?"}});
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a math chain takes a question and answers with a value it worked out") {
  CHECK(run_with("```expression\n6 * 7\n```\n").result == values{{"answer", "Answer: 42"}});
  auto wiring = description_of(chain);
  CHECK(wiring.input_keys == std::vector{"question"s});
  CHECK(wiring.output_keys == std::vector{"answer"s});
}

TEST_CASE_METHOD(fixture, "a math prompt shows worked examples, and stops before the output") {
  run_with("Answer: 42");
  REQUIRE(prompts.size() == 1);
  CHECK(prompts[0].ends_with("\n\nQuestion: What is 6 times 7?\n"));
  CHECK(prompts[0].find("\n```expression\n12 * 34 - 5\n```\n```output\n403\n```\nAnswer: 403\n") !=
        std::string::npos);
  CHECK(requests[0].stop == std::vector{"```output"s});
}

TEST_CASE_METHOD(fixture, "a reply that is an answer passes through") {
  CHECK(text_of(run_with("Answer: 42"), "answer") == "Answer: 42");
}

TEST_CASE_METHOD(fixture, "a reply that is neither an expression nor an answer is malformed") {
  auto got = run_with("Forty-two, I think.");
  CHECK(got.error == errc::malformed_response);
  CHECK(sentence_of(got.error).find("unknown format from LLM") != std::string::npos);
  CHECK(run_with("").error == errc::malformed_response);
}

TEST_CASE_METHOD(fixture, "an expression that is no arithmetic is refused, not run") {
  CHECK(run_with("```python\n__import__('os').system('true')\n```").error ==
        errc::malformed_response);
}

TEST_CASE_METHOD(fixture, "an error of the model ends a math call") {
  reply = [](const std::string&) {
    return scripted_reply{{}, make_failure(errc::rate_limited, "slow down"), {}};
  };
  CHECK(run(chain, {{"question", "x"}}).error == errc::rate_limited);
  CHECK(run(chain, {{"question", std::vector<std::string>{}}}).error == errc::invalid_input);
}

TEST_CASE("a math chain without an LLM is refused") {
  virtual_time time;
  CHECK(refusal_of([&] { spawn_llm_math_chain(time.system, {}); }) ==
        "an LLM math chain needs a valid LLM actor");
}

} // namespace llm_math_chain_test

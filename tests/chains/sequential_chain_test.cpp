#include "support/chain_fixture.hpp"
#include "support/refusal.hpp"
#include "support/scripted_chain.hpp"

#include <chainmail/chains/sequential_chain.hpp>
#include <chainmail/chains/simple_sequential_chain.hpp>

#include <catch2/catch_test_macros.hpp>

namespace sequential_chain_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture : chain_fixture {
  /// A chain that needs these inputs and answers this.
  chain_actor makes(std::vector<std::string> inputs, values outputs) {
    return spawn_constant_chain(time.system, std::move(inputs), std::move(outputs));
  }

  std::string refusal(std::vector<chain_actor> chains, const sequential_options& options = {}) {
    return refusal_of([&] { spawn_sequential_chain(time.system, std::move(chains), options); });
  }

  std::string simple_refusal(std::vector<chain_actor> chains) {
    return refusal_of([&] { spawn_simple_sequential_chain(time.system, std::move(chains)); });
  }

  scripted_reply fails = {{}, make_failure(errc::rate_limited, "slow down"), {}};
};

} // namespace

// -- sequential -------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a sequential chain gives each chain all that is known by then") {
  auto chain = spawn_sequential_chain(
      time.system, {asks("title of {topic}", "title"), asks("plot of {title}", "plot"),
                       asks("{topic} | {title} | {plot}", "review")});
  CHECK(run(chain, {{"topic", "owls"}}).result ==
        values{{"review", "re: owls | re: title of owls | re: plot of re: title of owls"}});
  CHECK(prompts.size() == 3);
}

TEST_CASE_METHOD(fixture, "a sequential chain takes what is needed and gives what the last gives") {
  auto chain = spawn_sequential_chain(
      time.system, {makes({"b", "a"}, {{"x", 1}}), makes({"x", "c"}, {{"z", 2}, {"y", 3}})});
  auto wiring = description_of(chain);
  CHECK(wiring.input_keys == std::vector{"a"s, "b"s, "c"s});
  CHECK(wiring.output_keys == std::vector{"y"s, "z"s});
  CHECK(run(chain, {{"a", 1}, {"b", 1}, {"c", 1}}).result == values{{"y", 3}, {"z", 2}});
}

TEST_CASE_METHOD(fixture, "a sequential chain gives the chosen outputs, of any chain and inputs") {
  auto chain = spawn_sequential_chain(
      time.system, {makes({"a"}, {{"x", 1}}), makes({"x"}, {{"y", 2}})}, {{}, {"x", "a"}});
  CHECK(run(chain, {{"a", "in"}}).result == values{{"a", "in"}, {"x", 1}});
  CHECK(description_of(chain).output_keys == std::vector{"a"s, "x"s});
}

TEST_CASE_METHOD(
    fixture, "an input of a sequential chain that is missing is named, and none is run") {
  auto chain = spawn_sequential_chain(time.system, {asks("{a}")}, {{"a", "unused"}, {}});
  auto got = run(chain, {});
  CHECK(got.error == errc::missing_input);
  CHECK(sentence_of(got.error) == "the chain needs the inputs 'a', 'unused'");
  CHECK(prompts.empty());
}

TEST_CASE_METHOD(fixture, "further inputs flow through a sequential chain: stop sequences") {
  auto chain = spawn_sequential_chain(time.system, {asks("{a}", "b"), asks("{b}")});
  run(chain, {{"a", "x"}, {"stop", "\n"}});
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].stop == std::vector{"\n"s});
}

TEST_CASE_METHOD(fixture, "a chain in a sequence whose input nobody gives is refused by position") {
  CHECK(refusal({makes({"a"}, {{"x", 1}}), makes({"q"}, {{"y", 1}})}, {{"a"}, {}}) ==
        "chain 2 of the sequence needs 'q', which is neither an input of the whole nor an output "
        "of a chain before it");
}

TEST_CASE_METHOD(fixture, "an output that only a later chain gives is not known before it") {
  CHECK(refusal({makes({"y"}, {{"x", 1}}), makes({"x"}, {{"y", 1}})}, {{"a"}, {}})
            .starts_with("chain 1 of the sequence needs 'y'"));
  // Without declared inputs, 'y' becomes one, and then chain 2 repeats it.
  CHECK(refusal({makes({"y"}, {{"x", 1}}), makes({"x"}, {{"y", 1}})})
            .starts_with("chain 2 of the sequence gives 'y'"));
}

TEST_CASE_METHOD(fixture, "a chain in a sequence that repeats an output or an input is refused") {
  auto sentence = "chain 2 of the sequence gives 'x', which is already an input of the whole or an "
                  "output of a chain before it";
  CHECK(refusal({makes({}, {{"x", 1}}), makes({}, {{"x", 2}})}) == sentence);
  CHECK(refusal({makes({}, {{"y", 1}}), makes({}, {{"x", 2}})}, {{"x"}, {}}) == sentence);
}

TEST_CASE_METHOD(fixture, "an output of a sequence that none of its chains gives is refused") {
  CHECK(refusal({makes({"a"}, {{"x", 1}})}, {{}, {"x", "z"}}) ==
        "the sequential chain is to give 'z', but none of its chains gives that");
}

TEST_CASE_METHOD(fixture, "a sequence of nothing, or with an invalid handle, is refused") {
  CHECK(refusal({}) == "a sequential chain needs at least one chain");
  CHECK(refusal({makes({}, {{"x", 1}}), chain_actor{}}) ==
        "chain 2 of the sequence needs a valid chain handle");
}

TEST_CASE_METHOD(fixture, "the first error ends a sequence, and no further chain is run") {
  auto chain =
      spawn_sequential_chain(time.system, {asks("{a}", "b"), asks("second {b}", "c"), asks("{c}")});
  reply = [this](const std::string& prompt) {
    return prompt.starts_with("second") ? fails : scripted_reply{prompt, {}, {}};
  };
  CHECK(run(chain, {{"a", "x"}}).error == errc::rate_limited);
  CHECK(prompts.size() == 2);
}

TEST_CASE_METHOD(fixture, "a chain that answers without its declared output is malformed") {
  auto liar = spawn_scripted_chain(time.system, {}, {"x"}, [](const job_ptr& job) {
    job->answer({{"y", 1}});
  });
  auto got = run(spawn_sequential_chain(time.system, {liar}), {});
  CHECK(got.error == errc::malformed_response);
  CHECK(sentence_of(got.error).starts_with("chain 1 of the sequence"));
}

TEST_CASE_METHOD(fixture, "what a chain answers beyond its outputs goes no further") {
  auto talkative = spawn_scripted_chain(time.system, {"a"}, {"x"}, [](const job_ptr& job) {
    job->answer({{"x", 1}, {"a", "changed"}});
  });
  auto chain = spawn_sequential_chain(time.system, {talkative}, {{}, {"a", "x"}});
  CHECK(run(chain, {{"a", "as it was"}}).result == values{{"a", "as it was"}, {"x", 1}});
}

TEST_CASE_METHOD(fixture, "sequences nest") {
  auto inner = spawn_sequential_chain(time.system, {asks("1 {a}", "b"), asks("2 {b}", "c")});
  auto outer = spawn_sequential_chain(time.system, {inner, asks("3 {c}", "d")});
  CHECK(text_of(run(outer, {{"a", "x"}}), "d") == "re: 3 re: 2 re: 1 x");
}

// -- simple sequential ------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a simple sequence hands one value on, whatever its chains call it") {
  auto chain = spawn_simple_sequential_chain(
      time.system, {asks("title of {topic}", "title"), asks("review of {play}", "review")});
  auto wiring = description_of(chain);
  CHECK(wiring.input_keys == std::vector{"input"s});
  CHECK(wiring.output_keys == std::vector{"output"s});
  CHECK(run(chain, {{"input", "owls"}}).result ==
        values{{"output", "re: review of re: title of owls"}});
}

TEST_CASE_METHOD(fixture, "a simple sequence hands on values that are no text") {
  auto counts = spawn_scripted_chain(time.system, {"list"}, {"count"}, [](const job_ptr& job) {
    auto& items = std::get<std::vector<std::string>>(job->inputs.at("list"));
    job->answer({{"count", static_cast<int64_t>(items.size())}});
  });
  auto chain = spawn_simple_sequential_chain(time.system, {counts});
  CHECK(
      run(chain, {{"input", std::vector<std::string>{"a", "b"}}}).result == values{{"output", 2}});
}

TEST_CASE_METHOD(
    fixture, "a simple sequence refuses chains that have not one input and one output") {
  auto good = makes({"a"}, {{"x", 1}});
  CHECK(simple_refusal({good, makes({"a", "b"}, {{"x", 1}})}) ==
        "chain 2 of the sequence must have exactly one input, but it has 2");
  CHECK(simple_refusal({good, makes({}, {{"x", 1}})}) ==
        "chain 2 of the sequence must have exactly one input, but it has 0");
  CHECK(simple_refusal({makes({"a"}, {{"x", 1}, {"y", 1}}), good}) ==
        "chain 1 of the sequence must have exactly one output, but it has 2");
  CHECK(simple_refusal({}) == "a simple sequential chain needs at least one chain");
}

TEST_CASE_METHOD(fixture, "the first error ends a simple sequence") {
  reply = [this](const std::string&) { return fails; };
  auto chain = spawn_simple_sequential_chain(time.system, {asks("{a}"), asks("{b}")});
  CHECK(run(chain, {{"input", "x"}}).error == errc::rate_limited);
  CHECK(prompts.size() == 1);
}

} // namespace sequential_chain_test

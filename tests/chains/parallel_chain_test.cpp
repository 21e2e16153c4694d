#include "support/chain_fixture.hpp"
#include "support/refusal.hpp"
#include "support/scripted_chain.hpp"
#include "support/stub_llm.hpp"

#include <chainmail/chains/parallel_chain.hpp>

#include <catch2/catch_test_macros.hpp>

namespace parallel_chain_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

TEST_CASE_METHOD(chain_fixture, "branches get the same inputs and go out under their names") {
  auto chain = spawn_parallel_chain(
      time.system, {{"pros", asks("for {topic}")}, {"cons", asks("against {topic} in {year}")}});
  CHECK(run(chain, {{"topic", "owls"}, {"year", 1999}}).result ==
        values{{"pros", "re: for owls"}, {"cons", "re: against owls in 1999"}});
}

TEST_CASE_METHOD(chain_fixture, "a parallel chain needs what any branch needs") {
  auto chain = spawn_parallel_chain(time.system, {{"q", asks("{b}{c}")}, {"p", asks("{a}{b}")}});
  auto wiring = description_of(chain);
  CHECK(wiring.input_keys == std::vector{"a"s, "b"s, "c"s});
  CHECK(wiring.output_keys == std::vector{"p"s, "q"s});
  CHECK(sentence_of(run(chain, {{"b", 1}}).error) == "the chain needs the inputs 'a', 'c'");
  CHECK(prompts.empty());
}

TEST_CASE_METHOD(chain_fixture, "branches run at the same time") {
  reply = [](const std::string& prompt) { return scripted_reply{prompt, {}, 1min}; };
  auto chain = spawn_parallel_chain(time.system, {{"p", asks("a")}, {"q", asks("b")}});
  auto got = start(chain, {});
  time.advance(1min);
  CHECK(got->result == values{{"p", "a"}, {"q", "b"}});
}

TEST_CASE_METHOD(
    chain_fixture, "the first error of a branch ends the call and cancels the others") {
  auto log = std::make_shared<stub_log>();
  auto stub = spawn_stub_llm(time.system, log);
  reply = [](const std::string&) {
    return scripted_reply{{}, make_failure(errc::rate_limited, "slow down"), 1s};
  };
  auto chain = spawn_parallel_chain(
      time.system, {{"p", asks("a")}, {"q", spawn_llm_chain(time.system, stub, "b")}});
  auto got = start(chain, {});
  time.advance(1s);
  CHECK(got->error == errc::rate_limited);
  CHECK(got->answers == 1);
  REQUIRE(log->calls.size() == 1);
  CHECK(log->cancelled == std::vector{log->calls[0].context.id});
  caf::anon_send_exit(stub, caf::exit_reason::kill);
}

TEST_CASE_METHOD(chain_fixture, "a branch must have exactly one output") {
  auto refusal = [&](chain_actor branch) {
    return refusal_of([&] { spawn_parallel_chain(time.system, {{"p", std::move(branch)}}); });
  };
  CHECK(refusal(spawn_constant_chain(time.system, {}, {{"x", 1}, {"y", 1}})) ==
        "the branch 'p' must have exactly one output, but it has 2");
  CHECK(refusal(chain_actor{}) == "the branch 'p' needs a valid chain handle");
  CHECK(refusal_of([&] { spawn_parallel_chain(time.system, {}); }) ==
        "a parallel chain needs at least one branch");
}

} // namespace parallel_chain_test

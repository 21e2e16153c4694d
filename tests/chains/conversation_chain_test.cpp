#include "support/chain_fixture.hpp"
#include "support/refusal.hpp"
#include "support/stub_llm.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/chains/conversation_chain.hpp>
#include <chainmail/memory/memory.hpp>

#include <catch2/catch_test_macros.hpp>

namespace conversation_chain_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture : chain_fixture {
  memory_actor memory = spawn_buffer_memory(time.system);
  chain_actor chain = spawn_conversation_chain(time.system, llm, memory);

  fixture() {
    reply = [](const std::string&) { return scripted_reply{" Hello!\n", {}, {}}; };
  }

  size_t turns_in(const std::string& key) {
    auto found = ask<conversation>(time, memory, load_atom_v, key, time.context());
    time.settle();
    return found->result.value().turns.size();
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a conversation chain takes an input and gives a response") {
  auto got = run(chain, {{"input", "Hi"}});
  CHECK(got.result == values{{"response", "Hello!"}});
  auto wiring = description_of(chain);
  CHECK(wiring.input_keys == std::vector{"input"s});
  CHECK(wiring.output_keys == std::vector{"response"s});
  CHECK(prompts.at(0).ends_with("\n\nCurrent conversation:\n\nHuman: Hi\nAI:"));
  CHECK(requests.at(0).stop == std::vector{"\nHuman:"s});
}

TEST_CASE_METHOD(fixture, "memory is loaded before a call and saved after it") {
  run(chain, {{"input", "Hi"}});
  run(chain, {{"input", "I am {Ada}"}});
  run(chain, {{"input", "Who am I?"}});
  CHECK(prompts.at(2).ends_with("\nCurrent conversation:\nHuman: Hi\nAI: Hello!\n"
                                "Human: I am {Ada}\nAI: Hello!\nHuman: Who am I?\nAI:"));
}

TEST_CASE_METHOD(fixture, "conversations are kept apart by key, and calls without one share") {
  run(chain, {{"input", "a"}, {"conversation", "x"}});
  run(chain, {{"input", "b"}, {"conversation", "y"}});
  run(chain, {{"input", "c"}});
  run(chain, {{"input", "d"}, {"conversation", "x"}});
  CHECK(prompts.at(3).ends_with("conversation:\nHuman: a\nAI: Hello!\nHuman: d\nAI:"));
  CHECK(prompts.at(2).ends_with("conversation:\n\nHuman: c\nAI:"));
  CHECK(turns_in("default") == 1);
  CHECK(run(chain, {{"input", "e"}, {"conversation", 3}}).error == errc::invalid_input);
}

TEST_CASE_METHOD(fixture, "calls of one conversation that overlap do not see each other") {
  reply = [](const std::string&) { return scripted_reply{"Hello!", {}, 1s}; };
  auto first = start(chain, {{"input", "a"}});
  auto second = start(chain, {{"input", "b"}});
  time.advance(1s);
  CHECK(first->result);
  CHECK(second->result);
  for (const auto& prompt : prompts)
    CHECK(prompt.find("AI: Hello!") == std::string::npos);
  CHECK(turns_in("default") == 2);
}

TEST_CASE_METHOD(fixture, "a call that fails saves nothing") {
  reply = [](const std::string&) {
    return scripted_reply{{}, make_failure(errc::rate_limited, "slow down"), {}};
  };
  CHECK(run(chain, {{"input", "a"}}).error == errc::rate_limited);
  CHECK(run(chain, {}).error == errc::missing_input);
  CHECK(run(chain, {{"input", std::vector<std::string>{}}}).error == errc::invalid_input);
  CHECK(turns_in("default") == 0);
}

TEST_CASE_METHOD(fixture, "a call that is cancelled while the model is asked saves nothing") {
  reply = [](const std::string&) { return scripted_reply{"Hello!", {}, 1s}; };
  auto context = time.context();
  auto got = ask<values>(time, chain, call_atom_v, values{{"input", "a"}}, context);
  time.settle();
  REQUIRE(prompts.size() == 1);
  compat::anon_send(chain, cancel_atom_v, context.id);
  time.advance(2s);
  CHECK(got->error == errc::cancelled);
  CHECK(turns_in("default") == 0);
}

TEST_CASE_METHOD(fixture, "a full memory is an error, not a response that is forgotten") {
  memory_limits limits;
  limits.max_turns = 1;
  auto small = spawn_conversation_chain(time.system, llm, spawn_buffer_memory(time.system, limits));
  CHECK(run(small, {{"input", "a"}}).result);
  CHECK(run(small, {{"input", "b"}}).error == errc::overloaded);
}

TEST_CASE_METHOD(fixture, "with a summary, the prompt has that in place of the turns") {
  reply = [](const std::string& prompt) {
    return scripted_reply{prompt.ends_with("New summary:") ? "They met." : "Hello!", {}, {}};
  };
  auto sums_up = spawn_conversation_chain(time.system, llm, spawn_summary_memory(time.system, llm));
  run(sums_up, {{"input", "Hi"}});
  run(sums_up, {{"input", "And?"}});
  REQUIRE(prompts.size() == 4);
  CHECK(prompts[2].ends_with("\nCurrent conversation:\nThey met.\nHuman: And?\nAI:"));
}

TEST_CASE_METHOD(fixture, "prompt, stop sequences and parameters can be chosen") {
  conversation_options options;
  options.prompt = "{history}|{input}";
  options.stop = {"|"};
  options.parameters.temperature = 0;
  auto own = spawn_conversation_chain(time.system, llm, memory, options);
  run(own, {{"input", 42}});
  CHECK(prompts.at(0) == "|42");
  CHECK(requests.at(0).stop == std::vector{"|"s});
  CHECK(requests.at(0).parameters.temperature == 0);
}

TEST_CASE_METHOD(fixture, "a prompt with other variables than history and input is refused") {
  auto refusal = [&](const char* prompt) {
    conversation_options options;
    options.prompt = prompt;
    return refusal_of([&] { spawn_conversation_chain(time.system, llm, memory, options); });
  };
  auto sentence = "the prompt of a conversation chain needs the variables {history} and {input}, "
                  "and no other";
  CHECK(refusal("{input}") == sentence);
  CHECK(refusal("{history}{input}{mood}") == sentence);
}

TEST_CASE_METHOD(fixture, "a conversation chain without LLM or memory is refused") {
  CHECK(refusal_of([&] { spawn_conversation_chain(time.system, {}, memory); }) ==
        "a conversation chain needs a valid LLM actor");
  CHECK(refusal_of([&] { spawn_conversation_chain(time.system, llm, {}); }) ==
        "a conversation chain needs a valid memory actor");
}

} // namespace conversation_chain_test

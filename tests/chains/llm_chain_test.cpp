#include "support/stub_llm.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <catch2/catch_test_macros.hpp>

namespace llm_chain_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr auto grace = 25ms;

constexpr auto page_prompt = "What is a good name for a company that makes {product}?";

struct fixture {
  /// The stub holds promises of actors that hold the stub.
  ~fixture() { caf::anon_send_exit(llm, caf::exit_reason::kill); }

  virtual_time time;
  std::shared_ptr<stub_log> log = std::make_shared<stub_log>();
  stub_llm_actor llm = spawn_stub_llm(time.system, log);

  auto call(const chain_actor& chain, values inputs, call_context context) {
    auto result = ask<values>(time, chain, call_atom_v, std::move(inputs), std::move(context));
    time.settle();
    return result;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "an LLM chain formats its prompt and answers with the output key only") {
  auto chain = spawn_llm_chain(time.system, llm, page_prompt);
  auto got = call(chain, {{"product", "socks"}}, time.context());
  REQUIRE(log->calls.size() == 1);
  CHECK(log->calls[0].request.prompts ==
        std::vector{"What is a good name for a company that makes socks?"s});
  CHECK(got->pending());
  answer(llm, 0, "\n\nSockful");
  time.settle();
  REQUIRE(got->result);
  CHECK(*got->result == values{{"text", "\n\nSockful"}});
}

TEST_CASE_METHOD(fixture, "an LLM chain hands its context on unchanged") {
  auto chain = spawn_llm_chain(time.system, llm, page_prompt);
  auto context = time.context(5min);
  context.tenant = "acme";
  context.priority = 4;
  auto got = call(chain, {{"product", "x"}}, context);
  REQUIRE(log->calls.size() == 1);
  const auto& seen = log->calls[0].context;
  CHECK(seen.id == context.id);
  CHECK(seen.due.at == context.due.at);
  CHECK(seen.tenant == "acme");
  CHECK(seen.priority == 4);
}

TEST_CASE_METHOD(fixture, "inputs that the prompt does not use are left alone") {
  auto chain = spawn_llm_chain(time.system, llm, page_prompt);
  call(chain, {{"product", "x"}, {"unused", 3}}, time.context());
  CHECK(log->calls.size() == 1);
}

TEST_CASE_METHOD(fixture, "a missing input is an error that names it, and nothing is asked") {
  auto chain = spawn_llm_chain(time.system, llm, page_prompt);
  auto got = call(chain, {{"colour", "red"}}, time.context());
  CHECK(got->error == errc::missing_input);
  CHECK(sentence_of(got->error).find("'product'") != std::string::npos);
  CHECK(log->calls.empty());
}

TEST_CASE_METHOD(fixture, "the input 'stop' becomes stop sequences, as text or as a list") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  call(chain, {{"stop", "\n"}}, time.context());
  call(chain, {{"stop", std::vector<std::string>{"a", "b"}}}, time.context());
  auto wrong = call(chain, {{"stop", 3}}, time.context());
  REQUIRE(log->calls.size() == 2);
  CHECK(log->calls[0].request.stop == std::vector{"\n"s});
  CHECK(log->calls[1].request.stop == std::vector{"a"s, "b"s});
  CHECK(wrong->error == errc::invalid_input);
}

TEST_CASE_METHOD(fixture, "output key and parameters can be chosen") {
  llm_chain_options options;
  options.output_key = "name";
  options.parameters.temperature = 0.9;
  auto chain = spawn_llm_chain(time.system, llm, page_prompt, options);
  auto got = call(chain, {{"product", "x"}}, time.context());
  CHECK(log->calls.at(0).request.parameters.temperature == 0.9);
  answer(llm, 0, "y");
  time.settle();
  CHECK(got->result == values{{"name", "y"}});
}

TEST_CASE_METHOD(fixture, "a chain describes its wiring") {
  auto chain = spawn_llm_chain(time.system, llm, "{b} {a} {b}");
  auto got = ask<chain_description>(time, chain, describe_atom_v);
  time.settle();
  REQUIRE(got->result);
  CHECK(got->result->input_keys == std::vector{"a"s, "b"s});
  CHECK(got->result->output_keys == std::vector{"text"s});
}

TEST_CASE_METHOD(fixture, "a deadline that has passed is answered without asking the LLM") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto context = time.context(1s);
  time.advance(1s);
  auto got = call(chain, {}, context);
  CHECK(got->error == errc::timed_out);
  CHECK(log->calls.empty());
}

TEST_CASE_METHOD(fixture, "a chain whose LLM never answers times out at the deadline") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto early = call(chain, {}, time.context(30min));
  auto late = call(chain, {}, time.context(50min));
  time.advance(29min);
  CHECK(early->pending());
  time.advance(1min + grace);
  CHECK(early->error == errc::timed_out);
  CHECK(late->pending());
  time.advance(20min);
  CHECK(late->error == errc::timed_out);
  answer(llm, 0, "too late"); // must not answer twice
  time.settle();
  CHECK(early->answers == 1);
}

TEST_CASE_METHOD(fixture, "an earlier deadline that comes later is still met") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto late = call(chain, {}, time.context(50min));
  auto early = call(chain, {}, time.context(1min));
  time.advance(1min + grace);
  CHECK(early->error == errc::timed_out);
  CHECK(late->pending());
}

TEST_CASE_METHOD(fixture, "at the deadline the LLM's own error comes before the chain's") {
  auto slow = spawn_scripted_llm(time.system, [](const llm_request&) {
    return scripted_reply{"never", {}, caf::infinite};
  });
  auto chain = spawn_llm_chain(time.system, slow, "x");
  auto got = call(chain, {}, time.context(1min));
  time.advance(1min);
  CHECK(sentence_of(got->error).find("scripted") != std::string::npos);
}

TEST_CASE("an invalid handle is refused where the chain is spawned") {
  virtual_time time;
  CHECK_THROWS_AS(spawn_llm_chain(time.system, llm_actor{}, "x"), std::invalid_argument);
}

TEST_CASE_METHOD(fixture, "cancel is forwarded to the LLM") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto context = time.context();
  call(chain, {}, context);
  compat::anon_send(chain, cancel_atom_v, context.id);
  time.settle();
  CHECK(log->cancelled == std::vector{context.id});
}

TEST_CASE_METHOD(fixture, "an LLM that dies is an error for its callers, not silence") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto got = call(chain, {}, time.context());
  caf::anon_send_exit(llm, caf::exit_reason::kill);
  time.settle();
  CHECK(got->error == errc::shut_down);
  auto next = call(chain, {}, time.context());
  CHECK(next->error == errc::shut_down);
}

TEST_CASE_METHOD(fixture, "a chain that dies is an error for its callers, not silence") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto got = call(chain, {}, time.context());
  caf::anon_send_exit(chain, caf::exit_reason::kill);
  time.settle();
  CHECK(got->answers == 1);
  CHECK(to_failure(got->error, "the chain") == errc::shut_down);
}

TEST_CASE_METHOD(fixture, "a call outlives the chain's last handle") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto got = call(chain, {}, time.context());
  chain = nullptr;
  time.settle();
  answer(llm, 0, "still here");
  time.settle();
  CHECK(got->result == values{{"text", "still here"}});
}

TEST_CASE_METHOD(fixture, "an LLM that answers with no completion is malformed") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto got = call(chain, {}, time.context());
  compat::anon_send(llm, caf::ok_atom_v, uint64_t{0}, llm_result{});
  time.settle();
  CHECK(got->error == errc::malformed_response);
}

TEST_CASE_METHOD(fixture, "a stream without a sink is refused before the LLM is asked") {
  auto chain = spawn_llm_chain(time.system, llm, "x");
  auto got = ask<values>(time, chain, stream_atom_v, values{}, sink_actor{}, time.context());
  time.settle();
  CHECK(got->error == errc::invalid_input);
  CHECK(log->calls.empty());
}

TEST_CASE("a malformed template is refused where the chain is spawned") {
  virtual_time time;
  auto llm = spawn_scripted_llm(time.system, std::vector<scripted_reply>{});
  CHECK_THROWS_AS(spawn_llm_chain(time.system, llm, "a {"), std::invalid_argument);
}

} // namespace llm_chain_test

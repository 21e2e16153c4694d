// Chains that stream, those that do not, and gathers of streams.
#include "support/chain_fixture.hpp"
#include "support/metrics_of.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/chains/conversation_chain.hpp>
#include <chainmail/chains/llm_math_chain.hpp>
#include <chainmail/chains/parallel_chain.hpp>
#include <chainmail/chains/router_chain.hpp>
#include <chainmail/chains/sequential_chain.hpp>
#include <chainmail/chains/simple_sequential_chain.hpp>
#include <chainmail/chains/transform_chain.hpp>
#include <chainmail/chains/wiring.hpp>
#include <chainmail/gather/gather.hpp>
#include <chainmail/memory/memory.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

namespace chain_streams_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

using fixture = chain_fixture;

} // namespace

TEST_CASE_METHOD(fixture, "an LLM chain streams under the ID of its call", "[stream]") {
  auto done = stream(asks("name {n}"), {{"n", "one"}});
  CHECK(done.result == values{{"text", "re: name one"}});
  CHECK(heard->text(stream_context.id) == "re: name one");
  CHECK(heard->chunks.size() == 3);
}

TEST_CASE_METHOD(fixture, "a sequence streams its last chain only", "[stream]") {
  auto chain = spawn_sequential_chain(time.system, {asks("1 {a}", "b"), asks("2 {b}", "c")});
  auto done = stream(chain, {{"a", "x"}});
  CHECK(done.result == values{{"c", "re: 2 re: 1 x"}});
  CHECK(heard->text() == "re: 2 re: 1 x");
  CHECK(heard->text(stream_context.id) == heard->text());
  heard->chunks.clear();
  auto simple = spawn_simple_sequential_chain(time.system, {asks("1 {a}"), chain});
  CHECK(stream(simple, {{"input", "y"}}).result == values{{"output", "re: 2 re: 1 re: 1 y"}});
  CHECK(heard->text(stream_context.id) == "re: 2 re: 1 re: 1 y");
}

TEST_CASE_METHOD(fixture, "a router streams the route that it takes", "[stream]") {
  route_map routes = {{"a", {"first", asks("a {q}")}}, {"b", {"second", asks("b {q}")}}};
  auto chain = spawn_router_chain(
      time.system, routes, [](const values&) { return caf::expected<std::string>{"b"}; });
  CHECK(stream(chain, {{"q", "x"}}).result == values{{"text", "re: b x"}});
  CHECK(heard->text(stream_context.id) == "re: b x");
  heard->chunks.clear();
  llm_router_options options;
  options.input_key = "q";
  auto by_model = spawn_llm_router_chain(time.system, llm, routes, options);
  reply = [](const std::string& prompt) {
    return scripted_reply{prompt.ends_with("OUTPUT >>") ? "a" : "re: " + prompt};
  };
  CHECK(stream(by_model, {{"q", "x"}}).result == values{{"text", "re: a x"}});
  CHECK(heard->text() == "re: a x");
}

TEST_CASE_METHOD(fixture, "a conversation streams its response, and remembers it", "[stream]") {
  auto memory = spawn_buffer_memory(time.system);
  auto chain = spawn_conversation_chain(time.system, llm, memory);
  reply = [](const std::string&) { return scripted_reply{" Hello you!"}; };
  CHECK(stream(chain, {{"input", "Hi"}}).result == values{{"response", "Hello you!"}});
  CHECK(heard->text(stream_context.id) == " Hello you!");
  stream(chain, {{"input", "Who?"}});
  CHECK(prompts.back().find("AI: Hello you!") != std::string::npos);
}

TEST_CASE_METHOD(
    fixture, "chains refuse to stream what no LLM says, before they ask one", "[stream]") {
  auto pass_on = [](const values& inputs) -> caf::expected<values> {
    return values{{"text", inputs.at("text")}};
  };
  auto transform = spawn_transform_chain(time.system, {"text"}, {"text"}, pass_on);
  std::map<std::string, chain_actor> refusing = {{"math", spawn_llm_math_chain(time.system, llm)},
      {"transform", transform}, {"parallel", spawn_parallel_chain(time.system, {{"a", asks("x")}})},
      {"sequence", spawn_simple_sequential_chain(time.system, {asks("{a}"), transform})},
      {"router", spawn_router_chain(time.system, {{"a", {"", transform}}},
                     [](const values&) { return caf::expected<std::string>{"a"}; })}};
  for (const auto& [name, chain] : refusing) {
    INFO(name);
    CHECK(!may_stream(chain));
    auto done = stream(chain, {{"question", "?"}, {"text", "t"}, {"input", "i"}});
    CHECK(done.error == errc::unsupported);
    CHECK(sentence_of(done.error).find("send a call") != std::string::npos);
  }
  CHECK(prompts.empty());
  CHECK(may_stream(asks("x")));
}

TEST_CASE_METHOD(fixture, "a chain of several steps needs a sink to stream", "[stream]") {
  auto chain = spawn_simple_sequential_chain(time.system, {asks("{a}")});
  auto done =
      ask<values>(time, chain, stream_atom_v, values{{"input", "x"}}, sink_actor{}, stream_context);
  time.settle();
  CHECK(done->error == errc::invalid_input);
}

TEST_CASE_METHOD(fixture, "a chain hands on what its stream's error says", "[stream]") {
  auto chain = spawn_simple_sequential_chain(time.system, {asks("1 {a}"), asks("2 {a}")});
  reply = [](const std::string& prompt) {
    if (prompt.starts_with('1'))
      return scripted_reply{"one"};
    return scripted_reply{
        {}, make_failure(errc::connection_failed, "broken"), {}, {}, {"half", " of"}};
  };
  auto done = stream(chain, {{"input", "x"}});
  CHECK(done.error == errc::connection_failed);
  CHECK(text_so_far(done.error) == "half of");
}

TEST_CASE_METHOD(fixture, "a stream of several steps is cancelled wherever it is", "[stream]") {
  auto chain = spawn_simple_sequential_chain(time.system, {asks("1 {a}"), asks("2 {a}")});
  reply = [](const std::string&) {
    scripted_reply slow{"a b c d"};
    slow.chunk_delay = 1s;
    return slow;
  };
  auto running = start_stream(chain, {{"input", "x"}});
  time.advance(1s);
  CHECK(heard->text(stream_context.id) == "a b");
  compat::anon_send(chain, cancel_atom_v, stream_context.id);
  time.settle();
  CHECK(running->error == errc::cancelled);
  time.advance(10s);
  CHECK(heard->text() == "a b");
}

TEST_CASE_METHOD(fixture, "a call without a sink asks for no stream", "[stream]") {
  auto chain = spawn_simple_sequential_chain(time.system, {asks("1 {a}"), asks("2 {a}")});
  CHECK(run(chain, {{"input", "x"}}).result);
  CHECK(heard->chunks.empty());
}

// -- gathers ------------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a gather streams all of its calls to one sink", "[stream]") {
  auto gather = spawn_gather(time.system);
  gather_options options;
  options.sink = sink;
  std::vector<values> inputs = {{{"n", "one"}}, {{"n", "two"}}, {{"n", "three"}}};
  auto done = ask<std::vector<outcome>>(
      time, gather, gather_atom_v, asks("name {n}"), inputs, options, stream_context);
  time.settle();
  REQUIRE(done->result);
  for (size_t i = 0; i < inputs.size(); ++i) {
    CHECK(done->result->at(i).ok());
    CHECK(heard->text(stream_context.id.child(i)) ==
          std::get<std::string>(done->result->at(i).result.at("text")));
  }
  CHECK(heard->chunks.size() == 9);
}

TEST_CASE_METHOD(
    fixture, "a gather's deadline keeps the text of the streams that it cuts", "[stream]") {
  auto gather = spawn_gather(time.system);
  gather_options options;
  options.sink = sink;
  reply = [](const std::string& prompt) {
    scripted_reply slow{prompt == "slow" ? "a b c d" : "fast"};
    slow.chunk_delay = prompt == "slow" ? 1s : 0s;
    return slow;
  };
  std::vector<values> inputs = {{{"n", "slow"}}, {{"n", "fast"}}};
  auto done = ask<std::vector<outcome>>(
      time, gather, gather_atom_v, asks("{n}"), inputs, options, time.context(1'500ms));
  time.advance(1s);
  time.advance(500ms); // now the chain answers, and a moment later the gather would
  REQUIRE(done->result);
  CHECK(done->result->at(1).ok());
  CHECK(done->result->at(0).error == errc::timed_out);
  CHECK(text_so_far(done->result->at(0).error) == "a b");
}

} // namespace chain_streams_test

#include "support/refusal.hpp"
#include "support/scripted_chain.hpp"

#include <chainmail/agents/tool_arguments.hpp>
#include <chainmail/agents/tools.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/json/json_schema.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/expected.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <future>
#include <stdexcept>

namespace tools_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture {
  virtual_time time;

  test::reply<std::string> call(
      const tool_actor& tool, std::string arguments, caf::timespan timeout = 1h) {
    auto result =
        ask<std::string>(time, tool, call_atom_v, std::move(arguments), time.context(timeout));
    time.settle();
    return *result;
  }

  tool_description description_of(const tool_actor& tool) {
    auto result = ask<tool_description>(time, tool, describe_atom_v);
    time.settle();
    return result->result.value();
  }
};

constexpr auto schema_of_a_and_b =
    R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},)"
    R"("required":["a","b"],"additionalProperties":false})";

} // namespace

// -- functions ----------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a function is a tool") {
  auto tool = spawn_tool(time.system, {"echo", "Says it again."},
      [](const std::string& arguments) { return "it was " + arguments; });
  CHECK(call(tool, "{}").result == "it was {}");
  CHECK(description_of(tool).name == "echo");
  CHECK(describe(time.system, tool, "the tool").description == "Says it again.");
}

TEST_CASE_METHOD(fixture, "what a tool's function throws or returns as an error is its error") {
  auto throws = spawn_tool(time.system, {"bad"},
      [](const std::string&) -> std::string { throw std::runtime_error{"no such shelf"}; });
  CHECK(describe(call(throws, "{}").error) == "internal: no such shelf");
  auto throws_anything =
      spawn_tool(time.system, {"worse"}, [](const std::string&) -> std::string { throw 42; });
  CHECK(describe(call(throws_anything, "{}").error) ==
        "internal: it threw an exception of an unknown type");
  auto fails = spawn_tool(time.system, {"sad"}, [](const std::string&) {
    return caf::expected<std::string>{make_failure(errc::not_found, "no such page")};
  });
  CHECK(describe(call(fails, "{}").error) == "not_found: no such page");
}

TEST_CASE_METHOD(fixture, "a tool is not started after its deadline") {
  auto runs = std::make_shared<int>(0);
  auto tool = spawn_tool(
      time.system, {"count"}, [runs](const std::string&) { return std::to_string(++*runs); });
  CHECK(call(tool, "{}", 0s).error == errc::timed_out);
  CHECK(*runs == 0);
}

TEST_CASE("a tool that waits has a thread of its own") {
  caf::actor_system_config config;
  config.set("caf.scheduler.max-threads", 1);
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  std::promise<void> is_met;
  auto waits = spawn_blocking_tool(
      system, {"wait"}, [met = is_met.get_future().share()](const std::string&) {
        return met.wait_for(10s) == std::future_status::ready ? "met"s : "alone"s;
      });
  auto meets = spawn_tool(system, {"meet"}, [&is_met](const std::string&) {
    is_met.set_value();
    return ""s;
  });
  auto ask_now = [&](const tool_actor& tool) {
    return compat::request_within(20s, self.ptr(), tool, call_atom_v, "{}"s, call_context{});
  };
  std::string answer;
  auto first = ask_now(waits);
  auto second = ask_now(meets);
  std::move(first).receive([&](std::string& text) { answer = text; },
      [&](const caf::error& why) { answer = describe(why); });
  std::move(second).receive(
      [](std::string&) {}, [&](const caf::error& why) { answer = describe(why); });
  CHECK(answer == "met");
}

TEST_CASE("tools that no provider would take are refused") {
  virtual_time time;
  auto refused = [&](tool_description description) {
    return refusal_of([&] {
      spawn_tool(time.system, std::move(description), [](const std::string&) { return ""s; });
    });
  };
  CHECK(refused({"a_tool-1"}) == "accepted");
  CHECK(refused({""}).starts_with("the tool '' needs another name"));
  CHECK(refused({"two words"}).starts_with("the tool 'two words' needs another name"));
  CHECK(refused({std::string(65, 'a')}).find("needs another name") != std::string::npos);
  CHECK(refused({"x", "\xff"}) == "the tool 'x' has a description that is not UTF-8");
  CHECK(refused({"x", "", "{"}).starts_with("the tool 'x' has parameters that cannot be checked"));
  CHECK(refused({"x", "", "{}"}).starts_with("the tool 'x' has parameters that need not be an"));
  CHECK(refusal_of([&] { spawn_tool(time.system, {"x"}, {}); }) == "a tool needs a function");
  CHECK(refusal_of([&] { describe(time.system, tool_actor{}, "tool 1"); }) ==
        "tool 1 needs a valid tool handle");
}

// -- chains, retrievers, the calculator ---------------------------------------------------

TEST_CASE_METHOD(fixture, "a chain is a tool with its inputs as properties") {
  auto chain = spawn_scripted_chain(time.system, {"b", "a"}, {"text"}, [](const job_ptr& job) {
    job->answer({{"text", *find_text(job->inputs, "a") + *find_text(job->inputs, "b")}});
  });
  auto tool = spawn_chain_tool(time.system, chain, {"join", "Joins."});
  CHECK(description_of(tool).parameters == schema_of_a_and_b);
  CHECK(call(tool, R"({"a":"x","b":"y"})").result == "xy");
  CHECK(call(tool, R"({"a":"x"})").error == errc::missing_input);
  CHECK(call(tool, "[]").error == errc::invalid_input);
}

TEST_CASE_METHOD(fixture, "a chain's tool keeps a schema of its own, and passes types on") {
  auto chain = spawn_scripted_chain(time.system, {"n"}, {"out", "type"}, [](const job_ptr& job) {
    auto index = static_cast<int64_t>(job->inputs.at("n").index());
    job->answer({{"out", std::vector{"a"s, "b"s}}, {"type", index}});
  });
  auto schema = R"({"type":"object","properties":{"n":{"type":"integer"}}})"s;
  auto tool = spawn_chain_tool(time.system, chain, {"typed", "", schema});
  CHECK(description_of(tool).parameters == schema);
  CHECK(call(tool, R"({"n":3})").result == "out: a\nb\ntype: 1");
}

TEST_CASE_METHOD(fixture, "cancelling a chain's tool cancels the chain") {
  auto held = std::make_shared<job_ptr>();
  auto chain =
      spawn_scripted_chain(time.system, {}, {"text"}, [held](const job_ptr& job) { *held = job; });
  auto tool = spawn_chain_tool(time.system, chain, {"slow"});
  auto context = time.context();
  auto answer = ask<std::string>(time, tool, call_atom_v, "{}"s, context);
  time.settle();
  CHECK(answer->pending());
  compat::anon_send(tool, cancel_atom_v, context.id);
  time.settle();
  CHECK(answer->error == errc::cancelled);
  held->reset();
}

namespace {

retriever_actor::behavior_type two_documents() {
  return {
      [](retrieve_atom, const retrieval_query& query, const call_context&) {
        std::vector<scored_document> result;
        if (query.text == "socks")
          result = {
              {1, {"Wash at 40.", {{"source", "care.md"}}}, 0.9}, {2, {"Or by hand.", {}}, 0.5}};
        result.resize(std::min<size_t>(result.size(), query.k));
        return result;
      },
      [](cancel_atom, const call_id&) {},
  };
}

} // namespace

TEST_CASE_METHOD(fixture, "a retriever is a tool that gives documents with their sources") {
  auto retriever = time.system.spawn(two_documents);
  auto tool = spawn_retriever_tool(time.system, retriever, {"handbook", "What to do."}, 2);
  CHECK(call(tool, R"({"query":"socks"})").result == "Source: care.md\nWash at 40.\n\nOr by hand.");
  CHECK(call(tool, R"({"query":"hats"})").result == "Nothing was found.");
  CHECK(call(tool, "{}").error == errc::invalid_input);
  CHECK_FALSE(json_schema::parse(description_of(tool).parameters)->check(R"({"query":"x"})"));
}

TEST_CASE_METHOD(fixture, "the calculator is a tool that asks no model") {
  auto tool = spawn_calculator_tool(time.system);
  CHECK(call(tool, R"({"expression":"37593 * 67"})").result == "2518731");
  CHECK(call(tool, R"({"expression":"import os"})").error == errc::invalid_input);
}

// -- arguments ----------------------------------------------------------------------------

TEST_CASE("JSON members become values of their types") {
  auto got = values_from_json(
      R"({"t":"x","i":-3,"d":0.5,"b":true,"l":["a","b"],"o":{"k":[1]},"n":null,"m":[1,2]})");
  REQUIRE(got);
  CHECK(
      *got == values{{"t", "x"}, {"i", -3}, {"d", 0.5}, {"b", true}, {"l", std::vector{"a"s, "b"s}},
                  {"o", R"({"k":[1]})"}, {"n", "null"}, {"m", "[1,2]"}});
  for (const auto* text : {"", "[]", "{", "3", "\"x\"", "{\"a\":\"\xff\"}"})
    CHECK(values_from_json(text).error() == errc::invalid_input);
}

TEST_CASE("a schema of inputs takes exactly these, whatever they are called") {
  auto schema = json_schema::parse(schema_of_inputs({{"a\"b", "c"}, {}}));
  REQUIRE(schema);
  CHECK_FALSE(schema->check(R"({"a\"b":"x","c":"y"})"));
  CHECK(schema->check(R"({"c":"y"})"));
  CHECK(schema->check(R"({"a\"b":"x","c":"y","d":"z"})"));
  CHECK_FALSE(json_schema::parse(schema_of_inputs({}))->check("{}"));
}

TEST_CASE("a text becomes the only property that it can mean") {
  auto schema = R"({"type":"object","properties":{"q":{"type":"string"},"k":{"type":"integer"}},)"
                R"("required":["q"]})"s;
  CHECK(arguments_from_text("socks", schema) == R"({"q":"socks"})");
  CHECK(arguments_from_text("socks", R"({"type":"object","properties":{"q":{}}})") ==
        R"({"q":"socks"})");
  CHECK(arguments_from_text("[1]", R"({"type":"object","properties":{"q":{"type":"array"}}})") ==
        R"({"q":[1]})");
  CHECK(arguments_from_text("socks", schema_of_a_and_b) == "socks");
  CHECK(arguments_from_text("socks", "no schema") == "socks");
}

} // namespace tools_test

// What goes wrong with the tools of an agent: each ends in an answer or a clear error in time.
#include "support/agent_fixture.hpp"
#include "support/fake_llm.hpp"

#include <chainmail/caf/compat.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <stdexcept>

namespace agent_failures_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr auto socks = R"({"query":"socks"})";

struct fixture : agent_fixture {
  fixture() : agent_fixture(GENERATE(protocol::tool_calls, protocol::react)) {}

  /// The model calls once, and answers whatever it is told.
  test::reply<values> run_one_call(const std::string& tool, const std::string& arguments) {
    says_calls({{tool, arguments}});
    says_answer("42");
    return run();
  }

  [[nodiscard]] bool was_told(const std::string& part) const {
    INFO(last_told());
    return last_told().find(part) != std::string::npos;
  }
};

} // namespace

// -- tools --------------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a tool that hangs costs its time-out, and is cancelled") {
  auto& tool = add_tool("search");
  tool.delay = caf::infinite;
  options.tool_timeout = 10s;
  auto begin = time.now();
  says_calls({{"search", socks}});
  says_answer("42");
  auto got = start();
  time.advance(11s);
  CHECK(output_of(*got) == "42");
  CHECK(was_told("the tool 'search' did not answer within 10 s"));
  REQUIRE(tool.calls.size() == 1);
  CHECK(tool.calls[0].context.due.at == begin + 10s);
  CHECK(tool.cancelled == std::vector{tool.calls[0].context.id});
  auto steps = steps_of(*got);
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].failed);
}

TEST_CASE_METHOD(fixture, "a tool that hangs beyond the call's deadline is a clear error in time") {
  add_tool("quick");
  auto& tool = add_tool("search");
  tool.delay = caf::infinite;
  says_calls({{"quick", socks}, {"search", socks}});
  auto got = start(10s);
  time.advance(10s);
  CHECK(output_of(*got) == "timed_out: the deadline of the call passed before the agent had an "
                           "answer");
  CHECK(tool.cancelled.size() == 1);
  auto steps = steps_of(*got);
  REQUIRE(steps.size() == 2);
  CHECK(steps[0].observation == "fine");
  CHECK_FALSE(steps[0].failed);
  CHECK(steps[1].failed);
}

TEST_CASE_METHOD(fixture, "a tool that throws is an observation") {
  tools.push_back(spawn_tool(time.system, fake_tool_called("search")->description,
      [](const std::string&) -> std::string { throw std::runtime_error{"no such shelf"}; }));
  CHECK(output_of(run_one_call("search", socks)) == "42");
  CHECK(was_told("the tool 'search' failed: no such shelf"));
}

TEST_CASE_METHOD(fixture, "a tool that fails is an observation") {
  add_tool("search").answer = make_failure(errc::not_found, "there are no socks");
  auto got = run_one_call("search", socks);
  CHECK(output_of(got) == "42");
  CHECK(was_told("the tool 'search' failed: there are no socks"));
  CHECK(steps_of(got).at(0).failed);
}

TEST_CASE_METHOD(fixture, "a tool that is gone is an observation") {
  add_tool("search");
  caf::anon_send_exit(tools[0], caf::exit_reason::kill);
  time.settle();
  CHECK(output_of(run_one_call("search", socks)) == "42");
  CHECK(was_told("the tool 'search' failed"));
}

TEST_CASE_METHOD(fixture, "a tool that does not exist is an observation that names those that do") {
  add_tool("search");
  add_tool("move");
  CHECK(output_of(run_one_call("find", socks)) == "42");
  CHECK(was_told("there is no tool 'find'. The tools are: search, move."));
}

TEST_CASE_METHOD(fixture, "arguments that break the schema are an observation and no call") {
  auto& tool = add_tool("search");
  says_calls({{"search", R"({"query":3})"}});
  says_calls({{"search", R"({"what":"socks"})"}});
  says_calls({{"search", R"({"query":)"}});
  says_calls({{"search", socks}});
  says_answer("42");
  auto got = run();
  CHECK(output_of(got) == "42");
  auto steps = steps_of(got);
  REQUIRE(steps.size() == 4);
  CHECK(steps[0].observation.find("/query") != std::string::npos);
  CHECK(steps[0].observation.find(R"(They were: {"query":3})") != std::string::npos);
  CHECK(steps[1].observation.find("query") != std::string::npos);
  CHECK(steps[0].failed);
  CHECK(steps[1].failed);
  CHECK_FALSE(steps[3].failed);
  CHECK(tool.calls.back().arguments == socks);
}

TEST_CASE_METHOD(fixture, "a model that never stops calling comes to its limit") {
  add_tool("search");
  says_calls({{"nothing", "{}"}});
  auto got = run();
  CHECK(output_of(got) ==
        "malformed_response: the agent's model gave no final answer within 15 rounds (max_rounds)");
  CHECK(requests.size() == 15);
  CHECK(steps_of(got).size() == 14);
}

TEST_CASE_METHOD(fixture, "calls beyond 64 in one answer are left out") {
  auto& tool = add_tool("search");
  says_calls({65, {"search", socks}});
  says_answer("42");
  auto got = run();
  CHECK(output_of(got) == "42");
  CHECK(tool.calls.size() == 64);
  CHECK(steps_of(got).at(64).failed);
}

TEST_CASE_METHOD(fixture, "a long or broken observation is cut and mended") {
  options.max_observation = 200;
  add_tool("search").answer = std::string(150, 'x') + "\xff" + std::string(100'000, 'y');
  auto got = run_one_call("search", socks);
  CHECK(output_of(got) == "42");
  auto told = steps_of(got).at(0).observation;
  CHECK(told.size() <= 200);
  CHECK(told.starts_with(std::string(150, 'x') + "\xef\xbf\xbd"));
  CHECK(told.ends_with("\n[cut: the whole has 100151 bytes]"));
}

// -- the model ----------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "an error of the LLM ends the call and keeps the steps") {
  add_tool("search");
  says_calls({{"search", socks}});
  replies.push_back({{}, make_failure(errc::authentication, "no such key"), {}});
  auto got = run();
  CHECK(output_of(got) == "authentication: no such key");
  CHECK(steps_of(got).size() == 1);
}

TEST_CASE_METHOD(fixture, "a model that says nothing is told so") {
  add_tool("search");
  replies.push_back({});
  says_answer("42");
  CHECK(output_of(run()) == "42");
  CHECK(requests.size() == 2);
}

TEST_CASE_METHOD(fixture, "a cancel reaches the LLM") {
  add_tool("search");
  auto script = std::make_shared<fake_llm_script>();
  script->reply = [] { return scripted_reply{"", {}, caf::infinite}; };
  llm = spawn_fake_llm(time.system, script);
  auto agent = spawn();
  auto context = time.context();
  auto got = ask<values>(time, agent, call_atom_v, values{{"input", "What of socks?"}}, context);
  time.settle();
  compat::anon_send(agent, cancel_atom_v, context.id);
  time.settle();
  CHECK(got->error == errc::cancelled);
  CHECK(script->cancelled == std::vector{script->calls.at(0).context.id});
}

TEST_CASE_METHOD(fixture, "a cancel reaches every tool") {
  auto& slow = add_tool("search");
  auto& slower = add_tool("move");
  slow.delay = slower.delay = caf::infinite;
  says_calls({{"search", socks}, {"move", socks}});
  auto agent = spawn();
  auto context = time.context();
  auto got = ask<values>(time, agent, call_atom_v, values{{"input", "What of socks?"}}, context);
  time.settle();
  CHECK(got->pending());
  compat::anon_send(agent, cancel_atom_v, context.id);
  time.settle();
  CHECK(got->error == errc::cancelled);
  CHECK(slow.cancelled == std::vector{slow.calls.at(0).context.id});
  CHECK(slower.cancelled == std::vector{slower.calls.at(0).context.id});
}

} // namespace agent_failures_test

#include "support/agent_fixture.hpp"
#include "support/metrics_of.hpp"
#include "support/recording_sink.hpp"
#include "support/refusal.hpp"

#include <chainmail/agents/agent_core.hpp>
#include <chainmail/caf/compat.hpp>

#include <caf/expected.hpp>
#include <caf/stateful_actor.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace agent_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr auto socks = R"({"query":"socks"})";
constexpr auto hats = R"({"query":"hats"})";

/// Both kinds of agents.
struct fixture : agent_fixture {
  fixture() : agent_fixture(GENERATE(protocol::tool_calls, protocol::react)) {}
};

struct heard {
  std::vector<std::string> events;
  std::vector<agent_step> steps;
  call_id id;
};

agent_observer_actor::behavior_type hear(std::shared_ptr<heard> all) {
  return {
      [all](started_atom, const call_id& id, const tool_call& call) {
        all->id = id;
        all->events.push_back("started " + call.name);
      },
      [all](finished_atom, const call_id&, const agent_step& step) {
        all->events.push_back("finished " + step.action.name);
        all->steps.push_back(step);
      },
  };
}

} // namespace

// -- both kinds ---------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "an agent that needs no tool answers at once") {
  add_tool("search");
  says_answer("42");
  auto got = run();
  CHECK(output_of(got) == "42");
  CHECK(steps_of(got).empty());
  CHECK(requests.size() == 1);
}

TEST_CASE_METHOD(fixture, "an agent uses a tool and tells the model what it answered") {
  auto& tool = add_tool("search");
  tool.answer = "Socks are warm.";
  says_calls({{"search", socks}});
  says_answer("They are warm.");
  auto got = run();
  CHECK(output_of(got) == "They are warm.");
  CHECK(tool.calls.at(0).arguments == socks);
  CHECK(last_told().find("Socks are warm.") != std::string::npos);
  auto steps = steps_of(got);
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].thought == "Let me see.");
  CHECK(steps[0].action.name == "search");
  CHECK(steps[0].action.arguments == socks);
  CHECK(steps[0].observation == "Socks are warm.");
}

TEST_CASE_METHOD(
    fixture, "the calls of one round run at the same time, the next round after them") {
  auto& search = add_tool("search");
  auto& lookup = add_tool("lookup");
  auto& join = add_tool("join");
  search.delay = 10s;
  lookup.delay = 7s;
  join.delay = 2s;
  auto begin = time.now();
  says_calls({{"search", socks}, {"lookup", hats}});
  says_calls({{"join", socks}});
  says_answer("42");
  auto got = start();
  time.advance(7s);
  time.advance(3s);
  CHECK(got->pending());
  time.advance(2s);
  CHECK(output_of(*got) == "42");
  CHECK(time.now() == begin + 12s);
  auto steps = steps_of(*got);
  REQUIRE(steps.size() == 3);
  CHECK(steps[0].started == 0s);
  CHECK(steps[0].took == 10s);
  CHECK(steps[1].started == 0s);
  CHECK(steps[1].took == 7s);
  CHECK(steps[2].started == 10s);
  CHECK(steps[2].took == 2s);
  CHECK(steps[1].round == 0);
  CHECK(steps[2].round == 1);
}

TEST_CASE_METHOD(fixture, "an observer hears of each call as it starts and ends") {
  auto all = std::make_shared<heard>();
  options.observer = time.system.spawn(hear, all);
  add_tool("search").delay = 2s;
  add_tool("lookup").delay = 1s;
  says_calls({{"search", socks}, {"lookup", hats}, {"nothing", "{}"}});
  says_answer("42");
  auto context = time.context();
  auto got = ask<values>(time, spawn(), call_atom_v, values{{"input", "?"}}, context);
  time.advance(1s);
  CHECK(all->events == std::vector{"started search"s, "started lookup"s, "started nothing"s,
                           "finished nothing"s, "finished lookup"s});
  time.advance(1s);
  CHECK(output_of(*got) == "42");
  CHECK(all->events.back() == "finished search");
  CHECK(all->id == context.id);
  CHECK(all->steps.back().took == 2s);
}

TEST_CASE_METHOD(fixture, "limits on tokens and costs end a call before the next tools run") {
  auto& tool = add_tool("search");
  says_calls({{"search", socks}});
  SECTION("tokens") {
    options.max_tokens = 1;
    CHECK(output_of(run()) == "malformed_response: the agent's model gave no final answer within 1 "
                              "tokens (max_tokens)");
  }
  SECTION("cost") {
    options.max_cost = 0.5;
    options.prices = {1e6, 1e6};
    CHECK(output_of(run()) == "malformed_response: the agent's model gave no final answer within "
                              "0.5 of cost (max_cost)");
  }
  CHECK(tool.calls.empty());
}

TEST_CASE_METHOD(fixture, "a final answer counts, whatever it used up") {
  add_tool("search");
  options.max_tokens = 1;
  options.max_rounds = 1;
  says_answer("42");
  CHECK(output_of(run()) == "42");
}

TEST_CASE_METHOD(fixture, "a limit on time ends a call, and keeps the steps") {
  auto& tool = add_tool("search");
  tool.delay = 3s;
  options.max_time = 5s;
  says_calls({{"search", socks}});
  auto got = start();
  time.advance(3s);
  time.advance(2s);
  time.advance(1s);
  CHECK(
      output_of(*got) == "timed_out: the agent's model gave no final answer within 5 s (max_time)");
  CHECK(steps_of(*got).size() == 2);
  CHECK(tool.cancelled.size() == 1);
}

TEST_CASE_METHOD(fixture, "a limit makes LangChain's answer on request, with the steps") {
  add_tool("search");
  options.max_rounds = 2;
  options.answers_at_limit = true;
  says_calls({{"search", socks}});
  auto got = run();
  CHECK(output_of(got) == "Agent stopped due to max iterations.");
  CHECK(steps_of(got).size() == 1);
}

TEST_CASE_METHOD(fixture, "an agent says what it takes and gives") {
  add_tool("search");
  says_answer("42");
  auto wiring = ask<chain_description>(time, spawn(), describe_atom_v);
  time.settle();
  CHECK(wiring->result->input_keys == std::vector{"input"s});
  CHECK(wiring->result->output_keys == std::vector{"intermediate_steps"s, "output"s});
  options.return_intermediate_steps = false;
  CHECK(run().result == values{{"output", "42"}});
}

TEST_CASE_METHOD(fixture, "bad inputs of agents are refused") {
  add_tool("search");
  says_answer("42");
  auto refused = [&](values inputs) {
    auto got = ask<values>(time, spawn(), call_atom_v, std::move(inputs), time.context());
    time.settle();
    return describe(got->error);
  };
  CHECK(refused({}) == "missing_input: the chain needs the input 'input'");
  CHECK(refused({{"input", std::vector{"a"s}}}) == "invalid_input: the input 'input' is not text");
  CHECK(
      refused({{"input", "?"}, {"chat_history", 3}}).starts_with("invalid_input: a chat history"));
}

TEST_CASE_METHOD(fixture, "agents are counted by kind, failed ones too") {
  add_tool("search");
  says_answer("42");
  run();
  replies = {{{}, make_failure(errc::server_error, "no"), {}}};
  run();
  auto kind = speaks == protocol::react ? "react_agent"s : "tool_agent"s;
  series counted{time.system};
  CHECK(counted["chainmail_chain_calls_total{kind=\"" + kind + "\"}"] == 2);
  CHECK(counted["chainmail_chain_errors_total{code=\"server_error\",kind=\"" + kind + "\"}"] == 1);
}

TEST_CASE_METHOD(fixture, "agents that can never work are refused") {
  auto refused = [&] { return refusal_of([&] { spawn(); }); };
  CHECK(refused() == "an agent needs at least one tool");
  add_tool("search");
  CHECK(refused() == "accepted");
  options.max_rounds = 0;
  CHECK(refused() == "an agent's max_rounds must be at least 1");
  options = {};
  options.max_cost = 1;
  CHECK(refused() == "an agent's max_cost needs prices");
  options = {};
  options.tool_timeout = 0s;
  CHECK(refused().find("longer than 0") != std::string::npos);
  options = {};
  options.max_observation = 10;
  CHECK(refused().find("at least 200 bytes") != std::string::npos);
  options = {};
  add_tool("search");
  CHECK(refused() == "the agent has two tools of the name 'search'");
  tools.back() = tool_actor{};
  CHECK(refused() == "tool 2 of the agent needs a valid tool handle");
  tools.pop_back();
  llm = llm_actor{};
  CHECK(refused() == "an agent needs a valid LLM actor");
  llm = spawn_scripted_llm(time.system, std::vector<scripted_reply>{});
}

TEST_CASE_METHOD(fixture, "a stream of an agent is the text of every round, under the call's ID") {
  add_tool("search");
  says_calls({{"search", socks}});
  says_answer("They are warm.");
  auto log = std::make_shared<sink_log>();
  auto sink = spawn_recording_sink(time.system, log);
  auto context = time.context();
  auto got =
      ask<values>(time, spawn(), stream_atom_v, values{{"input", "?"}}, sink_actor{sink}, context);
  time.settle();
  CHECK(output_of(*got) == "They are warm.");
  CHECK(log->text(context.id) == replies[0].text + "\n\n" + replies[1].text);
  CHECK(log->text() == log->text(context.id));
}

TEST_CASE_METHOD(
    fixture, "a sink that takes nothing more holds an agent up, and a cancel frees it") {
  add_tool("search");
  says_answer(
      "They are warm and they are woollen and they are long and they are striped and so on.");
  auto log = std::make_shared<sink_log>();
  log->credit = 1;
  auto sink = spawn_recording_sink(time.system, log);
  auto agent = spawn();
  auto context = time.context();
  auto got =
      ask<values>(time, agent, stream_atom_v, values{{"input", "?"}}, sink_actor{sink}, context);
  time.settle();
  CHECK(got->pending());
  compat::anon_send(agent, cancel_atom_v, context.id);
  time.settle();
  CHECK(got->error == errc::cancelled);
  grant(sink, 100);
  time.settle();
}

// -- what each says to its model ----------------------------------------------------------

TEST_CASE("a tool agent speaks in messages, and the model has the tools' schemas") {
  agent_fixture in;
  in.options.system_prompt = "Be brief.";
  in.options.parameters.temperature = 0;
  in.add_tool("search").answer = "Socks are warm.";
  in.add_tool("lookup").answer = "Hats, too.";
  in.says_calls({{"search", socks}, {"lookup", hats}});
  in.says_answer("42");
  auto got = ask<values>(in.time, in.spawn(), call_atom_v,
      values{{"input", "And now?"}, {"chat_history", std::vector{"Hi"s, "Hello"s}}},
      in.time.context());
  in.time.settle();
  CHECK(output_of(*got) == "42");
  const auto& first = in.requests.at(0);
  REQUIRE(first.tools.size() == 2);
  CHECK(first.tools[0].parameters == in.scripts[0]->description.parameters);
  CHECK(first.parameters.temperature == 0);
  const auto& last = in.requests.at(1).messages;
  std::string roles;
  for (const auto& each : last)
    roles += each.role + ": " + each.content + "\n";
  CHECK(roles == "system: Be brief.\nuser: Hi\nassistant: Hello\nuser: And now?\n"
                 "assistant: Let me see.\ntool: Socks are warm.\ntool: Hats, too.\n");
  CHECK(last[4].tool_calls == in.replies[0].tool_calls);
  CHECK(last[5].tool_call_id == "id_0");
  CHECK(last[6].tool_call_id == "id_1");
}

TEST_CASE("a tool agent gives calls IDs that lack one, and sends back what endpoints take") {
  agent_fixture in;
  in.add_tool("search");
  scripted_reply reply;
  reply.tool_calls = {{"", "search", socks}, {"same", "two words", "{"}, {"same", "", ""}};
  in.replies.push_back(reply);
  in.says_answer("42");
  CHECK(output_of(in.run()) == "42");
  const auto& said = in.requests.at(1).messages.at(1);
  REQUIRE(said.tool_calls.size() == 3);
  CHECK(said.tool_calls[0] == tool_call{"call_1_1", "search", socks});
  CHECK(said.tool_calls[1] == tool_call{"same", "two_words", "{}"});
  CHECK(said.tool_calls[2] == tool_call{"call_1_3", "unnamed", "{}"});
  CHECK(in.requests.at(1).messages.at(4).tool_call_id == "call_1_3");
}

TEST_CASE("a ReAct agent writes one prompt that grows, and stops before observations") {
  agent_fixture in{protocol::react};
  in.options.system_prompt = "Be brief.";
  in.add_tool("search").answer = "Socks are warm.";
  in.says_calls({{"search", "socks"}});
  in.says_answer("42");
  auto got = ask<values>(in.time, in.spawn(), call_atom_v,
      values{{"input", "And now?"}, {"chat_history", std::vector{"Hi"s, "Hello"s}}},
      in.time.context());
  in.time.settle();
  CHECK(output_of(*got) == "42");
  const auto& first = in.requests.at(0).prompts.at(0);
  CHECK(first.starts_with("Be brief.\n\nAnswer the question"));
  CHECK(first.ends_with("What was said before:\nHuman: Hi\nAI: Hello\n\n"
                        "Question: And now?\nThought:"));
  CHECK(in.requests.at(0).stop == std::vector{"\nObservation:"s});
  CHECK(in.requests.at(1).prompts.at(0) ==
        first + " Let me see.\nAction: search\nAction Input: socks\nObservation: Socks are warm."
                "\nThought:");
}

// -- steps --------------------------------------------------------------------------------

TEST_CASE("steps come back from documents and errors as they were") {
  agent_step step{3, "so", {"id", "search", socks}, "warm", true, 5ms, 7s};
  auto same = [&](const std::vector<agent_step>& got) {
    REQUIRE(got.size() == 1);
    CHECK(caf::deep_to_string(got[0]) == caf::deep_to_string(step));
  };
  same(steps_of(values{{"intermediate_steps", documents_of({step})}}));
  error_detail detail;
  detail.http_status = 503;
  auto error = with_steps(make_failure(errc::server_error, "down", detail), {step});
  same(steps_of(error));
  CHECK(describe(error) == "server_error: down");
  CHECK(detail_of(error)->http_status == 503);
  CHECK_FALSE(detail_of(with_steps(make_failure(errc::timed_out, "late"), {step})));
  CHECK(steps_of(make_failure(errc::timed_out, "late")).empty());
  CHECK(steps_of(values{}).empty());
}

} // namespace agent_test

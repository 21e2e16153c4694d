#include <chainmail/agents/react_text.hpp>

#include <catch2/catch_test_macros.hpp>

namespace react_text_test {

using namespace chainmail;
using namespace std::literals;

namespace {

const std::vector<tool_description> tools = {
    {"search", "Finds pages.",
        R"({"type":"object","properties":{"query":{"type":"string"}},"required":["query"]})"},
    {"repeat", "Repeats.",
        R"({"type":"object","properties":{"times":{"type":"integer"}},"required":["times"]})"},
    {"move", "Moves.",
        R"({"type":"object","properties":{"from":{"type":"string"},"to":{"type":"string"}},)"
        R"("required":["from","to"]})"}};

agent_turn read(std::string_view text) {
  return read_react_reply(text, tools);
}

/// "search {...}; move {...}", or the answer, or "?".
std::string show(const agent_turn& turn) {
  std::string result;
  for (const auto& call : turn.calls)
    result += (result.empty() ? "" : "; ") + call.name + " " + call.arguments;
  if (turn.answer)
    result += "= " + *turn.answer;
  return result.empty() ? "?" : result;
}

std::string shown(std::string_view text) {
  return show(read(text));
}

constexpr auto socks = R"(search {"query":"socks"})";

} // namespace

TEST_CASE("a ReAct reply has a thought, an action and its input") {
  auto turn = read(" I need to look it up.\nAction: search\nAction Input: socks\n");
  CHECK(turn.thought == "I need to look it up.");
  CHECK(show(turn) == socks);
  CHECK(turn.correction.empty());
  CHECK(turn.record == "I need to look it up.\nAction: search\nAction Input: socks");
}

TEST_CASE("a ReAct reply may have the final answer, to the end of the text") {
  auto turn = read(" I know.\nFinal Answer: Socks.\n\nThought: warm ones\nAction: none ");
  CHECK(turn.answer == "Socks.\n\nThought: warm ones\nAction: none");
  CHECK(turn.calls.empty());
  CHECK(shown("Final Answer:\n42\n") == "= 42");
}

TEST_CASE("what comes first of an action and a final answer counts") {
  auto turn = read("Action: search\nAction Input: socks\nFinal Answer: made up");
  CHECK(show(turn) == socks);
  CHECK(turn.record == "Action: search\nAction Input: socks");
}

TEST_CASE("nothing behind a made-up observation is read") {
  auto turn = read("Action: search\nAction Input: socks\nObservation: none\nThought: so\n"
                   "Action: move\nAction Input: {}");
  CHECK(show(turn) == socks);
  CHECK(turn.record == "Action: search\nAction Input: socks");
  CHECK(shown("Observation: it is 42\nFinal Answer: 42") == "?");
}

TEST_CASE("actions in a row are calls of one round, with a thought between they are not") {
  CHECK(shown("Action: search\nAction Input: socks\nAction: repeat\nAction Input: 3") ==
        socks + R"(; repeat {"times":3})"s);
  auto turn = read("Action: search\nAction Input: socks\nThought: and then\nAction: repeat\n"
                   "Action Input: 3");
  CHECK(show(turn) == socks);
  CHECK(turn.record == "Action: search\nAction Input: socks");
}

TEST_CASE("labels are found however models write them") {
  for (const auto* text : {
           "action: search\naction input: socks",
           "ACTION: search\nACTION INPUT: socks",
           "  Action:search\n  Action Input:socks",
           "**Action:** search\n**Action Input:** socks",
           "**Action**: search\n**Action Input**: socks",
           "### Action: search\n### Action Input: socks",
           "Action 1: search\nAction Input 1: socks",
           "Action : search\nAction Input : socks",
           "Action - search\nAction Input - socks",
           "Action = search\nAction Input = socks",
           "Action\xef\xbc\x9asearch\nAction Input\xef\xbc\x9asocks",
           "Action search\nAction Input socks",
           "Action\nsearch\nAction Input\nsocks",
           "Action:\nsearch\nAction Input:\nsocks",
           "Action: search\nAction_Input: socks",
           "Action: search\r\nAction Input: socks\r\n",
       }) {
    INFO(text);
    CHECK(shown(text) == socks);
  }
  CHECK(shown("**Final Answer:** 42") == "= 42");
  CHECK(shown("FINAL ANSWER\n42") == "= 42");
}

TEST_CASE("prose is no label") {
  CHECK(shown("Actions speak louder than words.") == "?");
  CHECK(shown("Action is needed here.") == "?");
  CHECK(shown("The Action: search") == "?");
  CHECK(shown("Action-oriented people\nFinal Answer: 42") == "= 42");
}

TEST_CASE("tool names are found however models write them") {
  for (const auto* name : {"search", "Search", "`search`", "'search'", "\"search\"", "[search]",
           "<search>", "search.", "**search**"}) {
    INFO(name);
    CHECK(shown("Action: "s + name + "\nAction Input: socks") == socks);
  }
  CHECK(shown("Action: search(socks)") == socks);
  CHECK(shown("Action: search(\"socks\")") == socks);
  CHECK(shown("Action: [find]\nAction Input: socks") == "find socks");
}

TEST_CASE("inputs are JSON objects, texts, numbers, in fences, of several lines") {
  auto input = [](const char* tool, const std::string& text) {
    return shown("Action: "s + tool + "\nAction Input: " + text);
  };
  CHECK(input("search", R"({"query": "socks"})") == R"(search {"query": "socks"})");
  CHECK(input("search", "\"socks\"") == socks);
  CHECK(input("search", "```\nsocks\n```") == socks);
  CHECK(
      input("search", "```json\n{\"query\": \"socks\"}\n```\n") == R"(search {"query": "socks"})");
  CHECK(input("search", "```json\n{\"query\":\n\"Action: x\"}\n```\nObservation: y") ==
        "search {\"query\":\n\"Action: x\"}");
  CHECK(input("search", "42") == R"(search {"query":"42"})");
  CHECK(input("search", "two\nlines") == R"(search {"query":"two\nlines"})");
  CHECK(input("repeat", "42") == R"(repeat {"times":42})");
  CHECK(input("repeat", "often") == R"(repeat {"times":"often"})");
  CHECK(input("move", "a to b") == "move a to b");
  CHECK(input("move", "") == "move {}");
  CHECK(shown("Action: move") == "move {}");
}

TEST_CASE("a fence that is never closed hides nothing") {
  CHECK(shown("See ``` here\nAction: search\nAction Input: socks") == socks);
  CHECK(shown("Action: search\nAction Input: ```json\n{\"query\": \"socks\"}") ==
        R"(search {"query": "socks"})");
}

TEST_CASE("an action may be one JSON object") {
  CHECK(shown("Action:\n```json\n{\"action\": \"search\", \"action_input\": \"socks\"}\n```") ==
        socks);
  CHECK(shown(R"(Action: {"action": "repeat", "action_input": {"times": 2}})") ==
        R"(repeat {"times":2})");
  CHECK(shown(R"(Action: {"action": "Final Answer", "action_input": "42"})") == "= 42");
  CHECK(shown("Action: Final Answer\nAction Input: 42") == "= 42");
}

TEST_CASE("what is neither action nor answer is corrected") {
  for (const auto* text : {"", " ", "I do not know.", "Action Input: socks", "Thought:"}) {
    INFO(text);
    auto turn = read(text);
    CHECK(show(turn) == "?");
    CHECK(turn.correction.find("one of [search, repeat, move]") != std::string::npos);
    CHECK(turn.correction.find("Final Answer:") != std::string::npos);
  }
}

TEST_CASE("a megabyte of labels is read") { // in linear time: else this one runs out of it
  std::string text;
  for (auto i = 0; i < 30'000; ++i)
    text += "Action: search\nAction Input: ``` a\n";
  CHECK_FALSE(read(text).calls.empty());
}

TEST_CASE("the instructions tell of every tool and of the format") {
  auto text = react_instructions(tools);
  for (const auto& tool : tools) {
    CHECK(text.find(tool.name + ": " + tool.description) != std::string::npos);
    CHECK(text.find(tool.parameters) != std::string::npos);
  }
  CHECK(text.find("one of [search, repeat, move]") != std::string::npos);
}

} // namespace react_text_test

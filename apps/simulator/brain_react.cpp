// Agents that ask for tools in writing: Thought, Action, Action Input, Observation.

#include "brain_shapes.hpp"
#include "brain_text.hpp"
#include "brain_tools.hpp"
#include "words.hpp"

#include <rapidjson/document.h>

#include <algorithm>

namespace chainmail::simulator {

namespace {

constexpr std::string_view takes_text =
    R"({"type":"object","properties":{"input":{"type":"string"}},"required":["input"]})";

/// "name: description", a line each, with " Schema: {...}" behind those whose input is an object.
std::vector<tool> tools_in(std::string_view lines) {
  constexpr std::string_view mark = " Schema: ";
  std::vector<tool> result;
  while (!lines.empty()) {
    auto line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    auto colon = line.find(": ");
    if (colon == npos)
      continue;
    auto schema = std::min(line.find(mark), line.size());
    result.push_back({.name = std::string(trim(line.substr(0, colon))),
        .description = std::string(line.substr(colon + 2, schema - std::min(colon + 2, schema))),
        .parameters =
            std::string(schema < line.size() ? line.substr(schema + mark.size()) : takes_text)});
  }
  return result;
}

/// What stands behind a label that begins a line, up to the next label; `at` moves behind it. Empty,
/// and `at` at the end, without such a label.
std::string_view take(
    const prompt_view& text, std::size_t& at, std::string_view label, std::string_view next_label) {
  auto begin = text.lower.find("\n" + std::string(label), at);
  if (begin == npos) {
    at = npos;
    return {};
  }
  begin += 1 + label.size();
  at = std::min(text.lower.find("\n" + std::string(next_label), begin), text.text.size());
  return text.between(begin, at);
}

std::vector<tool_result> results_in(const prompt_view& text, std::size_t at) {
  std::vector<tool_result> result;
  while (true) {
    auto name = take(text, at, "action:", "action input:");
    if (at == npos)
      return result;
    auto arguments = take(text, at, "action input:", "observation:");
    if (at == npos)
      return result;
    auto said = take(text, at, "observation:", "thought:");
    result.push_back({std::string(name), std::string(arguments), std::string(said)});
  }
}

/// The arguments as such a prompt asks for them: the object, or its only text.
std::string input_of(const tool_call& call, const std::vector<tool>& tools) {
  auto takes_object = std::ranges::none_of(tools,
      [&](const tool& one) { return one.name == call.name && one.parameters == takes_text; });
  rapidjson::Document json;
  json.Parse<rapidjson::kParseIterativeFlag>(call.arguments.c_str());
  if (takes_object || !json.IsObject() || !json.HasMember("input") || !json["input"].IsString())
    return call.arguments;
  return json["input"].GetString();
}

} // namespace

reply follow_react(const prompt_view& prompt) {
  auto format = std::min(
      prompt.lower.find("\nuse this format:"), prompt.lower.find("\nuse the following format:"));
  auto begin = prompt.lower.find("\nbegin!", std::min(format, prompt.text.size()));
  if (begin == npos)
    return {};
  auto above = trim(prompt.text.substr(0, format));
  auto paragraph = above.rfind("\n\n");
  auto tools = tools_in(paragraph == npos ? above : above.substr(paragraph + 2));
  auto at = begin;
  auto question = take(prompt, at, "question:", "thought:");
  if (question.empty() || tools.empty())
    return {};
  auto results = results_in(prompt, at);
  auto calls = choose_calls(question, tools, results, {.one_at_a_time = true});
  if (!calls.empty())
    return " I should ask " + calls.front().name + ".\nAction: " + calls.front().name +
           "\nAction Input: " + input_of(calls.front(), tools);
  auto answer = answer_from_results(question, results);
  return " I now know the final answer.\nFinal Answer: " +
         (answer.empty() ? std::string(no_answer) : answer);
}

} // namespace chainmail::simulator

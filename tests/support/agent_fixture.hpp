// What tests of agents share: virtual time, a model that a script speaks for in the words of either
// protocol, and tools.
#pragma once

#include "support/fake_tool.hpp"

#include <chainmail/agents/agent.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/llm/scripted_llm.hpp>
#include <chainmail/messages.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace chainmail::test {

enum class protocol { tool_calls, react };

struct agent_fixture {
  protocol speaks;
  virtual_time time;
  std::vector<llm_request> requests;
  /// Answers to the requests, in order; the last one answers all further ones.
  std::vector<scripted_reply> replies;
  llm_actor llm = spawn_scripted_llm(time.system, [this](const llm_request& request) {
    requests.push_back(request);
    return replies.at(std::min(requests.size(), replies.size()) - 1);
  });
  std::vector<std::shared_ptr<fake_tool_script>> scripts;
  std::vector<tool_actor> tools;
  agent_options options;

  explicit agent_fixture(protocol chosen = protocol::tool_calls) : speaks(chosen) {
    options.return_intermediate_steps = true;
  }

  agent_fixture(const agent_fixture&) = delete;
  agent_fixture& operator=(const agent_fixture&) = delete;

  /// Calls that are still held would keep the system alive.
  ~agent_fixture() {
    for (const auto& tool : tools)
      caf::anon_send_exit(tool, caf::exit_reason::kill);
    caf::anon_send_exit(llm, caf::exit_reason::kill);
    time.settle();
  }

  /// A tool that takes a text "query".
  fake_tool_script& add_tool(const std::string& name) {
    scripts.push_back(fake_tool_called(name));
    tools.push_back(spawn_fake_tool(time.system, scripts.back()));
    return *scripts.back();
  }

  /// The model calls tools; each call is a name and its arguments.
  void says_calls(const std::vector<std::pair<std::string, std::string>>& calls) {
    scripted_reply reply;
    reply.text = "Let me see.";
    for (const auto& [name, arguments] : calls)
      if (speaks == protocol::react)
        reply.text += "\nAction: " + name + "\nAction Input: " + arguments;
      else
        reply.tool_calls.push_back(
            {"id_" + std::to_string(reply.tool_calls.size()), name, arguments});
    replies.push_back(reply);
  }

  void says_answer(const std::string& text) {
    scripted_reply reply;
    reply.text = speaks == protocol::react ? "I know.\nFinal Answer: " + text : text;
    replies.push_back(reply);
  }

  chain_actor spawn() {
    return speaks == protocol::react ? spawn_react_agent(time.system, llm, tools, options)
                                     : spawn_tool_agent(time.system, llm, tools, options);
  }

  std::shared_ptr<test::reply<values>> start(caf::timespan timeout = std::chrono::hours{1}) {
    auto result = ask<values>(
        time, spawn(), call_atom_v, values{{"input", "What of socks?"}}, time.context(timeout));
    time.settle();
    return result;
  }

  /// Runs a call to its end, or for as long as it may take.
  test::reply<values> run(caf::timespan timeout = std::chrono::hours{1}) {
    auto result = start(timeout);
    for (auto i = 0; i < 100 && result->pending(); ++i)
      time.advance(timeout / 100);
    return *result;
  }

  /// What the model was told in its last request.
  [[nodiscard]] std::string last_told() const {
    const auto& last = requests.back();
    if (speaks == protocol::tool_calls)
      return last.messages.back().content;
    const auto& prompt = last.prompts.front();
    return prompt.substr(prompt.rfind("\nObservation: ") + 1);
  }
};

/// The answer of an agent, or what went wrong.
inline std::string output_of(const test::reply<values>& from) {
  if (!from.result)
    return describe(from.error);
  return *find_text(*from.result, "output");
}

inline std::vector<agent_step> steps_of(const test::reply<values>& from) {
  return from.result ? chainmail::steps_of(*from.result) : chainmail::steps_of(from.error);
}

} // namespace chainmail::test

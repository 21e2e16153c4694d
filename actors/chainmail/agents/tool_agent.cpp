// The protocol of models that call tools by themselves.
#include <chainmail/agents/agent_core.hpp>
#include <chainmail/agents/tool_arguments.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>

namespace chainmail {

namespace {

chat_message message(const char* role, std::string content) {
  chat_message result;
  result.role = role;
  result.content = std::move(content);
  return result;
}

/// As endpoints take it back: some refuse a whole chat for a name or for arguments that its own
/// model made up. What was wrong stands in the observation.
tool_call presentable(tool_call call) {
  call.name = presentable_tool_name(std::move(call.name));
  if (!values_from_json(call.arguments))
    call.arguments = "{}";
  return call;
}

class tool_protocol : public agent_protocol {
public:
  llm_request begin(const std::vector<tool_description>& tools, const std::string& system_prompt,
      std::vector<chat_message> history, std::string input) const override {
    llm_request result;
    if (!system_prompt.empty())
      result.messages.push_back(message("system", system_prompt));
    std::ranges::move(history, std::back_inserter(result.messages));
    result.messages.push_back(message("user", std::move(input)));
    result.tools = tools;
    return result;
  }

  agent_turn read(completion& said, const std::vector<tool_description>&) const override {
    agent_turn result;
    result.thought = trimmed(said.text);
    result.record = said.text;
    result.calls = std::move(said.tool_calls);
    if (result.calls.empty() && result.thought.empty())
      result.correction = "That was empty. Call a tool, or give the answer.";
    else if (result.calls.empty())
      result.answer = result.thought;
    return result;
  }

  void append(llm_request& request, const agent_turn& turn,
      const std::vector<std::string>& observations) const override {
    if (turn.calls.empty()) // and no text
      return request.messages.push_back(message("user", turn.correction));
    auto said = message("assistant", turn.record);
    for (const auto& call : turn.calls)
      said.tool_calls.push_back(presentable(call));
    request.messages.push_back(std::move(said));
    for (size_t i = 0; i < observations.size(); ++i) {
      request.messages.push_back(message("tool", observations[i]));
      request.messages.back().tool_call_id = turn.calls[i].id;
    }
  }
};

} // namespace

chain_actor spawn_tool_agent(caf::actor_system& system, llm_actor llm,
    std::vector<tool_actor> tools, agent_options options) {
  return spawn_agent(system, std::move(llm), std::move(tools), std::move(options),
      std::make_unique<tool_protocol>(), "tool_agent");
}

} // namespace chainmail

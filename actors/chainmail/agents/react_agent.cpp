// The protocol of models that only write text.
#include <chainmail/agents/agent_core.hpp>
#include <chainmail/agents/react_text.hpp>

namespace chainmail {

namespace {

std::string_view speaker_of(const std::string& role) {
  return role == "user" ? "Human: " : role == "assistant" ? "AI: " : "";
}

class react_protocol : public agent_protocol {
public:
  llm_request begin(const std::vector<tool_description>& tools, const std::string& system_prompt,
      std::vector<chat_message> history, std::string input) const override {
    std::string prompt = system_prompt.empty() ? "" : system_prompt + "\n\n";
    prompt += react_instructions(tools);
    if (!history.empty()) {
      prompt += "What was said before:\n";
      for (const auto& each : history) {
        prompt += speaker_of(each.role);
        prompt += each.content + '\n';
      }
      prompt += '\n';
    }
    prompt += "Question: " + input + "\nThought:";
    llm_request result;
    result.prompts.push_back(std::move(prompt));
    result.stop = {"\nObservation:"};
    return result;
  }

  agent_turn read(completion& said, const std::vector<tool_description>& tools) const override {
    return read_react_reply(said.text, tools);
  }

  void append(llm_request& request, const agent_turn& turn,
      const std::vector<std::string>& observations) const override {
    auto& prompt = request.prompts.front();
    prompt += ' ' + turn.record;
    if (turn.calls.empty())
      prompt += "\nObservation: " + turn.correction;
    for (size_t i = 0; i < observations.size(); ++i)
      prompt += "\nObservation: " +
                (observations.size() > 1 ? turn.calls[i].name + ": " : std::string{}) +
                observations[i];
    prompt += "\nThought:";
  }
};

} // namespace

chain_actor spawn_react_agent(caf::actor_system& system, llm_actor llm,
    std::vector<tool_actor> tools, agent_options options) {
  return spawn_agent(system, std::move(llm), std::move(tools), std::move(options),
      std::make_unique<react_protocol>(), "react_agent");
}

} // namespace chainmail

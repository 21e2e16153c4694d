// The loop that all agents have in common; a protocol says how one talks with its model.
#pragma once

#include <chainmail/agents/agent.hpp>
#include <chainmail/agents/agent_turn.hpp>
#include <chainmail/retrieval.hpp>

#include <memory>
#include <string>
#include <vector>

namespace chainmail {

/// What an agent says to a model, and how it understands it. Pure: the conversation is the request.
class agent_protocol {
public:
  virtual ~agent_protocol() = default;

  /// The request of the first round. `history` are the messages of the input "chat_history".
  virtual llm_request begin(const std::vector<tool_description>& tools,
      const std::string& system_prompt, std::vector<chat_message> history,
      std::string input) const = 0;

  virtual agent_turn read(completion& said, const std::vector<tool_description>& tools) const = 0;

  /// Adds a round to the request: what the model said, and one observation for each of its calls, or
  /// the correction where it made none.
  virtual void append(llm_request& request, const agent_turn& turn,
      const std::vector<std::string>& observations) const = 0;
};

/// `kind` is the agent's label in metrics and logs.
chain_actor spawn_agent(caf::actor_system& system, llm_actor llm, std::vector<tool_actor> tools,
    agent_options options, std::unique_ptr<agent_protocol> protocol, const std::string& kind);

// -- the pure parts -----------------------------------------------------------------------

/// A tool's answer as the model is told: UTF-8 of at most `most` bytes, cut between characters, with a
/// note where it was cut.
std::string bounded_observation(std::string text, size_t most);

/// A chain's input "chat_history" as messages: see read_chat_history.
caf::expected<std::vector<chat_message>> messages_of_history(const value& history);

/// A copy of the error that holds the steps: see steps_of.
caf::error with_steps(const caf::error& why, const std::vector<agent_step>& steps);

std::vector<document> documents_of(const std::vector<agent_step>& steps);

} // namespace chainmail

// Agents: a model that decides which tools to use, round after round, until it knows the answer.
#pragma once

#include <chainmail/llm/guarded.hpp>
#include <chainmail/messages.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chainmail {

/// What an agent may use up, and what it tells of its work. The call's own deadline holds besides.
struct agent_options {
  /// Told to the model before anything else; empty for nothing.
  std::string system_prompt = {};
  /// Over the LLM's own parameters.
  llm_parameters parameters = {};
  /// Answers of the model in one call, the final one included. At least 1.
  uint32_t max_rounds = 15;
  /// Of one call of a tool. The model is told that it took too long, and the tool's call is cancelled.
  caf::timespan tool_timeout = std::chrono::seconds{30};
  /// Of one call of the agent.
  std::optional<caf::timespan> max_time = {};
  /// Of prompts and completions of one call together, as the provider counts them: once they are
  /// used up, no further round begins. Estimated where the provider does not say.
  std::optional<int64_t> max_tokens = {};
  /// The same in money, by `prices`.
  std::optional<double> max_cost = {};
  token_prices prices = {};
  /// A limit that is hit makes an answer, "Agent stopped due to max iterations." (max time, max
  /// tokens, max cost), instead of an error.
  bool answers_at_limit = false;
  /// What the model is told of one tool call; the rest is cut off, with a note. In bytes.
  size_t max_observation = 16'000;
  /// Adds the output "intermediate_steps": see steps_of.
  bool return_intermediate_steps = false;
  /// Hears of each tool call, or nobody does. Those that are under way when the agent's call is
  /// cancelled are not heard of again.
  agent_observer_actor observer = {};
};

/// The tool calls behind an agent's answer, in the order in which the model asked for them; empty when
/// it was not asked to return them. In the output "intermediate_steps" they are documents: the content
/// is the observation; the metadata are "tool", "arguments", "call_id", "thought", "round", "failed"
/// ("true" or "false"), "started" and "took" (nanoseconds).
std::vector<agent_step> steps_of(const values& outputs);

/// The tool calls that an agent made before it failed, be it at a limit, at the deadline or for its
/// LLM. Calls that were under way then are failed ones. Empty for other errors, and for those that
/// came from another node: such errors carry no steps.
std::vector<agent_step> steps_of(const caf::error& why);

/// Spawns an agent for models that call tools. In: "input", and optionally "chat_history" (chat
/// messages, or texts of human and AI in turns, or one text). Out: "output", and
/// "intermediate_steps" on request.
///
/// The calls that the model asks for in one answer are made at once. Whatever goes wrong with a call is
/// told to the model, which can do better: a tool that fails, takes too long or does not exist,
/// arguments that are no JSON or break the tool's schema (such never reach the tool), more than 64
/// calls in one answer. An error of the LLM ends the call. So does a limit that is hit: as
/// errc::timed_out for the time, else as errc::malformed_response, for the model gave no answer.
/// Errors carry the steps so far: steps_of.
/// @throws std::invalid_argument for invalid handles, for no tool or two of one name, for tools that
/// do not say what they are (see describe in tools.hpp), and for options that can never work.
chain_actor spawn_tool_agent(caf::actor_system& system, llm_actor llm,
    std::vector<tool_actor> tools, agent_options options = {});

/// Spawns an agent for any model: it asks for tools in writing, as Thought, Action and Action Input,
/// and reads the Observation. What react_text.hpp cannot read is told to the model, too. The rest is
/// the same.
/// @throws std::invalid_argument as spawn_tool_agent does.
chain_actor spawn_react_agent(caf::actor_system& system, llm_actor llm,
    std::vector<tool_actor> tools, agent_options options = {});

} // namespace chainmail

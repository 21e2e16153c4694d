// Tools for agents: plain functions, chains, retrievers, and a calculator.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace chainmail {

/// Does what a tool does. The arguments are a JSON object that fits the description's schema, when
/// they come from an agent; the result is what the model is told, and so is an error's sentence.
using tool_function = std::function<caf::expected<std::string>(const std::string& arguments)>;

/// Spawns a tool that calls `function`, which runs inside the tool's actor, one call at a time: it
/// must be quick. What it throws is errc::internal. A call whose deadline has passed is not started.
/// @throws std::invalid_argument for an empty function, and for a description with the sentence of
/// check_tool.
tool_actor spawn_tool(
    caf::actor_system& system, tool_description description, tool_function function);

/// The same for a function that waits, for a disk, a database or another process: the tool has a
/// thread of its own. Nobody can interrupt the function: an agent stops waiting for it, but the
/// actor system's end does not.
tool_actor spawn_blocking_tool(
    caf::actor_system& system, tool_description description, tool_function function);

/// Spawns a tool that runs a chain. Unless the description has a schema of its own, the chain's
/// inputs are the arguments' properties, all of them texts that must be there. The arguments are
/// read by values_from_json. The tool gives the chain's only output, or all of them by name.
/// Cancelling the tool's call cancels the chain's.
/// @throws std::invalid_argument for an invalid handle, a chain that gives no description, and for a
/// description with the sentence of check_tool.
tool_actor spawn_chain_tool(
    caf::actor_system& system, chain_actor chain, tool_description description);

/// Spawns a tool that looks documents up: argument "query". It gives at most `k` of them, each with
/// its source, best first. A description without a schema gets that one.
/// @throws std::invalid_argument for an invalid handle, and for a description with the sentence of
/// check_tool.
tool_actor spawn_retriever_tool(caf::actor_system& system, retriever_actor retriever,
    tool_description description, uint32_t k = 4);

/// Spawns a tool that evaluates one arithmetic expression: argument "expression", read by
/// evaluate_expression. It is called "calculator", and asks no model.
tool_actor spawn_calculator_tool(caf::actor_system& system);

/// errc::invalid_input, saying what is wrong, for a description that no provider takes: a name that
/// is not 1 to 64 letters, digits, '_' and '-', a description that is not UTF-8, or parameters
/// whose schema is none of an object.
caf::error check_tool(const tool_description& description);

/// The side of a tool of this process that says its description without being asked by message.
class described_tool {
public:
  virtual ~described_tool() = default;

  /// Never changes, and may be read from any thread.
  [[nodiscard]] virtual const tool_description& description() const noexcept = 0;
};

/// A tool's description: at once for the tools above, in this process. Others (tools of other nodes,
/// your own actors) are asked, and the calling thread waits for their answer.
/// @throws std::invalid_argument for an invalid handle, one that gives no description within 10 s, or
/// one that check_tool refuses; `slot` names the tool in the sentence: "tool 2 of the agent".
tool_description describe(
    caf::actor_system& system, const tool_actor& tool, const std::string& slot);

} // namespace chainmail

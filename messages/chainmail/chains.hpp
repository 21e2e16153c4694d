// What chains and gathers say of themselves and of their calls.
#pragma once

#include <chainmail/call_context.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/type_ids.hpp>
#include <chainmail/values.hpp>

#include <caf/error.hpp>
#include <caf/timespan.hpp>
#include <caf/typed_actor.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace chainmail {

/// The wiring of a chain.
struct chain_description {
  /// Inputs that must be there, sorted.
  std::vector<std::string> input_keys = {};
  /// Outputs that every answer holds, sorted.
  std::vector<std::string> output_keys = {};
};

template <class Inspector>
bool inspect(Inspector& f, chain_description& x) {
  return f.object(x).fields(
      f.field("input_keys", x.input_keys), f.field("output_keys", x.output_keys));
}

/// How one call of a gather ended.
struct outcome {
  /// Empty when there is an error.
  values result = {};
  caf::error error = {};
  /// When the call went out, counted from the start of the gather.
  caf::timespan started{0};
  /// From then to its answer.
  caf::timespan took{0};

  [[nodiscard]] bool ok() const { return !error; }
};

template <class Inspector>
bool inspect(Inspector& f, outcome& x) {
  auto get_error = [&x] { return flatten(x.error); };
  auto set_error = [&x](flat_error error) {
    x.error = to_error(std::move(error));
    return true;
  };
  return f.object(x).fields(f.field("result", x.result), f.field("error", get_error, set_error),
      f.field("started", x.started), f.field("took", x.took));
}

/// How to gather.
struct gather_options {
  /// At most this many calls are outstanding at once; the others wait their turn. At least 1.
  uint32_t max_in_flight = 10'000;
  /// Hears about each call as it ends, or nobody does.
  observer_actor observer = {};
  /// Gets the text of all calls as it comes, each chunk with the ID of its call: call number `i` of a
  /// gather has the ID context.id.child(i). Without one, the calls are no streams.
  sink_actor sink = {};
};

template <class Inspector>
bool inspect(Inspector& f, gather_options& x) {
  return f.object(x).fields(f.field("max_in_flight", x.max_in_flight),
      f.field("observer", x.observer), f.field("sink", x.sink));
}

/// Which call of a gather is over, and how far the gather is.
struct gather_progress {
  /// The gather's own ID.
  call_id id = {};
  /// Of the call, in the list of inputs.
  uint64_t index = 0;
  /// Calls that are over, this one included.
  uint64_t done = 0;
  uint64_t total = 0;
};

template <class Inspector>
bool inspect(Inspector& f, gather_progress& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("index", x.index), f.field("done", x.done),
      f.field("total", x.total));
}

/// One tool call of an agent, over.
struct agent_step {
  /// Counted from 0: the answers of the model. Calls of one round run at the same time.
  uint32_t round = 0;
  /// What the model said before it called.
  std::string thought = {};
  tool_call action = {};
  /// What the model was told: the tool's answer, or what went wrong.
  std::string observation = {};
  bool failed = false;
  /// When the tool was called, counted from the start of the agent's call.
  caf::timespan started{0};
  caf::timespan took{0};
};

template <class Inspector>
bool inspect(Inspector& f, agent_step& x) {
  return f.object(x).fields(f.field("round", x.round), f.field("thought", x.thought),
      f.field("action", x.action), f.field("observation", x.observation),
      f.field("failed", x.failed), f.field("started", x.started), f.field("took", x.took));
}

} // namespace chainmail

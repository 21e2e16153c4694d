// An LLM that says what a test tells it to.
#pragma once

#include <chainmail/llm.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <functional>
#include <string>
#include <vector>

namespace chainmail {

/// One answer of a scripted LLM: an error if there is one, else the text for every completion asked
/// for.
struct scripted_reply {
  /// Without one, all `chunks` together.
  std::string text = {};
  caf::error error = {};
  /// By the actor's clock, so a test in virtual time need not wait for it. caf::infinite for a reply
  /// that never comes by itself. Of a stream: before its first chunk.
  caf::timespan delay{0};
  /// What the model wants to have done, in every completion.
  std::vector<tool_call> tool_calls = {};
  /// The pieces that a stream gives; without them, it gives the text word by word. With an error,
  /// the stream breaks with that after these.
  std::vector<std::string> chunks = {};
  /// Between two chunks of a stream, and after the last. caf::infinite for a stream that stalls after
  /// its first.
  caf::timespan chunk_delay{0};
};

/// Decides what to answer. Runs inside the actor, one request at a time.
using llm_script = std::function<scripted_reply(const llm_request&)>;

/// Spawns an LLM that answers from `script`. Token usage counts words, one a token. It honours
/// cancel, deadlines and the credit of sinks.
llm_actor spawn_scripted_llm(caf::actor_system& system, llm_script script);

/// Spawns an LLM that gives these replies in order, then errc::internal.
llm_actor spawn_scripted_llm(caf::actor_system& system, std::vector<scripted_reply> replies);

} // namespace chainmail

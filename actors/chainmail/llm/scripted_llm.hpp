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
  std::string text = {};
  caf::error error = {};
  /// By the actor's clock, so a test in virtual time need not wait for it. caf::infinite for a reply
  /// that never comes by itself.
  caf::timespan delay{0};
  /// What the model wants to have done, in every completion.
  std::vector<tool_call> tool_calls = {};
};

/// Decides what to answer. Runs inside the actor, one request at a time.
using llm_script = std::function<scripted_reply(const llm_request&)>;

/// Spawns an LLM that answers from `script`. Token usage counts words, one a token. It honours
/// cancel and deadlines; it does not stream.
llm_actor spawn_scripted_llm(caf::actor_system& system, llm_script script);

/// Spawns an LLM that gives these replies in order, then errc::internal.
llm_actor spawn_scripted_llm(caf::actor_system& system, std::vector<scripted_reply> replies);

} // namespace chainmail

// The scripted LLM: replies held until their time has come, or their caller gives up.
#include <chainmail/caf/compat.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <map>
#include <sstream>

namespace chainmail {

namespace {

int64_t words_in(const std::string& text) {
  std::istringstream in{text};
  return std::distance(std::istream_iterator<std::string>{in}, {});
}

llm_result make_result(const llm_request& request, const scripted_reply& reply) {
  const auto& text = reply.text;
  auto prompts = std::max<size_t>(request.prompts.size(), 1);
  auto copies = prompts * request.parameters.n.value_or(1);
  llm_result result;
  result.completions.assign(
      copies, {text, reply.tool_calls.empty() ? "stop" : "tool_calls", reply.tool_calls});
  for (const auto& prompt : request.prompts)
    result.usage.prompt_tokens += words_in(prompt);
  for (const auto& message : request.messages)
    result.usage.prompt_tokens += words_in(message.content);
  result.usage.completion_tokens = words_in(text) * static_cast<int64_t>(copies);
  result.usage.total_tokens = result.usage.prompt_tokens + result.usage.completion_tokens;
  result.model = "scripted";
  return result;
}

struct scripted_llm_state {
  static constexpr const char* name = "chainmail.scripted_llm";

  using promise = caf::typed_response_promise<llm_result>;

  struct waiting {
    call_id id;
    promise caller;
    caf::expected<llm_result> answer;
  };

  scripted_llm_state(llm_actor::pointer self_ptr, llm_script chosen)
    : self(self_ptr), script(std::move(chosen)) {}

  llm_actor::behavior_type make_behavior() {
    return {
        [this](generate_atom, const llm_request& request, const call_context& context) {
          return generate(request, context);
        },
        [](stream_atom, const llm_request&, const sink_actor&,
            const call_context&) -> caf::result<llm_result> {
          return make_failure(errc::unsupported, "the scripted LLM does not stream");
        },
        [this](cancel_atom, const call_id& id) { cancel(id); },
    };
  }

  caf::result<llm_result> generate(const llm_request& request, const call_context& context) {
    auto now = self->clock().now();
    if (context.due.has_passed(now))
      return make_failure(errc::timed_out, "the deadline passed before the call was started");
    auto reply = run_script(request);
    if (!context.due.is_never() && reply.delay > context.due.at - now)
      reply = {{}, make_failure(errc::timed_out, "the scripted reply comes after the deadline"),
          context.due.at - now};
    auto caller = self->make_response_promise<llm_result>();
    auto answer = reply.error ? caf::expected<llm_result>{std::move(reply.error)}
                              : caf::expected<llm_result>{make_result(request, reply)};
    if (reply.delay.count() == 0) {
      caller.deliver(std::move(answer));
      return caller;
    }
    auto ticket = next_ticket++;
    held.emplace(ticket, waiting{context.id, caller, std::move(answer)});
    while_held = self;
    if (reply.delay != caf::timespan{caf::infinite})
      compat::run_at(self, now + reply.delay, [this, ticket] {
        if (auto due = held.extract(ticket))
          release(due.mapped());
      });
    return caller;
  }

  void release(waiting& call) {
    call.caller.deliver(std::move(call.answer));
    if (held.empty())
      while_held = nullptr;
  }

  scripted_reply run_script(const llm_request& request) {
    try {
      return script(request);
    } catch (const std::exception& error) {
      return {
          {}, make_failure(errc::internal, std::string{"the script failed: "} + error.what()), {}};
    }
  }

  void cancel(const call_id& id) {
    if (!id)
      return;
    for (auto i = held.begin(); i != held.end();) {
      auto next = std::next(i);
      if (i->second.id.root == id.root && (id.step == 0 || i->second.id == id)) {
        auto call = held.extract(i);
        call.mapped().answer = make_failure(errc::cancelled, "the caller gave the call up");
        release(call.mapped());
      }
      i = next;
    }
  }

  llm_actor::pointer self;
  llm_script script;
  std::map<uint64_t, waiting> held;
  /// Calls that are held outlive the last handle, as they do with a real LLM.
  llm_actor while_held;
  uint64_t next_ticket = 0;
};

} // namespace

llm_actor spawn_scripted_llm(caf::actor_system& system, llm_script script) {
  return system.spawn<caf::stateful_actor<scripted_llm_state, llm_actor::impl>>(std::move(script));
}

llm_actor spawn_scripted_llm(caf::actor_system& system, std::vector<scripted_reply> replies) {
  return spawn_scripted_llm(
      system, [replies = std::move(replies), next = size_t{0}](const llm_request&) mutable {
        if (next < replies.size())
          return replies[next++];
        return scripted_reply{{}, make_failure(errc::internal, "the script has no reply left"), {}};
      });
}

} // namespace chainmail

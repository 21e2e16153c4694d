// The scripted LLM: replies held until their time has come, or their caller gives up.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/sink_feed.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <algorithm>
#include <map>
#include <memory>

namespace chainmail {

namespace {

int64_t words_in(const std::string& text) {
  int64_t words = 0;
  auto in_word = false;
  for (auto c : text) {
    auto is_blank = c == ' ' || (c >= '\t' && c <= '\r');
    words += !is_blank && !in_word ? 1 : 0;
    in_word = !is_blank;
  }
  return words;
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

  using actor_type = hub_actor<llm_actor, scripted_llm_state>;
  using promise = caf::typed_response_promise<llm_result>;

  struct waiting {
    call_id id;
    promise caller;
    caf::expected<llm_result> answer;
    /// Of a stream.
    std::shared_ptr<sink_feed> feed;
    std::vector<std::string> chunks;
    size_t next_chunk = 0;
    caf::timespan chunk_delay{0};
  };

  scripted_llm_state(actor_type* self_ptr, llm_script chosen)
    : self(self_ptr), script(std::move(chosen)) {}

  hub<llm_actor>::behavior_type make_behavior() {
    return {
        replies.on_reply(),
        [this](generate_atom, const llm_request& request, const call_context& context) {
          return generate(request, context);
        },
        [this](stream_atom, const llm_request& request, const sink_actor& sink,
            const call_context& context) { return stream(request, sink, context); },
        [this](cancel_atom, const call_id& id) { cancel(id); },
    };
  }

  // -- calls ----------------------------------------------------------------------------

  caf::result<llm_result> generate(const llm_request& request, const call_context& context) {
    auto now = self->clock().now();
    if (context.due.has_passed(now))
      return make_failure(errc::timed_out, "the deadline passed before the call was started");
    auto reply = run_script(request);
    if (!context.due.is_never() && reply.delay > context.due.at - now)
      reply = {{}, make_failure(errc::timed_out, "the scripted reply comes after the deadline"),
          context.due.at - now};
    auto caller = self->make_response_promise<llm_result>();
    auto answer = answer_of(request, reply);
    if (reply.delay.count() == 0) {
      caller.deliver(std::move(answer));
      return caller;
    }
    auto ticket = hold({context.id, caller, std::move(answer), nullptr, {}});
    after(reply.delay, ticket, [this, ticket] { release(ticket); });
    return caller;
  }

  static caf::expected<llm_result> answer_of(
      const llm_request& request, const scripted_reply& reply) {
    if (reply.error)
      return reply.error;
    return make_result(request, reply);
  }

  uint64_t hold(waiting call) {
    auto ticket = next_ticket++;
    held.emplace(ticket, std::move(call));
    while_held = self;
    return ticket;
  }

  /// Runs `what` later, if the call is still held by then.
  template <class F>
  void after(caf::timespan delay, uint64_t ticket, F what) {
    if (delay != caf::timespan{caf::infinite})
      compat::run_at(self, self->clock().now() + delay, [this, ticket, what] {
        if (held.contains(ticket))
          what();
      });
  }

  void release(uint64_t ticket) {
    auto found = held.extract(ticket);
    if (!found)
      return;
    auto& call = found.mapped();
    if (call.feed) {
      call.feed->stop();
      if (!call.answer)
        call.answer = with_text_so_far(std::move(call.answer.error()), call.feed->text_so_far());
    }
    call.caller.deliver(std::move(call.answer));
    if (held.empty())
      while_held = nullptr;
  }

  void fail(uint64_t ticket, caf::error why) {
    if (auto found = held.find(ticket); found != held.end()) {
      found->second.answer = std::move(why);
      release(ticket);
    }
  }

  scripted_reply run_script(const llm_request& request) {
    try {
      auto reply = script(request);
      if (reply.text.empty())
        for (const auto& chunk : reply.chunks)
          reply.text += chunk;
      return reply;
    } catch (const std::exception& error) {
      return {
          {}, make_failure(errc::internal, std::string{"the script failed: "} + error.what()), {}};
    }
  }

  // -- streams --------------------------------------------------------------------------

  caf::result<llm_result> stream(
      const llm_request& request, const sink_actor& sink, const call_context& context) {
    auto now = self->clock().now();
    if (auto error = check_sink(sink))
      return error;
    if (context.due.has_passed(now))
      return make_failure(errc::timed_out, "the deadline passed before the call was started");
    auto reply = run_script(request);
    if (reply.chunks.empty() && !reply.error)
      reply.chunks = cut_into_chunks(reply.text, 1);
    auto answer = answer_of(request, reply);
    if (answer)
      answer->first_token = reply.delay;
    auto caller = self->make_response_promise<llm_result>();
    auto ticket = hold({context.id, caller, std::move(answer), nullptr, std::move(reply.chunks), 0,
        reply.chunk_delay});
    held.at(ticket).feed = std::make_shared<sink_feed>(
        replies, sink, context.id, context.due, [this, ticket](caf::error why) {
          if (why)
            fail(ticket, std::move(why));
          else
            release(ticket);
        });
    if (!context.due.is_never())
      after(context.due.at - now, ticket, [this, ticket] {
        fail(ticket,
            make_failure(errc::timed_out, "the deadline passed in the midst of the stream"));
      });
    if (reply.delay.count() == 0)
      give_chunk(ticket);
    else
      after(reply.delay, ticket, [this, ticket] { give_chunk(ticket); });
    return caller;
  }

  /// Gives the next chunk, to every completion, and those after it in their time.
  void give_chunk(uint64_t ticket) {
    for (auto found = held.find(ticket); found != held.end(); found = held.find(ticket)) {
      auto& call = found->second;
      if (call.next_chunk == call.chunks.size())
        return call.feed->close();
      const auto& text = call.chunks[call.next_chunk++];
      auto copies = call.answer ? call.answer->completions.size() : 1;
      for (uint32_t index = 0; index < copies; ++index)
        call.feed->push(index, text);
      if (call.chunk_delay.count() > 0)
        return after(call.chunk_delay, ticket, [this, ticket] { give_chunk(ticket); });
    }
  }

  void cancel(const call_id& id) {
    if (!id)
      return;
    std::vector<uint64_t> chosen;
    for (const auto& [ticket, call] : held)
      if (call.id.root == id.root && (id.step == 0 || call.id == id))
        chosen.push_back(ticket);
    for (auto ticket : chosen)
      fail(ticket, make_failure(errc::cancelled, "the caller gave the call up"));
  }

  actor_type* self;
  llm_script script;
  std::map<uint64_t, waiting> held;
  /// Calls that are held outlive the last handle, as they do with a real LLM.
  llm_actor while_held;
  uint64_t next_ticket = 0;
  reply_table replies{self, "the sink"};
};

} // namespace

llm_actor spawn_scripted_llm(caf::actor_system& system, llm_script script) {
  return system.spawn<scripted_llm_state::actor_type>(std::move(script));
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

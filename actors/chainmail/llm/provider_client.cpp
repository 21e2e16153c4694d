// The client actor: encode, fetch, decode, in whichever wire format.
#include <chainmail/caf/caller_runs.hpp>
#include <chainmail/caf/owned_promise.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/llm/token_counter.hpp>
#include <chainmail/llm/token_estimate.hpp>
#include <chainmail/llm/wire_format.hpp>

#include <caf/actor_system.hpp>

#include <algorithm>
#include <stdexcept>

namespace chainmail {

namespace {

/// A prompt whose tokens were estimated, to be held against what the reply reports.
struct usage_sample {
  std::string model;
  bool model_is_default;
  size_t estimated = 0;
  /// Tokens around the texts.
  int64_t overhead = 0;
};

/// Whether the request's tokens are those of its texts alone.
bool is_plain(const llm_request& request, const llm_parameters& defaults) {
  auto is_text = [](const chat_message& x) { return x.parts.empty() && x.tool_calls.empty(); };
  return request.parameters.extra.empty() && defaults.extra.empty() && request.tools.empty() &&
         request.response_schema.empty() && std::ranges::all_of(request.messages, is_text);
}

/// Null for most prompts: estimating takes 2 to 3 ns a byte.
std::shared_ptr<const usage_sample> sample(
    const llm_request& request, const wire_format& format, token_counter& counter) {
  constexpr size_t shortest = 80; // shorter ones teach nothing
  size_t bytes = 0;
  for (const auto& prompt : request.prompts)
    bytes += prompt.size();
  for (const auto& message : request.messages)
    bytes += message.content.size();
  auto model = format.model_of(request);
  if (bytes < shortest || !is_plain(request, format.defaults()) || !counter.wants_sample(model))
    return nullptr;
  auto result = std::make_shared<usage_sample>(
      usage_sample{std::string{model}, !request.parameters.model.has_value()});
  for (const auto& prompt : request.prompts)
    result->estimated += estimate_tokens(prompt);
  for (const auto& message : request.messages)
    result->estimated += estimate_tokens(message.content);
  if (format.is_chat(request)) {
    // OpenAI's count: 3 tokens and the role a message, and 3 for the reply's head.
    auto messages = std::max<size_t>(request.messages.size(), 1);
    result->overhead = static_cast<int64_t>(4 * messages + 3);
  }
  return result;
}

void learn(token_counter& counter, const usage_sample& from, const token_usage& usage) {
  auto reported = usage.prompt_tokens - from.overhead;
  counter.learn(from.model, from.estimated, reported);
  if (from.model_is_default)
    counter.learn({}, from.estimated, reported);
}

struct provider_client_state {
  static constexpr const char* name = "chainmail.llm_client";

  using actor_type = hub_actor<streaming_client_actor, provider_client_state>;

  provider_client_state(actor_type* self_ptr, http_actor engine, std::unique_ptr<wire_format> words,
      const std::shared_ptr<token_counter>& learner)
    : self(self_ptr),
      http(std::move(engine)),
      format(std::move(words)),
      counter(learner ? learner : token_counter::shared()) {}

  hub<streaming_client_actor>::behavior_type make_behavior() {
    return {
        replies.on_reply(),
        [this](generate_atom, const llm_request& request, const call_context& context) {
          return generate(request, context);
        },
        [this](stream_atom, const llm_request& request, const sink_actor& sink,
            const call_context& context) { return stream(request, sink, context); },
        [this](cancel_atom, const call_id& id) {
          compat::send(self, http, cancel_atom_v, id);
          streams.cancel(id);
        },
        streams.on_chunk(),
    };
  }

  caf::result<llm_result> generate(const llm_request& request, const call_context& context) {
    if (replies.is_full())
      return make_failure(errc::overloaded, "the LLM client has too many calls under way");
    auto call = format->prepare(request, context.id);
    if (!call)
      return std::move(call.error());
    on_reply then{this, owned_promise<llm_result>{self}, sample(request, *format, *counter),
        std::move(call->read)};
    auto pending = then.caller.pending();
    replies.ask_for<http_response>(
        http, context.due, std::move(then), fetch_atom_v, std::move(call->post), context);
    return pending;
  }

  /// What becomes of the endpoint's answer.
  struct on_reply {
    provider_client_state* client;
    owned_promise<llm_result> caller;
    std::shared_ptr<const usage_sample> sampled;
    std::function<caf::expected<llm_result>(http_response&)> read;

    void operator()(http_response& response) {
      auto result = read(response);
      if (result && sampled)
        learn(*client->counter, *sampled, result->usage);
      caller.deliver(std::move(result));
    }

    void operator()(caf::error& error) { caller.deliver(std::move(error)); }
  };

  caf::result<llm_result> stream(
      const llm_request& request, const sink_actor& sink, const call_context& context) {
    if (replies.is_full())
      return make_failure(errc::overloaded, "the LLM client has too many calls under way");
    auto what = format->prepare_stream(request, context.id);
    if (!what)
      return std::move(what.error());
    if (auto sampled = sample(request, *format, *counter))
      what->on_result = [this, sampled](const llm_result& result) {
        if (result.usage.prompt_tokens > 0)
          learn(*counter, *sampled, result.usage);
      };
    return streams.start(std::move(*what), sink, context);
  }

  actor_type* self;
  /// Outlives the replies and the streams, which read by it.
  http_actor http;
  std::unique_ptr<wire_format> format;
  std::shared_ptr<token_counter> counter;
  reply_table replies{self, "the HTTP engine"};
  stream_calls streams{self, replies, http};
};

} // namespace

llm_actor spawn_provider_client(caf::actor_system& system, http_actor http,
    std::unique_ptr<wire_format> format, std::shared_ptr<token_counter> counter) {
  if (!http)
    throw std::invalid_argument{"an LLM client needs a valid HTTP actor"};
  return system.spawn<light_actor<provider_client_state::actor_type>>(
      std::move(http), std::move(format), std::move(counter));
}

} // namespace chainmail

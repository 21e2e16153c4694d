// The OpenAI client actor: encode, fetch, decode.
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/openai_codec.hpp>
#include <chainmail/llm/openai_stream.hpp>
#include <chainmail/llm/openai_wire.hpp>
#include <chainmail/llm/stream_calls.hpp>
#include <chainmail/llm/token_counter.hpp>
#include <chainmail/llm/token_estimate.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <algorithm>
#include <memory>
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

/// Null for most prompts: estimating takes 2 to 3 ns a byte.
std::shared_ptr<const usage_sample> sample(
    const llm_request& request, const openai_options& options, openai_api api) {
  // Shorter ones teach nothing; further fields may stand for tokens, such as those of tools.
  constexpr size_t shortest = 80;
  size_t bytes = 0;
  for (const auto& prompt : request.prompts)
    bytes += prompt.size();
  for (const auto& message : request.messages)
    bytes += message.content.size();
  auto model = model_of(request, options);
  if (bytes < shortest || !request.parameters.extra.empty() || !options.defaults.extra.empty() ||
      !options.counter->wants_sample(model))
    return nullptr;
  auto result = std::make_shared<usage_sample>(
      usage_sample{std::string{model}, !request.parameters.model.has_value()});
  for (const auto& prompt : request.prompts)
    result->estimated += estimate_tokens(prompt);
  for (const auto& message : request.messages)
    result->estimated += estimate_tokens(message.content);
  if (api == openai_api::chat) {
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

struct openai_client_state {
  static constexpr const char* name = "chainmail.openai_client";

  using actor_type = hub_actor<streaming_client_actor, openai_client_state>;

  openai_client_state(actor_type* self_ptr, http_actor engine, openai_options opts)
    : self(self_ptr), http(std::move(engine)), options(std::move(opts)) {
    if (!options.counter)
      options.counter = token_counter::shared();
  }

  hub<streaming_client_actor>::behavior_type make_behavior() {
    return {
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
        replies.on_reply(),
    };
  }

  caf::result<llm_result> generate(const llm_request& request, const call_context& context) {
    if (replies.is_full())
      return make_failure(errc::overloaded, "the LLM client has too many calls under way");
    auto call = encode(request, options);
    if (!call)
      return std::move(call.error());
    const auto& endpoint = call->api == openai_api::chat ? chats : completions;
    auto post = endpoint.post(std::move(call->body), context.id);
    auto caller = self->make_response_promise<llm_result>();
    replies.ask<http_response>(
        http, context.due,
        [this, caller, &endpoint, sampled = sample(request, options, call->api),
            expected = std::move(*call)](http_response& response) mutable {
          auto result = decode(expected, response, endpoint.name(), options);
          if (result && sampled)
            learn(*options.counter, *sampled, result->usage);
          caller.deliver(std::move(result));
        },
        [caller](caf::error& error) mutable { caller.deliver(std::move(error)); }, fetch_atom_v,
        std::move(post), context);
    return caller;
  }

  caf::result<llm_result> stream(
      const llm_request& request, const sink_actor& sink, const call_context& context) {
    if (replies.is_full())
      return make_failure(errc::overloaded, "the LLM client has too many calls under way");
    auto call = encode(request, options);
    if (!call)
      return std::move(call.error());
    const auto& endpoint = call->api == openai_api::chat ? chats : completions;
    auto make_post = [&](bool with_usage) {
      auto post = endpoint.post(as_stream(call->body, with_usage), context.id);
      post.idle_timeout = options.idle_timeout;
      return post;
    };
    constexpr auto option = "stream_options";
    auto has_own =
        request.parameters.extra.contains(option) || options.defaults.extra.contains(option);
    auto asks_usage = !has_own && usage != usage_option::refused;
    stream_calls::plan what;
    what.post = make_post(asks_usage);
    what.completions = call->completions;
    what.first_token_timeout = options.first_token_timeout;
    if (auto sampled = sample(request, options, call->api))
      what.on_result = [this, sampled](const llm_result& result) {
        if (result.usage.prompt_tokens > 0)
          learn(*options.counter, *sampled, result.usage);
      };
    openai_stream_call expected;
    expected.endpoint = &endpoint.name();
    expected.options = &options;
    expected.usage = &usage;
    if (asks_usage && usage == usage_option::unknown)
      expected.without_usage = make_post(false);
    expected.expected = std::move(*call);
    expected.expected.body.clear();
    what.decoder = make_openai_stream_decoder(std::move(expected));
    return streams.start(std::move(what), sink, context);
  }

  actor_type* self;
  reply_table replies{self, "the HTTP engine"};
  http_actor http;
  openai_options options;
  provider_endpoint completions = openai_endpoint(options, "/completions");
  provider_endpoint chats = openai_endpoint(options, "/chat/completions");
  usage_option usage = usage_option::unknown;
  stream_calls streams{self, replies, http};
};

} // namespace

llm_actor spawn_openai_client(caf::actor_system& system, http_actor http, openai_options options) {
  if (!http)
    throw std::invalid_argument{"an LLM client needs a valid HTTP actor"};
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  return system.spawn<openai_client_state::actor_type>(std::move(http), std::move(options));
}

} // namespace chainmail

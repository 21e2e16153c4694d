// The OpenAI client actor: encode, fetch, decode.
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/openai_codec.hpp>
#include <chainmail/llm/openai_wire.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

struct openai_client_state {
  static constexpr const char* name = "chainmail.openai_client";

  using actor_type = hub_actor<llm_actor, openai_client_state>;

  openai_client_state(actor_type* self_ptr, http_actor engine, openai_options opts)
    : self(self_ptr), http(std::move(engine)), options(std::move(opts)) {}

  hub<llm_actor>::behavior_type make_behavior() {
    return {
        [this](generate_atom, const llm_request& request, const call_context& context) {
          return generate(request, context);
        },
        [](stream_atom, const llm_request&, const sink_actor&,
            const call_context&) -> caf::result<llm_result> {
          return make_failure(
              errc::unsupported, "the client does not stream yet: send a generate instead");
        },
        [this](cancel_atom, const call_id& id) { compat::send(self, http, cancel_atom_v, id); },
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
        [this, caller, &endpoint, expected = std::move(*call)](http_response& response) mutable {
          caller.deliver(decode(expected, response, endpoint.name(), options));
        },
        [caller](caf::error& error) mutable { caller.deliver(std::move(error)); }, fetch_atom_v,
        std::move(post), context);
    return caller;
  }

  actor_type* self;
  reply_table replies{self, "the HTTP engine"};
  http_actor http;
  openai_options options;
  openai_endpoint completions{options, "/completions"};
  openai_endpoint chats{options, "/chat/completions"};
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

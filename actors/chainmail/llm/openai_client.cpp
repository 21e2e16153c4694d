// The OpenAI client actor: encode, fetch, decode.
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/openai_codec.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <array>
#include <charconv>
#include <stdexcept>

namespace chainmail {

namespace {

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (auto c : text) {
    auto plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      result += c;
    } else {
      constexpr auto digits = "0123456789ABCDEF";
      auto byte = static_cast<unsigned char>(c);
      result += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return result;
}

secret_headers headers_of(const openai_options& options) {
  std::vector<std::string> lines{"Content-Type: application/json"};
  auto add = [&lines](const std::string& name, const std::string& value) {
    if (!value.empty())
      lines.push_back(name + ": " + value);
  };
  if (!options.key.empty() && options.api_version.empty())
    add("Authorization", "Bearer " + options.key.reveal());
  else
    add("api-key", options.key.reveal());
  add("OpenAI-Organization", options.organization);
  add("OpenAI-Project", options.project);
  for (const auto& [name, value] : options.extra_headers)
    add(name, value);
  return secret_headers{std::move(lines)};
}

std::string hex(uint64_t x) {
  std::array<char, 16> digits{};
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), x, 16).ptr;
  return {digits.data(), end};
}

struct openai_client_state {
  static constexpr const char* name = "chainmail.openai_client";

  using actor_type = hub_actor<llm_actor, openai_client_state>;

  openai_client_state(actor_type* self_ptr, http_actor engine, openai_options opts)
    : self(self_ptr),
      http(std::move(engine)),
      options(std::move(opts)),
      secrets(headers_of(options)) {
    while (options.base_url.ends_with('/'))
      options.base_url.pop_back();
    endpoints[0] = options.base_url + "/completions";
    endpoints[1] = options.base_url + "/chat/completions";
    if (!options.api_version.empty())
      query = "?api-version=" + percent_encoded(options.api_version);
  }

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
    const auto& endpoint = endpoints[call->api == openai_api::chat ? 1 : 0];
    http_request post;
    post.url = endpoint + query;
    // libcurl sends a POST again, by itself, when a kept connection turns out to be closed.
    auto id = context.id ? context.id : call_id::make();
    // The same for each attempt at a call; another for another request of the same caller.
    auto content = std::hash<std::string_view>{}(call->body);
    post.headers.push_back(
        {"Idempotency-Key", hex(id.root) + "-" + hex(id.step) + "-" + hex(content)});
    post.secrets = secrets;
    post.body = std::move(call->body);
    auto caller = self->make_response_promise<llm_result>();
    replies.ask<http_response>(
        http, context.due,
        [this, caller, &endpoint, expected = std::move(*call)](http_response& response) mutable {
          caller.deliver(decode(expected, response, endpoint, options));
        },
        [caller](caf::error& error) mutable { caller.deliver(std::move(error)); }, fetch_atom_v,
        std::move(post), context);
    return caller;
  }

  actor_type* self;
  reply_table replies{self, "the HTTP engine"};
  http_actor http;
  openai_options options;
  secret_headers secrets;
  /// Of completions and of chats, without the query.
  std::array<std::string, 2> endpoints;
  std::string query;
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

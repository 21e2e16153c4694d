// OpenAI's words for the client actor.
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/openai_codec.hpp>
#include <chainmail/llm/openai_stream.hpp>
#include <chainmail/llm/openai_wire.hpp>
#include <chainmail/llm/wire_format.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

class openai_format : public wire_format {
public:
  explicit openai_format(openai_options options) : options_(std::move(options)) {}

  caf::expected<wire_call> prepare(const llm_request& request, const call_id& id) override {
    auto call = encode(request, options_);
    if (!call)
      return std::move(call.error());
    const auto& endpoint = endpoint_of(*call);
    wire_call result;
    result.post = endpoint.post(std::move(call->body), id);
    result.read = [this, &endpoint, expected = std::move(*call)](http_response& response) {
      return decode(expected, response, endpoint.name(), options_);
    };
    return result;
  }

  caf::expected<stream_calls::plan> prepare_stream(
      const llm_request& request, const call_id& id) override {
    auto call = encode(request, options_);
    if (!call)
      return std::move(call.error());
    const auto& endpoint = endpoint_of(*call);
    auto make_post = [&](bool with_usage) {
      auto post = endpoint.post(as_stream(call->body, with_usage), id);
      post.idle_timeout = options_.idle_timeout;
      return post;
    };
    constexpr auto option = "stream_options";
    auto has_own =
        request.parameters.extra.contains(option) || options_.defaults.extra.contains(option);
    auto asks_usage = !has_own && usage_ != usage_option::refused;
    stream_calls::plan result;
    result.post = make_post(asks_usage);
    result.completions = call->completions;
    result.first_token_timeout = options_.first_token_timeout;
    openai_stream_call expected;
    expected.endpoint = &endpoint.name();
    expected.options = &options_;
    expected.usage = &usage_;
    if (asks_usage && usage_ == usage_option::unknown)
      expected.without_usage = make_post(false);
    expected.expected = std::move(*call);
    expected.expected.body.clear();
    result.decoder = make_openai_stream_decoder(std::move(expected));
    return result;
  }

  [[nodiscard]] std::string_view model_of(const llm_request& request) const override {
    return chainmail::model_of(request, options_);
  }

  [[nodiscard]] bool is_chat(const llm_request& request) const override {
    return options_.api == openai_api::chat || !request.messages.empty();
  }

  [[nodiscard]] const llm_parameters& defaults() const override { return options_.defaults; }

private:
  [[nodiscard]] const provider_endpoint& endpoint_of(const openai_call& call) const {
    return call.api == openai_api::chat ? chats_ : completions_;
  }

  openai_options options_;
  provider_endpoint completions_ = openai_endpoint(options_, "/completions");
  provider_endpoint chats_ = openai_endpoint(options_, "/chat/completions");
  usage_option usage_ = usage_option::unknown;
};

} // namespace

llm_actor spawn_openai_client(caf::actor_system& system, http_actor http, openai_options options) {
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  auto counter = options.counter;
  return spawn_provider_client(
      system, std::move(http), std::make_unique<openai_format>(std::move(options)), counter);
}

} // namespace chainmail

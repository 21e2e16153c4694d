// Anthropic's words for the client actor.
#include <chainmail/llm/anthropic_client.hpp>
#include <chainmail/llm/anthropic_codec.hpp>
#include <chainmail/llm/anthropic_stream.hpp>
#include <chainmail/llm/openai_wire.hpp>
#include <chainmail/llm/wire_format.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

std::vector<std::string> headers_of(const anthropic_options& options) {
  std::vector<std::string> lines{
      "Content-Type: application/json", "anthropic-version: " + options.version};
  if (!options.key.empty())
    lines.push_back("x-api-key: " + options.key.reveal());
  for (const auto& [name, value] : options.extra_headers)
    lines.emplace_back(name).append(": ").append(value);
  return lines;
}

class anthropic_format : public wire_format {
public:
  explicit anthropic_format(anthropic_options options) : options_(std::move(options)) {}

  caf::expected<wire_call> prepare(const llm_request& request, const call_id& id) override {
    auto call = encode(request, options_);
    if (!call)
      return std::move(call.error());
    wire_call result;
    result.post = endpoint_.post(std::move(call->body), id);
    result.read = [this, expected = std::move(*call)](http_response& response) {
      return decode(expected, response, endpoint_.name(), options_);
    };
    return result;
  }

  caf::expected<stream_calls::plan> prepare_stream(
      const llm_request& request, const call_id& id) override {
    auto call = encode(request, options_, true);
    if (!call)
      return std::move(call.error());
    stream_calls::plan result;
    result.post = endpoint_.post(std::move(call->body), id);
    result.post.idle_timeout = options_.idle_timeout;
    result.first_token_timeout = options_.first_token_timeout;
    result.decoder = make_anthropic_stream_decoder(std::move(*call), endpoint_.name(), options_);
    return result;
  }

  [[nodiscard]] std::string_view model_of(const llm_request& request) const override {
    return chainmail::model_of(request, options_);
  }

  [[nodiscard]] bool is_chat(const llm_request&) const override { return true; }

  [[nodiscard]] const llm_parameters& defaults() const override { return options_.defaults; }

private:
  anthropic_options options_;
  provider_endpoint endpoint_{messages_url(options_), {}, headers_of(options_)};
};

} // namespace

llm_actor spawn_anthropic_client(
    caf::actor_system& system, http_actor http, anthropic_options options) {
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  auto counter = options.counter;
  return spawn_provider_client(
      system, std::move(http), std::make_unique<anthropic_format>(std::move(options)), counter);
}

} // namespace chainmail

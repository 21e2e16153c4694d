// Streams in the OpenAI wire format, of completions and of chats.
#pragma once

#include <chainmail/llm/openai_codec.hpp>
#include <chainmail/llm/stream_decoder.hpp>

#include <memory>
#include <optional>
#include <string>

namespace chainmail {

/// The body of a request, with what makes its answer a stream. `with_usage` asks for the tokens too,
/// as "stream_options", which not all servers know of.
std::string as_stream(std::string body, bool with_usage);

/// What a client knows of an endpoint's "stream_options".
enum class usage_option { unknown, taken, refused };

/// What a decoder reads the answer of. All that it refers to outlives the decoder.
struct openai_stream_call {
  openai_call expected = {};
  const std::string* endpoint = nullptr;
  const openai_options* options = nullptr;
  /// What the endpoint does about the option is noted here.
  usage_option* usage = nullptr;
  /// To send when the endpoint refuses the option.
  std::optional<http_request> without_usage = {};
};

std::unique_ptr<stream_decoder> make_openai_stream_decoder(openai_stream_call call);

} // namespace chainmail

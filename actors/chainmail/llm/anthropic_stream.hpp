// Streams in Anthropic's wire format.
#pragma once

#include <chainmail/llm/anthropic_codec.hpp>
#include <chainmail/llm/stream_decoder.hpp>

#include <memory>
#include <string>

namespace chainmail {

/// Reads the stream that answers `call`. Endpoint and options outlive the decoder.
std::unique_ptr<stream_decoder> make_anthropic_stream_decoder(
    anthropic_call call, const std::string& endpoint, const anthropic_options& options);

} // namespace chainmail

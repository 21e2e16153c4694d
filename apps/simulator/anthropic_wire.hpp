// Anthropic's format: a reply as one message, or as a stream of events, and its errors.

#pragma once

#include "reply.hpp"
#include "requests.hpp"
#include "streamed_reply.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace chainmail::simulator {

/// @throws refusal
generation read_messages(std::string_view json);

std::string message_json(const model_reply& what);
std::unique_ptr<streamed_reply> anthropic_stream(model_reply what);

/// `openai_error` is the JSON text of an error in OpenAI's shape.
std::string anthropic_error(unsigned status, std::string_view openai_error);

} // namespace chainmail::simulator

// OpenAI's format: a reply as one document, or as a stream of events.

#pragma once

#include "reply.hpp"
#include "streamed_reply.hpp"

#include <memory>
#include <string>

namespace chainmail::simulator {

std::string completion_json(const model_reply& what);
std::string chat_json(const model_reply& what);

struct openai_stream_options {
  bool is_chat = true; ///< else a completion
  bool include_usage = false;
};

std::unique_ptr<streamed_reply> openai_stream(model_reply what, const openai_stream_options& opts);

} // namespace chainmail::simulator

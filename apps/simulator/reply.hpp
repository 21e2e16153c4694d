// What the simulated model says to one request, before it is written in a provider's format.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

struct tool_call {
  std::string id = {};
  std::string name = {};
  std::string arguments = {}; ///< a JSON text
};

struct choice {
  std::string text = {};
  std::vector<tool_call> calls = {};
  std::string_view reason = "stop"; ///< in OpenAI's words: "stop", "length", "tool_calls"
  std::string stop_sequence = {};   ///< which of them ended the text
};

struct model_reply {
  std::string id = {};
  std::string model = {};
  std::uint64_t created = 0; ///< Unix time
  std::vector<choice> choices = {};
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
};

/// About 4 bytes of UTF-8 per token: the rule of thumb for English, not a tokenizer.
std::uint64_t estimated_tokens(std::string_view text);

/// The token at `index` of as many as estimated_tokens() tells; none splits a character.
std::string_view token_of(std::string_view text, std::size_t index);

} // namespace chainmail::simulator

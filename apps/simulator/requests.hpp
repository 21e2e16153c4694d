// Reads the JSON text of a request into a struct, or says which field is wrong.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

/// Thrown by the readers: why a request is refused.
struct refusal {
  unsigned status = 400;
  std::string message;
  std::string param = {};
  std::string code = {};
};

/// One of a chat.
struct message {
  std::string role;
  std::string text;
};

struct tool {
  std::string name;
  std::string description = {};
  std::string parameters = {}; ///< a JSON schema
};

/// What a tool said to a call of the model.
struct tool_result {
  std::string name;
  std::string arguments; ///< of the call
  std::string text;
};

/// What the simulator needs to know of a request. Other fields are checked or ignored.
struct generation {
  std::string model;
  std::vector<std::string> prompts; ///< of a chat: its last message by the user
  std::vector<message> history;     ///< of a chat: what stands before that
  std::size_t prompt_bytes = 0;     ///< of all prompts or messages, for the usage counts
  std::size_t n = 1;
  std::optional<std::uint64_t> max_tokens;
  std::vector<std::string> stop;
  std::vector<tool> tools;          ///< those that may be called
  std::vector<tool_result> results; ///< of a chat: what stands behind its last message by the user
  bool must_call = false;           ///< one of the tools
  bool calls_one_at_a_time = false;
  bool wants_json = false;
  std::string schema; ///< of the JSON; empty: any object will do
  bool stream = false;
  bool include_usage = false; ///< at a stream's end
};

/// A `deployment` replaces the model, as in Azure's paths.
/// @throws refusal
generation read_completion(std::string_view json, std::string_view deployment);

/// @throws refusal
generation read_chat(std::string_view json, std::string_view deployment);

struct embedding_request {
  std::string model;
  std::vector<std::string> inputs;
  std::size_t input_bytes = 0;
  std::size_t dimensions = 256;
  bool as_base64 = false;
};

/// @throws refusal
embedding_request read_embeddings(std::string_view json, std::string_view deployment);

/// The longest prefix of at most `limit` bytes that does not end inside a UTF-8 sequence.
std::string_view utf8_prefix(std::string_view text, std::size_t limit);

} // namespace chainmail::simulator

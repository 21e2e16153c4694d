// How to reach an OpenAI-compatible endpoint.
#pragma once

#include <chainmail/http.hpp>
#include <chainmail/llm.hpp>

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace chainmail {

class token_counter;

/// A key that cannot be printed by accident: no operator<<, no inspect.
class api_key {
public:
  api_key() = default;
  explicit api_key(std::string text) : text_(std::move(text)) {}

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] const std::string& reveal() const { return text_; }

private:
  std::string text_;
};

/// Which of the two interfaces answers prompts. Requests with chat messages always use chat.
enum class openai_api {
  /// POST {base}/completions: one request may hold several prompts.
  completions,
  /// POST {base}/chat/completions: a prompt becomes the message of a user.
  chat,
};

/// An endpoint, and what to ask of it by default.
struct openai_options {
  /// With the version, without a trailing path: "http://127.0.0.1:8080/v1". Azure's ends in
  /// "/openai/deployments/NAME".
  std::string base_url = "https://api.openai.com/v1";
  /// May be empty for servers that want none.
  api_key key = {};
  openai_api api = openai_api::completions;
  /// Model and sampling when the request sets none. Without a model here or there, the API's usual
  /// small one. Without the others, completions get temperature 0.7 and 256 tokens (LangChain's
  /// defaults; the API's own 16 tokens cut names short), and chats are left to the server.
  llm_parameters defaults = {};
  /// Sent as OpenAI-Organization and OpenAI-Project.
  std::string organization = {};
  std::string project = {};
  /// Set for Azure-style endpoints: sent as ?api-version=, with the key as `api-key` instead of a
  /// bearer token.
  std::string api_version = {};
  /// Sent with every request, and kept as secret as the key.
  std::vector<http_header> extra_headers = {};
  /// A stream is given up whose first text or tool call takes longer, counted from when the client got
  /// the call. Zero for as long as the call's deadline allows: some models think for minutes.
  caf::timespan first_token_timeout{0};
  /// A stream is given up when nothing of it comes for so long, not counting the time that its sink
  /// holds it back. Zero for as long as the call's deadline allows.
  caf::timespan idle_timeout = std::chrono::seconds{60};
  /// Learns from the usage that replies report how many tokens each model makes. Null stands for
  /// the counter of the process.
  std::shared_ptr<token_counter> counter = {};

  /// OPENAI_API_KEY, and OPENAI_BASE_URL, OPENAI_ORG_ID, OPENAI_PROJECT_ID where they are set.
  static openai_options from_environment();
};

/// errc::invalid_input, with the field and what to do, for options that can never work.
caf::error check(const openai_options& options);

} // namespace chainmail

// How to reach an endpoint that speaks Anthropic's Messages API.
#pragma once

#include <chainmail/llm/openai_options.hpp>

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace chainmail {

/// An endpoint, and what to ask of it by default.
struct anthropic_options {
  /// With or without the version: "http://127.0.0.1:8080/v1" or what is before "/v1".
  std::string base_url = "https://api.anthropic.com";
  /// May be empty for servers that want none.
  api_key key = {};
  /// Model and sampling when the request sets none. Without a model here or there, the provider's usual
  /// small one; without max_tokens, which the API insists on, 4096.
  llm_parameters defaults = {};
  /// Sent as anthropic-version.
  std::string version = "2023-06-01";
  /// Sent with every request, and kept as secret as the key: "anthropic-beta" goes here.
  std::vector<http_header> extra_headers = {};
  /// These three as in openai_options.
  caf::timespan first_token_timeout{0};
  caf::timespan idle_timeout = std::chrono::seconds{60};
  std::shared_ptr<token_counter> counter = {};

  /// ANTHROPIC_API_KEY, and ANTHROPIC_BASE_URL where it is set.
  static anthropic_options from_environment();
};

/// errc::invalid_input, with the field and what to do, for options that can never work.
caf::error check(const anthropic_options& options);

} // namespace chainmail

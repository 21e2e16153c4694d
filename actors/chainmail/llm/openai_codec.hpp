// The OpenAI wire format: requests to JSON, responses to results or errors. No I/O, no actors.
#pragma once

#include <chainmail/http.hpp>
#include <chainmail/llm.hpp>
#include <chainmail/llm/openai_options.hpp>

#include <caf/fwd.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace chainmail {

/// A request on its way, and what its response must hold.
struct openai_call {
  /// Path and body of the POST.
  openai_api api = openai_api::completions;
  std::string body;
  /// Completions to expect: prompts times n.
  size_t completions = 1;
};

/// errc::invalid_input, naming the field, for a request that no endpoint would take: neither
/// prompts nor messages, or both; text that is not UTF-8; numbers that are not finite; extra fields
/// that are not JSON or that stand for a parameter of ours.
caf::expected<openai_call> encode(const llm_request& request, const openai_options& options);

/// The model that a request is sent to: its own, the client's default, or the API's usual small
/// one.
std::string_view model_of(const llm_request& request, const openai_options& options);

/// Reads a response to `call`. Consumes the body. `endpoint` stands in the errors; the options' key
/// and extra headers do not, even if the server repeats them.
caf::expected<llm_result> decode(const openai_call& call, http_response& response,
    const std::string& endpoint, const openai_options& options);

} // namespace chainmail

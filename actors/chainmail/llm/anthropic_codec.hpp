// Anthropic's wire format: requests to JSON, responses to results or errors. No I/O, no actors.
#pragma once

#include <chainmail/http.hpp>
#include <chainmail/llm.hpp>
#include <chainmail/llm/anthropic_options.hpp>

#include <caf/fwd.hpp>

#include <string>
#include <string_view>

namespace chainmail {

/// A request on its way, and how its response is to be read.
struct anthropic_call {
  /// Of the POST.
  std::string body = {};
  /// The answer comes as the arguments of a tool of that name, which stands for the response schema:
  /// its JSON is the text.
  bool has_answer_tool = false;
};

/// What the API calls otherwise is put into its words: system messages go out of the chat, results of
/// tools and the messages of a user become one message where they follow one another, a response schema
/// of an object becomes a tool that the model must call (but not beside tools of the request's own).
/// Parameters that the API has no word for are left out: seed, frequency and presence penalty.
/// errc::invalid_input, naming the field, for a request that no endpoint would take, and for more than
/// one prompt or completion.
caf::expected<anthropic_call> encode(
    const llm_request& request, const anthropic_options& options, bool as_stream = false);

/// The model that a request is sent to: its own, the client's default, or the provider's usual small
/// one.
std::string_view model_of(const llm_request& request, const anthropic_options& options);

/// Reads a response to `call`. Consumes the body. `endpoint` stands in the errors; the options' key
/// and extra headers do not, even if the server repeats them. Finish reasons are those of OpenAI.
caf::expected<llm_result> decode(const anthropic_call& call, http_response& response,
    const std::string& endpoint, const anthropic_options& options);

/// Where requests go: the base URL, the version and "/messages".
std::string messages_url(const anthropic_options& options);

} // namespace chainmail

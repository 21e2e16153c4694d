// The OpenAI wire format of embeddings: texts to JSON, responses to vectors or errors. No I/O, no
// actors.
#pragma once

#include <chainmail/http.hpp>
#include <chainmail/llm/openai_options.hpp>
#include <chainmail/llm/policies/retry_policy.hpp>
#include <chainmail/retrieval.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace chainmail {

/// What to ask of an endpoint's embeddings.
struct embedder_options {
  std::string model = "text-embedding-3-small";
  /// Texts in one request: 1 to 2048, which is the API's limit.
  uint32_t batch_size = 256;
  /// Requests of one call that are under way at once. At least 1.
  uint32_t concurrent_requests = 8;
  /// The numbers in a vector; 0 for as many as the model gives. Models whose name starts with
  /// "text-embedding-3" are asked for that many, and every reply is held to it.
  uint32_t dimension = 0;
  /// Of each request. Its budget is that of all calls together.
  retry_options retry = {};
};

/// errc::invalid_input, with the field and what to do, for options that can never work.
caf::error check(const embedder_options& options);

/// errc::invalid_input, naming the text by its index, for an empty text (which the API refuses) and
/// for one that is not UTF-8.
caf::error check_texts(std::span<const std::string> texts);

/// The body of a request for texts that passed check_texts. For models whose name ends in "-001"
/// newlines become spaces: those were trained without, and embed text with newlines worse. Later
/// models take text as it is.
std::string encode_embeddings(std::span<const std::string> texts, const embedder_options& options);

/// Reads the response to a request for `count` texts: base64 or numbers, whichever came, each row
/// where its index says. Consumes the body. Errors as those of decode(openai_call), and
/// errc::malformed_response naming the place where a reply is not what was asked for.
caf::expected<embeddings> decode_embeddings(size_t count, const embedder_options& asked,
    http_response& response, const std::string& endpoint, const openai_options& options);

} // namespace chainmail

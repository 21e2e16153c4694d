// What replies of providers have in common, in whichever wire format. For the .cpp files of the
// codecs: it brings RapidJSON along.
#pragma once

#include <chainmail/http.hpp>
#include <chainmail/llm.hpp>
#include <chainmail/llm/openai_options.hpp>

#include <caf/error.hpp>
#include <rapidjson/document.h>

#include <optional>
#include <string>
#include <string_view>

namespace chainmail {

using json_pool = rapidjson::MemoryPoolAllocator<>;
using json_document = rapidjson::GenericDocument<rapidjson::UTF8<>, json_pool, json_pool>;
using json_value = json_document::ValueType;

inline std::string_view view(const json_value& x) {
  return {x.GetString(), x.GetStringLength()};
}

/// Null for a member that is missing or null, and for what is no object.
const json_value* member(const json_value& object, const char* name);

/// Empty for a member that is no text.
std::string_view text_member(const json_value& object, const char* name);

/// The value as JSON; nothing for one that nests deeper than 128.
std::optional<std::string> json_text(const json_value& x);

/// Who is asked. All of it outlives the replies.
struct reply_source {
  /// Scheme, host, port and path.
  const std::string& endpoint;
  const api_key& key;
  const std::vector<http_header>& extra_headers;
  /// What to do about a key that is missing or refused.
  const char* key_advice;
};

reply_source openai_source(const std::string& endpoint, const openai_options& options);

/// A response that is being read. The key and the extra headers stand in none of its errors, even if
/// the server repeats them.
class provider_reply {
public:
  provider_reply(http_response& response, const reply_source& from)
    : response_(response), from_(from) {}
  provider_reply(
      http_response& response, const std::string& endpoint, const openai_options& options)
    : provider_reply(response, openai_source(endpoint, options)) {}
  provider_reply(const provider_reply&) = delete;
  provider_reply& operator=(const provider_reply&) = delete;

  /// The error that a status stands for, or errc::malformed_response for what is no JSON object.
  /// Consumes the body, which the texts of json() are then part of.
  caf::error parse();

  [[nodiscard]] const json_document& json() const { return json_; }

  /// errc::malformed_response; `what` ends the sentence.
  [[nodiscard]] caf::error malformed(const std::string& what) const;

  [[nodiscard]] caf::error failure(errc code, std::string sentence) const;

  /// What a server says, fit for a terminal or a log: one line of bounded length, without our
  /// secrets.
  [[nodiscard]] std::string harmless(std::string_view text) const;

  /// Counts that are missing stay as they are.
  caf::error read_usage(token_usage& into) const;

private:
  [[nodiscard]] caf::error refused() const;
  [[nodiscard]] std::string server_message() const;
  /// Empty without such a text in the body's "error".
  [[nodiscard]] std::string_view error_member(const char* name) const;
  [[nodiscard]] std::string request_id() const;
  [[nodiscard]] bool is_content_filter() const;
  [[nodiscard]] bool is_out_of_quota() const;

  http_response& response_;
  reply_source from_;
  // A reply of ordinary size is parsed without an allocation.
  char node_memory_[4096];
  char stack_memory_[1024];
  json_pool node_pool_{node_memory_, sizeof node_memory_};
  json_pool stack_pool_{stack_memory_, sizeof stack_memory_};
  json_document json_{&node_pool_, 512, &stack_pool_};
};

} // namespace chainmail

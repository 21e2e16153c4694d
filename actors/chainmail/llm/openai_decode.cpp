// Reading OpenAI responses: results where the promise is kept, errors that say where it is not.
#include <chainmail/errors.hpp>
#include <chainmail/http/retry_after.hpp>
#include <chainmail/llm/openai_codec.hpp>

#include <caf/expected.hpp>
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <chrono>
#include <string_view>

namespace chainmail {

namespace {

// Pools on the stack: a reply of ordinary size is parsed without an allocation.
using pool = rapidjson::MemoryPoolAllocator<>;
using json_document = rapidjson::GenericDocument<rapidjson::UTF8<>, pool, pool>;
using json_value = json_document::ValueType;

std::string_view view(const json_value& x) {
  return {x.GetString(), x.GetStringLength()};
}

const json_value* member(const json_value& object, const char* name) {
  if (!object.IsObject())
    return nullptr;
  auto found = object.FindMember(name);
  return found == object.MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
}

std::string_view text_member(const json_value& object, const char* name) {
  auto* found = member(object, name);
  return found != nullptr && found->IsString() ? view(*found) : std::string_view{};
}

/// What a server says goes to a terminal or a log: one line of bounded length, without our secrets.
/// Those go first: a cut might leave a part of one.
std::string harmless(std::string_view text, const openai_options& options) {
  constexpr size_t longest = 400;
  constexpr std::string_view replacement = "[key]";
  std::string result{text};
  auto redact = [&](const std::string& secret) {
    for (size_t i = 0; !secret.empty() && (i = result.find(secret, i)) != std::string::npos;
         i += replacement.size())
      result.replace(i, secret.size(), replacement);
  };
  redact(options.key.reveal());
  for (const auto& header : options.extra_headers)
    redact(header.value);
  for (auto& c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = ' ';
  if (result.size() > longest) {
    auto end = longest;
    while (end > 0 && (static_cast<unsigned char>(result[end]) & 0xc0) == 0x80)
      --end;
    result.resize(end);
    result += "...";
  }
  return result;
}

struct reader {
  const openai_call& call;
  const std::string& endpoint;
  const openai_options& options;
  int32_t status;

  [[nodiscard]] caf::error malformed(const std::string& what) const {
    return make_failure(errc::malformed_response,
        "the reply (HTTP " + std::to_string(status) + " from " + endpoint +
            ") is not what the API promises: " + what,
        {status, endpoint, std::nullopt});
  }

  // -- results ------------------------------------------------------------------------

  [[nodiscard]] caf::expected<llm_result> result(const json_document& json) const {
    if (!json.IsObject())
      return malformed("it is not a JSON object");
    if (auto* error = member(json, "error"))
      return malformed("it holds an error: " + harmless(text_member(*error, "message"), options));
    auto* choices = member(json, "choices");
    if (choices == nullptr || !choices->IsArray())
      return malformed("'choices' is missing or is no array");
    if (choices->Size() != call.completions)
      return malformed("'choices' has " + std::to_string(choices->Size()) + " entries, but " +
                       std::to_string(call.completions) + " were asked for");
    llm_result result;
    result.completions.resize(call.completions);
    std::vector<bool> seen(call.completions);
    for (rapidjson::SizeType i = 0; i < choices->Size(); ++i)
      if (auto error = choice((*choices)[i], i, result.completions, seen))
        return error;
    if (auto error = usage(json, result.usage))
      return error;
    result.model = text_member(json, "model");
    return result;
  }

  /// Choices may come in any order; their index says where they belong.
  caf::error choice(const json_value& json, size_t position, std::vector<completion>& into,
      std::vector<bool>& seen) const {
    auto place = "choices[" + std::to_string(position) + "]";
    if (!json.IsObject())
      return malformed("'" + place + "' is no object");
    auto index = position;
    if (auto* given = member(json, "index")) {
      if (!given->IsUint64() || given->GetUint64() >= into.size() || seen[given->GetUint64()])
        return malformed("'" + place + ".index' is out of range or repeated");
      index = given->GetUint64();
    }
    seen[index] = true;
    auto& out = into[index];
    out.finish_reason = text_member(json, "finish_reason");
    auto error = call.api == openai_api::chat ? chat_text(json, place, out.text)
                                              : completion_text(json, place, out.text);
    if (error)
      return error;
    if (out.text.empty() && out.finish_reason == "content_filter")
      return make_failure(errc::content_filtered,
          "the provider's content filter withheld the answer (" + endpoint + ")",
          {status, endpoint, std::nullopt});
    return {};
  }

  caf::error completion_text(
      const json_value& json, const std::string& place, std::string& out) const {
    auto* text = member(json, "text");
    if (text == nullptr || !text->IsString())
      return malformed("'" + place + ".text' is missing or is no text");
    out = view(*text);
    return {};
  }

  caf::error chat_text(const json_value& json, const std::string& place, std::string& out) const {
    auto* message = member(json, "message");
    if (message == nullptr || !message->IsObject())
      return malformed("'" + place + ".message' is missing or is no object");
    auto* content = member(*message, "content");
    if (content == nullptr) {
      if (auto refusal = text_member(*message, "refusal"); !refusal.empty())
        return make_failure(errc::content_filtered,
            "the model refused to answer: " + harmless(refusal, options),
            {status, endpoint, std::nullopt});
      if (!message->HasMember("content") && !message->HasMember("tool_calls"))
        return malformed("'" + place + ".message.content' is missing");
      return {};
    }
    if (!content->IsString())
      return malformed("'" + place + ".message.content' is no text");
    out = view(*content);
    return {};
  }

  caf::error usage(const json_document& json, token_usage& out) const {
    auto* usage = member(json, "usage");
    if (usage == nullptr)
      return {};
    if (!usage->IsObject())
      return malformed("'usage' is no object");
    auto read = [&](const char* name, int64_t& to) {
      auto* count = member(*usage, name);
      if (count != nullptr && count->IsInt64() && count->GetInt64() >= 0)
        to = count->GetInt64();
      return count == nullptr || (count->IsInt64() && count->GetInt64() >= 0);
    };
    if (!read("prompt_tokens", out.prompt_tokens) ||
        !read("completion_tokens", out.completion_tokens) ||
        !read("total_tokens", out.total_tokens))
      return malformed("a count in 'usage' is no number of tokens");
    return {};
  }

  // -- errors -------------------------------------------------------------------------

  /// What the server says of its error, in whichever of the usual shapes.
  [[nodiscard]] std::string server_message(const json_document& json, std::string_view body) const {
    if (json.HasParseError() || !json.IsObject())
      return harmless(body, options);
    if (auto* error = member(json, "error")) {
      if (error->IsString())
        return harmless(view(*error), options);
      if (auto text = text_member(*error, "message"); !text.empty())
        return harmless(text, options);
    }
    return harmless(text_member(json, "message"), options);
  }

  [[nodiscard]] bool is_content_filter(const json_document& json) const {
    if (json.HasParseError())
      return false;
    auto* error = member(json, "error");
    if (error == nullptr)
      return false;
    auto code = text_member(*error, "code");
    return code == "content_filter" || code == "content_policy_violation";
  }

  [[nodiscard]] caf::error failure(
      const json_document& json, const http_response& response, std::string_view body) const {
    auto code = errc::bad_request;
    std::string sentence = "the endpoint refused the request";
    std::string advice;
    if (is_content_filter(json)) {
      code = errc::content_filtered;
      sentence = "the provider's content filter refused the prompt";
    } else if (status == 401 || status == 403) {
      code = errc::authentication;
      sentence = options.key.empty() ? "the endpoint wants a key" : "the endpoint refused the key";
      advice = "; set OPENAI_API_KEY, or openai_options::key, to a key that may use this model";
    } else if (status == 404) {
      code = errc::not_found;
      sentence = "the endpoint knows no such model or path";
      advice = "; check the model's name and the base URL";
    } else if (status == 408) {
      code = errc::timed_out;
      sentence = "the endpoint gave up waiting";
    } else if (status == 429) {
      code = errc::rate_limited;
      sentence = "the endpoint's rate limit is reached";
    } else if (status >= 500) {
      code = errc::server_error;
      sentence = "the endpoint failed";
    } else if (status >= 300 && status < 400) {
      sentence = "the endpoint redirects, and redirects are not followed";
      advice = "; set the base URL to where it points: " +
               harmless(without_query(response.header("location")), options);
    }
    sentence += " (HTTP " + std::to_string(status) + " from " + endpoint + ")";
    if (auto said = server_message(json, body); !said.empty())
      sentence += ": " + said;
    return make_failure(code, sentence + advice,
        {status, endpoint, retry_after(response, std::chrono::system_clock::now())});
  }

  static std::string_view without_query(std::string_view url) {
    return url.substr(0, url.find_first_of("?#"));
  }
};

} // namespace

caf::expected<llm_result> decode(const openai_call& call, http_response& response,
    const std::string& endpoint, const openai_options& options) {
  char node_memory[4096];
  char stack_memory[1024];
  pool node_pool{node_memory, sizeof node_memory};
  pool stack_pool{stack_memory, sizeof stack_memory};
  json_document json{&node_pool, 512, &stack_pool};
  // Parsing in place destroys the body, and only an error needs to quote it.
  constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  reader in{call, endpoint, options, response.status};
  if (response.status < 200 || response.status >= 300) {
    json.Parse<flags>(response.body.data(), response.body.size());
    return in.failure(json, response, response.body);
  }
  json.ParseInsitu<flags>(response.body.data());
  if (json.HasParseError())
    return in.malformed(std::string{"no valid JSON at byte "} +
                        std::to_string(json.GetErrorOffset()) + " (" +
                        rapidjson::GetParseError_En(json.GetParseError()) + ")");
  return in.result(json);
}

} // namespace chainmail

// The parts of replies that all requests share: usage, and errors in whichever shape.
#include <chainmail/errors.hpp>
#include <chainmail/http/rate_limit_headers.hpp>
#include <chainmail/http/retry_after.hpp>
#include <chainmail/llm/provider_reply.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <chrono>

namespace chainmail {

namespace {

std::string_view without_query(std::string_view url) {
  return url.substr(0, url.find_first_of("?#"));
}

bool nests_deeper(const json_value& x, size_t levels) {
  auto is_deep = [&](const json_value& part) {
    return (part.IsArray() || part.IsObject()) && (levels == 0 || nests_deeper(part, levels - 1));
  };
  if (x.IsArray())
    return std::any_of(x.Begin(), x.End(), is_deep);
  return x.IsObject() && std::any_of(x.MemberBegin(), x.MemberEnd(),
                             [&](const auto& part) { return is_deep(part.value); });
}

} // namespace

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

std::optional<std::string> json_text(const json_value& x) {
  constexpr size_t deepest = 128;
  if (nests_deeper(x, deepest))
    return std::nullopt;
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer{buffer};
  x.Accept(writer);
  return std::string{buffer.GetString(), buffer.GetSize()};
}

reply_source openai_source(const std::string& endpoint, const openai_options& options) {
  return {endpoint, options.key, options.extra_headers,
      "set OPENAI_API_KEY, or openai_options::key, to a key that may use this model"};
}

caf::error provider_reply::parse() {
  constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  // Parsing in place destroys the body, and only an error needs to quote it.
  if (response_.status < 200 || response_.status >= 300) {
    json_.Parse<flags>(response_.body.data(), response_.body.size());
    return refused();
  }
  // RapidJSON checks UTF-8 byte by byte, for as long as it parses.
  if (is_utf8(response_.body))
    json_.ParseInsitu<rapidjson::kParseIterativeFlag>(response_.body.data());
  else
    json_.Parse<flags>(response_.body.data(), response_.body.size());
  if (json_.HasParseError())
    return malformed(std::string{"no valid JSON at byte "} +
                     std::to_string(json_.GetErrorOffset()) + " (" +
                     rapidjson::GetParseError_En(json_.GetParseError()) + ")");
  if (!json_.IsObject())
    return malformed("it is not a JSON object");
  if (auto* error = member(json_, "error"))
    return malformed("it holds an error: " + harmless(text_member(*error, "message")));
  return {};
}

caf::error provider_reply::malformed(const std::string& what) const {
  return failure(errc::malformed_response, "the reply (HTTP " + std::to_string(response_.status) +
                                               " from " + from_.endpoint +
                                               ") is not what the API promises: " + what);
}

caf::error provider_reply::failure(errc code, std::string sentence) const {
  return make_failure(
      code, std::move(sentence), {response_.status, from_.endpoint, {}, rate_limits_in(response_)});
}

/// Secrets go first: a cut might leave a part of one.
std::string provider_reply::harmless(std::string_view text) const {
  constexpr size_t longest = 400;
  constexpr std::string_view replacement = "[key]";
  std::string result{text};
  auto redact = [&](const std::string& secret) {
    if (secret.empty())
      return;
    std::string clean;
    size_t done = 0;
    for (size_t i = 0; (i = result.find(secret, done)) != std::string::npos;) {
      clean.append(result, done, i - done) += replacement;
      done = i + secret.size();
    }
    result = clean.append(result, done);
  };
  redact(from_.key.reveal());
  for (const auto& header : from_.extra_headers)
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

caf::error provider_reply::read_usage(token_usage& into) const {
  auto* usage = member(json_, "usage");
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
  if (!read("prompt_tokens", into.prompt_tokens) ||
      !read("completion_tokens", into.completion_tokens) ||
      !read("total_tokens", into.total_tokens))
    return malformed("a count in 'usage' is no number of tokens");
  return {};
}

/// What the server says of its error, in whichever of the usual shapes.
std::string provider_reply::server_message() const {
  if (json_.HasParseError() || !json_.IsObject())
    return harmless(response_.body);
  if (auto* error = member(json_, "error")) {
    if (error->IsString())
      return harmless(view(*error));
    if (auto text = text_member(*error, "message"); !text.empty())
      return harmless(text);
  }
  return harmless(text_member(json_, "message"));
}

std::string_view provider_reply::error_member(const char* name) const {
  if (json_.HasParseError())
    return {};
  auto* error = member(json_, "error");
  return error == nullptr ? std::string_view{} : text_member(*error, name);
}

/// What a provider's support asks for: ", request req_123", or nothing.
std::string provider_reply::request_id() const {
  for (const auto* name : {"request-id", "x-request-id"})
    if (auto id = response_.header(name); !id.empty())
      return ", request " + harmless(id);
  return {};
}

bool provider_reply::is_content_filter() const {
  auto code = error_member("code");
  return code == "content_filter" || code == "content_policy_violation";
}

bool provider_reply::is_out_of_quota() const {
  constexpr std::string_view spent = "insufficient_quota";
  return response_.status == 402 || error_member("code") == spent || error_member("type") == spent;
}

caf::error provider_reply::refused() const {
  auto status = response_.status;
  auto code = errc::bad_request;
  std::string sentence = "the endpoint refused the request";
  std::string advice;
  if (is_content_filter()) {
    code = errc::content_filtered;
    sentence = "the provider's content filter refused the prompt";
  } else if (status == 401 || status == 403) {
    code = errc::authentication;
    sentence = from_.key.empty() ? "the endpoint wants a key" : "the endpoint refused the key";
    advice = std::string{"; "} + from_.key_advice;
  } else if (status == 404) {
    code = errc::not_found;
    sentence = "the endpoint knows no such model or path";
    advice = "; check the model's name and the base URL";
  } else if (status == 408) {
    code = errc::timed_out;
    sentence = "the endpoint gave up waiting";
  } else if ((status == 402 || status == 429) && is_out_of_quota()) {
    code = errc::authentication; // waiting does not help
    sentence = "the account has no quota left";
    advice = "; check its plan and billing";
  } else if (status == 429) {
    code = errc::rate_limited;
    sentence = "the endpoint's rate limit is reached";
  } else if (status >= 500) {
    constexpr int overloaded = 529;
    code = errc::server_error;
    sentence = status == overloaded ? "the endpoint is overloaded" : "the endpoint failed";
  } else if (status >= 300 && status < 400) {
    sentence = "the endpoint redirects, and redirects are not followed";
    advice = "; set the base URL to where it points: " +
             harmless(without_query(response_.header("location")));
  }
  sentence += " (HTTP " + std::to_string(status) + " from " + from_.endpoint + request_id() + ")";
  if (auto said = server_message(); !said.empty())
    sentence += ": " + said;
  return make_failure(code, sentence + advice,
      {status, from_.endpoint, retry_after(response_, std::chrono::system_clock::now()),
          rate_limits_in(response_)});
}

} // namespace chainmail

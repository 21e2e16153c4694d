// Reading OpenAI streams, one event after the other.
#include <chainmail/errors.hpp>
#include <chainmail/http/rate_limit_headers.hpp>
#include <chainmail/llm/openai_stream.hpp>
#include <chainmail/llm/provider_reply.hpp>

#include <charconv>
#include <utility>

namespace chainmail {

namespace {

/// Text or a number, as text: both are in use for codes.
std::string code_member(const json_value& object, const char* name) {
  auto* found = member(object, name);
  if (found != nullptr && found->IsInt64())
    return std::to_string(found->GetInt64());
  return std::string{text_member(object, name)};
}

/// The status that an error in a stream would have had as a response; 0 when its code is none.
int status_in(std::string_view code) {
  auto status = 0;
  auto end = std::from_chars(code.data(), code.data() + code.size(), status).ptr;
  return end == code.data() + code.size() && status >= 400 && status < 600 ? status : 0;
}

/// The error's kind, by its code and its type: servers use one, the other or both.
errc kind_of(const std::string& code, const std::string& type) {
  auto is = [&](std::string_view word) { return code == word || type == word; };
  if (is("insufficient_quota") || is("authentication_error") || is("invalid_api_key"))
    return errc::authentication;
  if (is("rate_limit_exceeded") || is("rate_limit_error") || is("requests") || is("tokens"))
    return errc::rate_limited;
  if (is("content_filter") || is("content_policy_violation"))
    return errc::content_filtered;
  switch (auto status = status_in(code)) {
  case 0:
    break;
  case 401:
  case 403:
    return errc::authentication;
  case 404:
    return errc::not_found;
  case 408:
    return errc::timed_out;
  case 429:
    return errc::rate_limited;
  default:
    return status < 500 ? errc::bad_request : errc::server_error;
  }
  return is("invalid_request_error") ? errc::bad_request : errc::server_error;
}

class openai_stream_decoder : public stream_decoder {
public:
  explicit openai_stream_decoder(openai_stream_call call) : call_(std::move(call)) {}

  caf::error read(sse_event& event, stream_result& into) override {
    if (is_done_)
      return {};
    if (event.data == "[DONE]") {
      is_done_ = true;
      into.set_complete();
      return {};
    }
    if (event.data.empty())
      return {};
    char node_memory[4096];
    char stack_memory[1024];
    json_pool nodes{node_memory, sizeof node_memory};
    json_pool stack{stack_memory, sizeof stack_memory};
    json_document json{&nodes, 512, &stack};
    // Code points may be cut in two: stream_result sees to the encoding.
    json.ParseInsitu<rapidjson::kParseIterativeFlag>(event.data.data());
    if (json.HasParseError())
      return malformed(
          "an event is no valid JSON at byte " + std::to_string(json.GetErrorOffset()));
    if (!json.IsObject())
      return malformed("an event is not a JSON object");
    if (auto* error = member(json, "error"))
      return reported(*error);
    if (event.name == "error")
      return reported(json);
    if (into.model.empty())
      into.model = text_member(json, "model");
    if (auto* usage = member(json, "usage"))
      read_usage(*usage, into.usage);
    auto* choices = member(json, "choices");
    if (choices == nullptr)
      return {};
    if (!choices->IsArray())
      return malformed("'choices' is no array");
    for (const auto& choice : choices->GetArray())
      if (auto error = read_choice(choice, into))
        return error;
    return {};
  }

  caf::error finish(const http_response& head, llm_result& result) override {
    if (*call_.usage == usage_option::unknown && call_.without_usage)
      *call_.usage = usage_option::taken;
    result.limits = rate_limits_in(head);
    for (const auto& one : result.completions) {
      for (const auto& call : one.tool_calls)
        if (call.name.empty())
          return malformed("a tool call names no function");
      if (!one.text.empty() || !one.tool_calls.empty())
        continue;
      if (one.finish_reason == "content_filter")
        return failure(errc::content_filtered,
            "the provider's content filter withheld the answer (" + *call_.endpoint + ")", &head);
      if (!refusal_.empty())
        return failure(
            errc::content_filtered, "the model refused to answer: " + harmless(refusal_), &head);
    }
    return {};
  }

  caf::expected<llm_result> read_whole(http_response& response) override {
    return decode(call_.expected, response, *call_.endpoint, *call_.options);
  }

  std::optional<http_request> instead(const http_response& refusal) override {
    if (!call_.without_usage || refusal.status < 400 || refusal.status >= 500 ||
        refusal.body.find("stream_options") == std::string::npos)
      return std::nullopt;
    *call_.usage = usage_option::refused;
    return std::exchange(call_.without_usage, std::nullopt);
  }

private:
  caf::error read_choice(const json_value& choice, stream_result& into) {
    if (!choice.IsObject())
      return malformed("a choice is no object");
    size_t index = 0;
    if (auto* given = member(choice, "index")) {
      if (!given->IsUint64() || given->GetUint64() >= into.size())
        return malformed("the index of a choice is out of range");
      index = given->GetUint64();
    }
    // Completions have text, chats a delta.
    into.add_text(index, text_member(choice, "text"));
    if (auto* delta = member(choice, "delta")) {
      into.add_text(index, text_member(*delta, "content"));
      refusal_ += text_member(*delta, "refusal");
      if (auto* calls = member(*delta, "tool_calls"))
        if (auto error = read_tool_calls(*calls, index, into))
          return error;
    }
    into.set_finish_reason(index, text_member(choice, "finish_reason"));
    return {};
  }

  caf::error read_tool_calls(const json_value& calls, size_t index, stream_result& into) const {
    if (!calls.IsArray())
      return malformed("'tool_calls' is no array");
    for (rapidjson::SizeType i = 0; i < calls.Size(); ++i) {
      const auto& call = calls[i];
      if (!call.IsObject())
        return malformed("a tool call is no object");
      auto* position = member(call, "index");
      if (position != nullptr && !position->IsUint64())
        return malformed("the index of a tool call is no number");
      auto* function = member(call, "function");
      std::string text;
      into.add_tool_call(index, position == nullptr ? i : position->GetUint64(),
          text_member(call, "id"),
          function == nullptr ? std::string_view{} : text_member(*function, "name"),
          function == nullptr ? std::string_view{} : arguments_of(*function, text));
    }
    return {};
  }

  /// Text, or the object itself, which some servers send.
  static std::string_view arguments_of(const json_value& function, std::string& text) {
    if (auto* found = member(function, "arguments"); found != nullptr && found->IsObject())
      return text = json_text(*found).value_or("");
    return text_member(function, "arguments");
  }

  /// Counts that are missing, or are none, stay as they are: the text is worth more.
  static void read_usage(const json_value& usage, token_usage& into) {
    auto read = [&usage](const char* name, int64_t& to) {
      auto* count = member(usage, name);
      if (count != nullptr && count->IsInt64() && count->GetInt64() >= 0)
        to = count->GetInt64();
    };
    read("prompt_tokens", into.prompt_tokens);
    read("completion_tokens", into.completion_tokens);
    read("total_tokens", into.total_tokens);
  }

  // -- errors -------------------------------------------------------------------------------

  /// What the server says went wrong, after it had answered with a 200.
  [[nodiscard]] caf::error reported(const json_value& error) const {
    auto said = error.IsString() ? view(error) : text_member(error, "message");
    auto kind = kind_of(code_member(error, "code"), code_member(error, "type"));
    auto sentence = "the endpoint ended the stream with an error (" + *call_.endpoint + ")";
    if (!said.empty())
      sentence += ": " + harmless(said);
    return failure(kind, std::move(sentence));
  }

  [[nodiscard]] caf::error malformed(const std::string& what) const {
    return failure(errc::malformed_response,
        "the stream from " + *call_.endpoint + " is not what the API promises: " + what);
  }

  [[nodiscard]] caf::error failure(
      errc code, std::string sentence, const http_response* head = nullptr) const {
    error_detail detail;
    detail.http_status = 200;
    detail.endpoint = *call_.endpoint;
    if (head != nullptr)
      detail.limits = rate_limits_in(*head);
    return make_failure(code, std::move(sentence), std::move(detail));
  }

  [[nodiscard]] std::string harmless(std::string_view text) const {
    http_response none;
    return provider_reply{none, *call_.endpoint, *call_.options}.harmless(text);
  }

  openai_stream_call call_;
  std::string refusal_;
  bool is_done_ = false;
};

} // namespace

std::string as_stream(std::string body, bool with_usage) {
  body.pop_back();
  body += R"(,"stream":true)";
  if (with_usage)
    body += R"(,"stream_options":{"include_usage":true})";
  return body += '}';
}

std::unique_ptr<stream_decoder> make_openai_stream_decoder(openai_stream_call call) {
  return std::make_unique<openai_stream_decoder>(std::move(call));
}

} // namespace chainmail

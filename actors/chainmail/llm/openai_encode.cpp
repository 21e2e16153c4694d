// Writing OpenAI requests.
#include <chainmail/errors.hpp>
#include <chainmail/llm/openai_codec.hpp>

#include <caf/expected.hpp>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace chainmail {

namespace {

using json_writer = rapidjson::Writer<rapidjson::StringBuffer, rapidjson::UTF8<>, rapidjson::UTF8<>,
    rapidjson::CrtAllocator, rapidjson::kWriteValidateEncodingFlag>;

/// Fields that have a place of their own in llm_request, and "stream", which changes the response.
constexpr std::array<std::string_view, 14> reserved = {"model", "prompt", "messages", "temperature",
    "max_tokens", "top_p", "frequency_penalty", "presence_penalty", "n", "best_of", "seed", "user",
    "stop", "stream"};

/// Writes an object and remembers the first thing that could not be written.
class request_writer {
public:
  request_writer() { json_.StartObject(); }

  void text(const char* field, std::string_view what) {
    json_.Key(field);
    string(field, what);
  }

  void texts(const char* field, const std::vector<std::string>& list) {
    json_.Key(field);
    json_.StartArray();
    for (const auto& what : list)
      string(field, what);
    json_.EndArray();
  }

  void number(const char* field, double x) {
    json_.Key(field);
    if (!json_.Double(x))
      fail(field, "is not a finite number");
  }

  void integer(const char* field, int64_t x) {
    json_.Key(field);
    json_.Int64(x);
  }

  template <class T>
  void optional(const char* field, const std::optional<T>& x) {
    if (!x)
      return;
    if constexpr (std::is_same_v<T, double>)
      number(field, *x);
    else if constexpr (std::is_same_v<T, std::string>)
      text(field, *x);
    else
      integer(field, static_cast<int64_t>(*x));
  }

  void messages(const std::vector<chat_message>& list) {
    json_.Key("messages");
    json_.StartArray();
    for (const auto& message : list) {
      json_.StartObject();
      text("role", message.role);
      text("content", message.content);
      json_.EndObject();
    }
    json_.EndArray();
  }

  void raw(const std::string& field, const std::string& json) {
    rapidjson::Document parsed;
    parsed.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
        json.data(), json.size());
    if (parsed.HasParseError())
      return fail(field.c_str(), "is not valid JSON");
    if (std::find(reserved.begin(), reserved.end(), field) != reserved.end())
      return fail(
          field.c_str(), "cannot be passed as an extra field; llm_parameters has its place");
    string_key(field);
    json_.RawValue(json.data(), json.size(), parsed.GetType());
  }

  caf::expected<std::string> finish() {
    json_.EndObject();
    if (!problem_.empty())
      return make_failure(errc::invalid_input, problem_);
    return std::string{buffer_.GetString(), buffer_.GetSize()};
  }

private:
  void string(const char* field, std::string_view what) {
    if (!json_.String(what.data(), static_cast<rapidjson::SizeType>(what.size())))
      fail(field, "holds text that is not valid UTF-8");
  }

  void string_key(const std::string& field) {
    if (!json_.Key(field.data(), static_cast<rapidjson::SizeType>(field.size())))
      fail("extra", "holds a field name that is not valid UTF-8");
  }

  void fail(const char* field, const char* what) {
    if (problem_.empty())
      problem_ = std::string{"the request's field '"} + field + "' " + what;
  }

  rapidjson::StringBuffer buffer_;
  json_writer json_{buffer_};
  std::string problem_;
};

template <class T>
const std::optional<T>& either(const std::optional<T>& first, const std::optional<T>& second) {
  return first ? first : second;
}

void write_parameters(
    request_writer& out, const llm_parameters& mine, const llm_parameters& theirs, openai_api api) {
  auto is_chat = api == openai_api::chat;
  auto temperature = either(mine.temperature, theirs.temperature);
  auto max_tokens = either(mine.max_tokens, theirs.max_tokens);
  if (!is_chat) {
    temperature = temperature.value_or(0.7);
    max_tokens = max_tokens.value_or(256);
    out.optional("best_of", either(mine.best_of, theirs.best_of));
  }
  out.optional("temperature", temperature);
  out.optional("max_tokens", max_tokens);
  out.optional("top_p", either(mine.top_p, theirs.top_p));
  out.optional("frequency_penalty", either(mine.frequency_penalty, theirs.frequency_penalty));
  out.optional("presence_penalty", either(mine.presence_penalty, theirs.presence_penalty));
  out.optional("n", either(mine.n, theirs.n));
  out.optional("seed", either(mine.seed, theirs.seed));
  out.optional("user", either(mine.user, theirs.user));
  for (const auto& [field, json] : mine.extra)
    out.raw(field, json);
  for (const auto& [field, json] : theirs.extra)
    if (!mine.extra.contains(field))
      out.raw(field, json);
}

openai_api api_of(const llm_request& request, const openai_options& options) {
  return request.messages.empty() ? options.api : openai_api::chat;
}

} // namespace

std::string_view model_of(const llm_request& request, const openai_options& options) {
  if (const auto& named = either(request.parameters.model, options.defaults.model))
    return *named;
  return api_of(request, options) == openai_api::chat ? "gpt-4o-mini" : "gpt-3.5-turbo-instruct";
}

caf::expected<openai_call> encode(const llm_request& request, const openai_options& options) {
  auto invalid = [](const char* sentence) { return make_failure(errc::invalid_input, sentence); };
  if (request.prompts.empty() == request.messages.empty())
    return invalid("an LLM request holds either prompts or messages: exactly one of them");
  openai_call call;
  call.api = api_of(request, options);
  if (call.api == openai_api::chat && request.prompts.size() > 1)
    return invalid("a chat model takes one prompt a request; gather several requests instead");
  auto n = either(request.parameters.n, options.defaults.n).value_or(1);
  if (n == 0)
    return invalid("the request's field 'n' must be at least 1");
  call.completions = n * std::max<size_t>(request.prompts.size(), 1);
  request_writer out;
  out.text("model", model_of(request, options));
  if (call.api == openai_api::completions)
    out.texts("prompt", request.prompts);
  else if (!request.messages.empty())
    out.messages(request.messages);
  else
    out.messages({{"user", request.prompts.front()}});
  write_parameters(out, request.parameters, options.defaults, call.api);
  if (!request.stop.empty())
    out.texts("stop", request.stop);
  auto body = out.finish();
  if (!body)
    return std::move(body.error());
  call.body = std::move(*body);
  return call;
}

} // namespace chainmail

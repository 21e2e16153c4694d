// Reading OpenAI completions: results where the promise is kept, errors that say where it is not.
#include <chainmail/errors.hpp>
#include <chainmail/http/rate_limit_headers.hpp>
#include <chainmail/llm/openai_codec.hpp>
#include <chainmail/llm/provider_reply.hpp>

#include <caf/expected.hpp>

namespace chainmail {

namespace {

struct openai_reader {
  const openai_call& call;
  const std::string& endpoint;
  const provider_reply& reply;

  [[nodiscard]] caf::expected<llm_result> result() const {
    const auto& json = reply.json();
    auto* choices = member(json, "choices");
    if (choices == nullptr || !choices->IsArray())
      return reply.malformed("'choices' is missing or is no array");
    if (choices->Size() != call.completions)
      return reply.malformed("'choices' has " + std::to_string(choices->Size()) + " entries, but " +
                             std::to_string(call.completions) + " were asked for");
    llm_result result;
    result.completions.resize(call.completions);
    std::vector<bool> seen(call.completions);
    for (rapidjson::SizeType i = 0; i < choices->Size(); ++i)
      if (auto error = choice((*choices)[i], i, result.completions, seen))
        return error;
    if (auto error = reply.read_usage(result.usage))
      return error;
    result.model = text_member(json, "model");
    return result;
  }

  /// Choices may come in any order; their index says where they belong.
  caf::error choice(const json_value& json, size_t position, std::vector<completion>& into,
      std::vector<bool>& seen) const {
    auto place = "choices[" + std::to_string(position) + "]";
    if (!json.IsObject())
      return reply.malformed("'" + place + "' is no object");
    auto index = position;
    if (auto* given = member(json, "index")) {
      if (!given->IsUint64() || given->GetUint64() >= into.size() || seen[given->GetUint64()])
        return reply.malformed("'" + place + ".index' is out of range or repeated");
      index = given->GetUint64();
    }
    seen[index] = true;
    auto& out = into[index];
    out.finish_reason = text_member(json, "finish_reason");
    auto error = call.api == openai_api::chat ? chat_message(json, place, out)
                                              : completion_text(json, place, out.text);
    if (error)
      return error;
    if (out.text.empty() && out.tool_calls.empty() && out.finish_reason == "content_filter")
      return reply.failure(errc::content_filtered,
          "the provider's content filter withheld the answer (" + endpoint + ")");
    return {};
  }

  caf::error completion_text(
      const json_value& json, const std::string& place, std::string& out) const {
    auto* text = member(json, "text");
    if (text == nullptr || !text->IsString())
      return reply.malformed("'" + place + ".text' is missing or is no text");
    out = view(*text);
    return {};
  }

  caf::error chat_message(const json_value& json, const std::string& place, completion& out) const {
    auto* message = member(json, "message");
    if (message == nullptr || !message->IsObject())
      return reply.malformed("'" + place + ".message' is missing or is no object");
    if (auto* calls = member(*message, "tool_calls"))
      if (auto error = tool_calls(*calls, place + ".message.tool_calls", out.tool_calls))
        return error;
    auto* content = member(*message, "content");
    if (content != nullptr)
      return content_text(*content, place + ".message.content", out.text);
    if (!out.tool_calls.empty())
      return {};
    if (auto refusal = text_member(*message, "refusal"); !refusal.empty())
      return reply.failure(
          errc::content_filtered, "the model refused to answer: " + reply.harmless(refusal));
    if (!message->HasMember("content") && !message->HasMember("tool_calls"))
      return reply.malformed("'" + place + ".message.content' is missing");
    return {};
  }

  /// Text; some servers make an array of parts of it.
  caf::error content_text(
      const json_value& json, const std::string& place, std::string& out) const {
    if (json.IsString()) {
      out = view(json);
      return {};
    }
    auto are_parts = json.IsArray() && !json.Empty();
    for (rapidjson::SizeType i = 0; are_parts && i < json.Size(); ++i) {
      are_parts = json[i].IsObject();
      out += text_member(json[i], "text");
    }
    return are_parts ? caf::error{} : reply.malformed("'" + place + "' is no text");
  }

  caf::error tool_calls(
      const json_value& json, const std::string& place, std::vector<tool_call>& out) const {
    if (!json.IsArray())
      return reply.malformed("'" + place + "' is no array");
    for (rapidjson::SizeType i = 0; i < json.Size(); ++i) {
      auto* function = member(json[i], "function");
      auto name = function == nullptr ? std::string_view{} : text_member(*function, "name");
      if (name.empty())
        return reply.malformed("'" + place + "[" + std::to_string(i) + "]' names no function");
      auto& wanted = out.emplace_back();
      wanted.name = name;
      wanted.id = text_member(json[i], "id");
      if (wanted.id.empty())
        wanted.id = "call_" + std::to_string(i);
      // Some servers send the object, not its text.
      auto* arguments = member(*function, "arguments");
      if (arguments == nullptr)
        continue;
      auto text = arguments->IsString() ? std::optional{std::string{view(*arguments)}}
                                        : json_text(*arguments);
      if (!text)
        return reply.malformed("the arguments in '" + place + "' nest too deep");
      wanted.arguments = std::move(*text);
    }
    return {};
  }
};

} // namespace

caf::expected<llm_result> decode(const openai_call& call, http_response& response,
    const std::string& endpoint, const openai_options& options) {
  provider_reply reply{response, endpoint, options};
  if (auto error = reply.parse())
    return error;
  auto result = openai_reader{call, endpoint, reply}.result();
  if (result)
    result->limits = rate_limits_in(response);
  return result;
}

} // namespace chainmail

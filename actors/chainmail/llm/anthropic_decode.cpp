// Reading Anthropic's messages.
#include <chainmail/errors.hpp>
#include <chainmail/http/rate_limit_headers.hpp>
#include <chainmail/llm/anthropic_codec.hpp>
#include <chainmail/llm/anthropic_wire.hpp>

#include <caf/expected.hpp>

#include <array>
#include <utility>

namespace chainmail {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> reasons = {
    {{"end_turn", "stop"}, {"stop_sequence", "stop"}, {"max_tokens", "length"},
        {"model_context_window_exceeded", "length"}, {"tool_use", "tool_calls"},
        {"refusal", "content_filter"}}};

struct anthropic_reader {
  const anthropic_call& call;
  const provider_reply& reply;

  [[nodiscard]] caf::expected<llm_result> result() const {
    const auto& json = reply.json();
    auto* content = member(json, "content");
    if (content == nullptr || !content->IsArray())
      return reply.malformed("'content' is missing or is no array");
    llm_result result;
    auto& out = result.completions.emplace_back();
    for (rapidjson::SizeType i = 0; i < content->Size(); ++i)
      if (auto error = block((*content)[i], "content[" + std::to_string(i) + "]", out))
        return error;
    out.finish_reason = finish_reason_of(text_member(json, "stop_reason"));
    if (call.has_answer_tool && out.finish_reason == "tool_calls" && out.tool_calls.empty())
      out.finish_reason = "stop";
    if (out.text.empty() && out.tool_calls.empty() && out.finish_reason == "content_filter")
      return reply.failure(errc::content_filtered, "the model refused to answer");
    if (auto* usage = member(json, "usage"))
      read_usage(*usage, result.usage);
    result.model = text_member(json, "model");
    return result;
  }

  /// Kinds of blocks that are not known are passed over: thoughts, and what is yet to come.
  caf::error block(const json_value& json, const std::string& place, completion& out) const {
    if (!json.IsObject())
      return reply.malformed("'" + place + "' is no object");
    auto type = text_member(json, "type");
    if (type == "text") {
      out.text += text_member(json, "text");
      return {};
    }
    if (type != "tool_use")
      return {};
    auto name = text_member(json, "name");
    if (name.empty())
      return reply.malformed("'" + place + ".name' is missing or is no text");
    std::optional<std::string> input{"{}"};
    if (auto* given = member(json, "input"))
      input = json_text(*given);
    if (!input)
      return reply.malformed("'" + place + ".input' nests too deep");
    if (call.has_answer_tool && name == answer_tool) {
      out.text += *input;
      return {};
    }
    auto& wanted = out.tool_calls.emplace_back();
    wanted.name = name;
    wanted.id = text_member(json, "id");
    if (wanted.id.empty())
      wanted.id = "call_" + std::to_string(out.tool_calls.size() - 1);
    wanted.arguments = std::move(*input);
    return {};
  }
};

} // namespace

reply_source anthropic_source(const std::string& endpoint, const anthropic_options& options) {
  return {endpoint, options.key, options.extra_headers,
      "set ANTHROPIC_API_KEY, or anthropic_options::key, to a key that may use this model"};
}

std::string_view finish_reason_of(std::string_view stop_reason) {
  for (const auto& [theirs, ours] : reasons)
    if (theirs == stop_reason)
      return ours;
  return stop_reason;
}

void read_usage(const json_value& usage, token_usage& into) {
  auto count = [&usage](const char* name) -> std::optional<int64_t> {
    auto* found = member(usage, name);
    auto is_count = found != nullptr && found->IsInt64() && found->GetInt64() >= 0;
    return is_count ? std::optional{found->GetInt64()} : std::nullopt;
  };
  // What came from the provider's cache, or went there, is not part of the first.
  if (auto input = count("input_tokens"))
    into.prompt_tokens = *input + count("cache_read_input_tokens").value_or(0) +
                         count("cache_creation_input_tokens").value_or(0);
  if (auto output = count("output_tokens"))
    into.completion_tokens = *output;
  into.total_tokens = into.prompt_tokens + into.completion_tokens;
}

caf::expected<llm_result> decode(const anthropic_call& call, http_response& response,
    const std::string& endpoint, const anthropic_options& options) {
  provider_reply reply{response, anthropic_source(endpoint, options)};
  if (auto error = reply.parse())
    return error;
  auto result = anthropic_reader{call, reply}.result();
  if (result)
    result->limits = rate_limits_in(response);
  return result;
}

} // namespace chainmail

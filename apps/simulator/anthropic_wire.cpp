// Writes replies as Anthropic does.

#include "anthropic_wire.hpp"

#include "json_text.hpp"

#include <rapidjson/document.h>

#include <utility>

namespace chainmail::simulator {

namespace {

std::string_view stop_reason_of(const choice& what) {
  if (!what.stop_sequence.empty())
    return "stop_sequence";
  if (what.reason == "length")
    return "max_tokens";
  return what.reason == "tool_calls" ? "tool_use" : "end_turn";
}

bool has_text(const choice& what) {
  return !what.text.empty() || what.calls.empty();
}

void put_stop(json_writer& json, const choice& what) {
  put(json, "stop_reason", stop_reason_of(what));
  if (what.stop_sequence.empty())
    put_null(json, "stop_sequence");
  else
    put(json, "stop_sequence", what.stop_sequence);
}

void put_head(json_writer& json, const model_reply& what) {
  put(json, "id", what.id);
  put(json, "type", "message");
  put(json, "role", "assistant");
  put(json, "model", what.model);
}

void put_usage(json_writer& json, std::uint64_t input, std::uint64_t output) {
  json.Key("usage");
  json.StartObject();
  put(json, "input_tokens", input);
  put(json, "output_tokens", output);
  json.EndObject();
}

class stream : public streamed_reply {
public:
  using streamed_reply::streamed_reply;

  void append_error(std::string& events) const override {
    event(events, "error",
        R"("error":{"type":"overloaded_error","message":"Overloaded: a simulated fault"})");
  }

protected:
  void open(std::string& events) override {
    rapidjson::StringBuffer buffer;
    json_writer json(buffer);
    json.StartObject();
    put_head(json, whole());
    json.Key("content");
    json.StartArray();
    json.EndArray();
    put_null(json, "stop_reason");
    put_null(json, "stop_sequence");
    put_usage(json, whole().prompt_tokens, 1);
    json.EndObject();
    event(events, "message_start", "\"message\":" + text_of(buffer));
    events += "event: ping\ndata: {\"type\":\"ping\"}\n\n";
  }

  void append(std::string& events, const piece& next) override {
    const auto& what = whole().choices[next.choice];
    auto block = next.call == nullptr ? 0 : next.call_index + (has_text(what) ? 1 : 0);
    auto index = "\"index\":" + std::to_string(block);
    if (next.is_first)
      event(events, "content_block_start", index + ",\"content_block\":" + empty_block(next));
    auto delta =
        index + (next.call == nullptr ? R"(,"delta":{"type":"text_delta","text":)"
                                      : R"(,"delta":{"type":"input_json_delta","partial_json":)");
    append_json_string(delta, next.text);
    event(events, "content_block_delta", delta + '}');
    if (next.is_last)
      event(events, "content_block_stop", index);
  }

  void end_choice(std::string&, std::size_t) override {}

  void close(std::string& events) override {
    rapidjson::StringBuffer buffer;
    json_writer json(buffer);
    json.StartObject();
    put_stop(json, whole().choices.front());
    json.EndObject();
    event(events, "message_delta",
        "\"delta\":" + text_of(buffer) +
            ",\"usage\":{\"output_tokens\":" + std::to_string(whole().completion_tokens) + '}');
    events += "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
  }

private:
  static std::string empty_block(const piece& next) {
    if (next.call == nullptr)
      return R"({"type":"text","text":""})";
    std::string block = R"({"type":"tool_use","id":)";
    append_json_string(block, next.call->id);
    block += ",\"name\":";
    append_json_string(block, next.call->name);
    return block + ",\"input\":{}}";
  }

  static void event(std::string& events, std::string_view type, std::string_view fields) {
    events.append("event: ").append(type).append("\ndata: {\"type\":\"").append(type);
    events.append("\",").append(fields).append("}\n\n");
  }
};

} // namespace

std::string message_json(const model_reply& what) {
  const auto& only = what.choices.front();
  rapidjson::StringBuffer buffer;
  json_writer json(buffer);
  json.StartObject();
  put_head(json, what);
  json.Key("content");
  json.StartArray();
  if (has_text(only)) {
    json.StartObject();
    put(json, "type", "text");
    put(json, "text", only.text);
    json.EndObject();
  }
  for (const auto& call : only.calls) {
    json.StartObject();
    put(json, "type", "tool_use");
    put(json, "id", call.id);
    put(json, "name", call.name);
    json.Key("input");
    json.RawValue(call.arguments.data(), call.arguments.size(), rapidjson::kObjectType);
    json.EndObject();
  }
  json.EndArray();
  put_stop(json, only);
  put_usage(json, what.prompt_tokens, what.completion_tokens);
  json.EndObject();
  return text_of(buffer);
}

std::unique_ptr<streamed_reply> anthropic_stream(model_reply what) {
  return std::make_unique<stream>(std::move(what));
}

std::string anthropic_error(unsigned status, std::string_view openai_error) {
  auto type_of = [status]() -> std::string_view {
    switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
    }
  };
  rapidjson::Document source;
  source.Parse(openai_error.data(), openai_error.size());
  const auto& message = source["error"]["message"];
  rapidjson::StringBuffer buffer;
  json_writer json(buffer);
  json.StartObject();
  put(json, "type", "error");
  json.Key("error");
  json.StartObject();
  put(json, "type", type_of());
  put(json, "message", std::string_view(message.GetString(), message.GetStringLength()));
  json.EndObject();
  json.EndObject();
  return text_of(buffer);
}

} // namespace chainmail::simulator

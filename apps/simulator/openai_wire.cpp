// Writes replies as OpenAI does.

#include "openai_wire.hpp"

#include "json_text.hpp"

#include <utility>

namespace chainmail::simulator {

namespace {

// -- documents ----------------------------------------------------------------

void put_head(json_writer& json, const model_reply& what, std::string_view object) {
  put(json, "id", what.id);
  put(json, "object", object);
  put(json, "created", what.created);
  put(json, "model", what.model);
}

void put_usage(json_writer& json, const model_reply& what) {
  json.Key("usage");
  json.StartObject();
  put(json, "prompt_tokens", what.prompt_tokens);
  put(json, "completion_tokens", what.completion_tokens);
  put(json, "total_tokens", what.prompt_tokens + what.completion_tokens);
  json.EndObject();
}

void put_message(json_writer& json, const choice& what) {
  json.Key("message");
  json.StartObject();
  put(json, "role", "assistant");
  if (what.text.empty() && !what.calls.empty())
    put_null(json, "content");
  else
    put(json, "content", what.text);
  put_null(json, "refusal");
  if (!what.calls.empty()) {
    json.Key("tool_calls");
    json.StartArray();
    for (const auto& call : what.calls) {
      json.StartObject();
      put(json, "id", call.id);
      put(json, "type", "function");
      json.Key("function");
      json.StartObject();
      put(json, "name", call.name);
      put(json, "arguments", call.arguments);
      json.EndObject();
      json.EndObject();
    }
    json.EndArray();
  }
  json.EndObject();
}

template <class PutContent>
std::string write_document(
    const model_reply& what, std::string_view object, PutContent put_content) {
  rapidjson::StringBuffer buffer;
  json_writer json(buffer);
  json.StartObject();
  put_head(json, what, object);
  json.Key("choices");
  json.StartArray();
  std::uint64_t index = 0;
  for (const auto& one : what.choices) {
    json.StartObject();
    put(json, "index", index++);
    put_content(json, one);
    put_null(json, "logprobs");
    put(json, "finish_reason", one.reason);
    json.EndObject();
  }
  json.EndArray();
  put_usage(json, what);
  json.EndObject();
  return text_of(buffer);
}

// -- streams ------------------------------------------------------------------

class stream : public streamed_reply {
public:
  stream(model_reply what, const openai_stream_options& opts)
    : streamed_reply(std::move(what)), is_chat_(opts.is_chat), has_usage_(opts.include_usage) {
    rapidjson::StringBuffer buffer;
    json_writer json(buffer);
    json.StartObject();
    put_head(json, whole(), is_chat_ ? "chat.completion.chunk" : "text_completion");
    head_ = "data: " + text_of(buffer) + ",\"choices\":[";
  }

  void append_error(std::string& events) const override {
    events += "data: {\"error\":{\"message\":\"The server had an error while streaming (simulated "
              "fault).\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";
  }

protected:
  void open(std::string& events) override {
    if (!is_chat_)
      return;
    for (std::size_t i = 0; i < whole().choices.size(); ++i) {
      const auto& one = whole().choices[i];
      bool has_text = !one.text.empty() || one.calls.empty();
      chunk(events, i, [&] {
        events += R"("delta":{"role":"assistant","content":)";
        events += has_text ? R"("","refusal":null})" : R"(null,"refusal":null})";
      });
    }
  }

  void append(std::string& events, const piece& next) override {
    chunk(events, next.choice, [&] {
      if (next.call != nullptr) {
        append_call(events, next);
        return;
      }
      events += is_chat_ ? R"("delta":{"content":)" : R"("text":)";
      append_json_string(events, next.text);
      if (is_chat_)
        events += '}';
    });
  }

  void end_choice(std::string& events, std::size_t index) override {
    auto reason = whole().choices[index].reason;
    chunk(
        events, index, [&] { events += is_chat_ ? R"("delta":{})" : R"("text":"")"; }, reason);
  }

  void close(std::string& events) override {
    if (has_usage_) {
      rapidjson::StringBuffer buffer;
      json_writer json(buffer);
      json.StartObject();
      put_usage(json, whole());
      json.EndObject();
      events += head_ + "]," + text_of(buffer).substr(1) + "\n\n";
    }
    events += "data: [DONE]\n\n";
  }

private:
  static void append_call(std::string& events, const piece& next) {
    events += R"("delta":{"tool_calls":[{"index":)" + std::to_string(next.call_index);
    if (next.is_first) {
      events += R"(,"id":)";
      append_json_string(events, next.call->id);
      events += R"(,"type":"function","function":{"name":)";
      append_json_string(events, next.call->name);
      events += R"(,"arguments":)";
    } else {
      events += R"(,"function":{"arguments":)";
    }
    append_json_string(events, next.text);
    events += "}}]}";
  }

  template <class Content>
  void chunk(
      std::string& events, std::size_t index, Content content, std::string_view reason = {}) {
    events += head_;
    events += "{\"index\":" + std::to_string(index) + ',';
    content();
    events += ",\"logprobs\":null,\"finish_reason\":";
    reason.empty() ? events += "null" : events.append("\"").append(reason).append("\"");
    events += has_usage_ ? "}],\"usage\":null}\n\n" : "}]}\n\n";
  }

  std::string head_; ///< what every event begins with
  bool is_chat_;
  bool has_usage_;
};

} // namespace

std::string completion_json(const model_reply& what) {
  return write_document(what, "text_completion",
      [](json_writer& json, const choice& one) { put(json, "text", one.text); });
}

std::string chat_json(const model_reply& what) {
  return write_document(what, "chat.completion", put_message);
}

std::unique_ptr<streamed_reply> openai_stream(model_reply what, const openai_stream_options& opts) {
  return std::make_unique<stream>(std::move(what), opts);
}

} // namespace chainmail::simulator

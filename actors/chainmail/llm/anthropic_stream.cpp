// Reading Anthropic's streams, one event after the other.
#include <chainmail/errors.hpp>
#include <chainmail/http/rate_limit_headers.hpp>
#include <chainmail/llm/anthropic_stream.hpp>
#include <chainmail/llm/anthropic_wire.hpp>

namespace chainmail {

namespace {

/// What the API's error types stand for.
errc kind_of(std::string_view type) {
  if (type == "authentication_error" || type == "permission_error" || type == "billing_error")
    return errc::authentication;
  if (type == "rate_limit_error")
    return errc::rate_limited;
  if (type == "not_found_error")
    return errc::not_found;
  if (type == "timeout_error")
    return errc::timed_out;
  if (type == "invalid_request_error" || type == "request_too_large")
    return errc::bad_request;
  return errc::server_error;
}

class anthropic_stream_decoder : public stream_decoder {
public:
  anthropic_stream_decoder(
      anthropic_call call, const std::string& endpoint, const anthropic_options& options)
    : call_(std::move(call)), endpoint_(endpoint), options_(options) {}

  caf::error read(sse_event& event, stream_result& into) override {
    if (event.data.empty())
      return {};
    json_document json;
    json.ParseInsitu<rapidjson::kParseIterativeFlag>(event.data.data());
    if (json.HasParseError())
      return malformed(
          "an event is no valid JSON at byte " + std::to_string(json.GetErrorOffset()));
    if (!json.IsObject())
      return malformed("an event is not a JSON object");
    auto type = text_member(json, "type");
    if (type.empty())
      type = event.name;
    if (type == "error")
      return reported(json);
    if (type == "message_start")
      return read_start(json, into);
    if (type == "content_block_start")
      return read_block_start(json, into);
    if (type == "content_block_delta")
      return read_delta(json, into);
    if (type == "message_delta")
      read_message_delta(json, into);
    else if (type == "message_stop")
      into.set_complete();
    return {}; // pings, ends of blocks, and what is yet to come
  }

  caf::error finish(const http_response& head, llm_result& result) override {
    result.limits = rate_limits_in(head);
    auto& one = result.completions.front();
    for (auto& call : one.tool_calls)
      if (call.arguments.empty()) // of a tool without any
        call.arguments = "{}";
    if (one.text.empty() && one.tool_calls.empty() && one.finish_reason == "content_filter")
      return failure(errc::content_filtered, "the model refused to answer");
    return {};
  }

  caf::expected<llm_result> read_whole(http_response& response) override {
    return decode(call_, response, endpoint_, options_);
  }

  std::optional<http_request> instead(const http_response&) override { return std::nullopt; }

private:
  caf::error read_start(const json_value& json, stream_result& into) const {
    auto* message = member(json, "message");
    if (message == nullptr || !message->IsObject())
      return malformed("a message_start without a message");
    into.model = text_member(*message, "model");
    if (auto* usage = member(*message, "usage"))
      read_usage(*usage, into.usage);
    return {};
  }

  caf::error read_block_start(const json_value& json, stream_result& into) {
    auto* block = member(json, "content_block");
    if (block == nullptr || !block->IsObject())
      return malformed("a content_block_start without a block");
    auto type = text_member(*block, "type");
    if (type == "text")
      into.add_text(0, text_member(*block, "text"));
    if (type != "tool_use")
      return {};
    uint64_t position = 0;
    if (auto error = read_index(json, position))
      return error;
    auto name = text_member(*block, "name");
    if (call_.has_answer_tool && name == answer_tool)
      answer_block_ = position;
    else
      into.add_tool_call(0, position, text_member(*block, "id"), name, {});
    return {};
  }

  caf::error read_delta(const json_value& json, stream_result& into) const {
    auto* delta = member(json, "delta");
    if (delta == nullptr || !delta->IsObject())
      return malformed("a content_block_delta without a delta");
    auto type = text_member(*delta, "type");
    if (type == "text_delta") {
      into.add_text(0, text_member(*delta, "text"));
    } else if (type == "input_json_delta") {
      uint64_t position = 0;
      if (auto error = read_index(json, position))
        return error;
      auto piece = text_member(*delta, "partial_json");
      if (position == answer_block_)
        into.add_text(0, piece);
      else
        into.add_tool_call(0, position, {}, {}, piece);
    }
    return {};
  }

  void read_message_delta(const json_value& json, stream_result& into) const {
    if (auto* usage = member(json, "usage"))
      read_usage(*usage, into.usage);
    auto* delta = member(json, "delta");
    if (delta == nullptr)
      return;
    auto reason = finish_reason_of(text_member(*delta, "stop_reason"));
    into.set_finish_reason(0, answer_block_ && reason == "tool_calls" ? "stop" : reason);
  }

  caf::error read_index(const json_value& json, uint64_t& into) const {
    auto* index = member(json, "index");
    if (index == nullptr || !index->IsUint64())
      return malformed("the index of a block is missing or is no number");
    into = index->GetUint64();
    return {};
  }

  // -- errors -------------------------------------------------------------------------------

  /// What the server says went wrong, after it had answered with a 200.
  [[nodiscard]] caf::error reported(const json_value& json) const {
    auto* error = member(json, "error");
    auto type = error == nullptr ? std::string_view{} : text_member(*error, "type");
    auto said = error == nullptr ? std::string_view{} : text_member(*error, "message");
    auto sentence = "the endpoint ended the stream with an error (" + endpoint_ + ")";
    if (!said.empty())
      sentence += ": " + harmless(said);
    return failure(kind_of(type), std::move(sentence));
  }

  [[nodiscard]] caf::error malformed(const std::string& what) const {
    return failure(errc::malformed_response,
        "the stream from " + endpoint_ + " is not what the API promises: " + what);
  }

  [[nodiscard]] caf::error failure(errc code, std::string sentence) const {
    error_detail detail;
    detail.http_status = 200;
    detail.endpoint = endpoint_;
    return make_failure(code, std::move(sentence), std::move(detail));
  }

  [[nodiscard]] std::string harmless(std::string_view text) const {
    http_response none;
    return provider_reply{none, anthropic_source(endpoint_, options_)}.harmless(text);
  }

  anthropic_call call_;
  const std::string& endpoint_;
  const anthropic_options& options_;
  /// The block whose input is the text.
  std::optional<uint64_t> answer_block_;
};

} // namespace

std::unique_ptr<stream_decoder> make_anthropic_stream_decoder(
    anthropic_call call, const std::string& endpoint, const anthropic_options& options) {
  return std::make_unique<anthropic_stream_decoder>(std::move(call), endpoint, options);
}

} // namespace chainmail

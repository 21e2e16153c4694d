// Streams as Anthropic writes them.
#include <chainmail/errors.hpp>
#include <chainmail/llm/anthropic_stream.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace anthropic_stream_test {

using namespace chainmail;
using namespace std::literals;

namespace {

const std::string endpoint = "http://host/v1/messages";

anthropic_options with_secrets() {
  anthropic_options result;
  result.key = api_key{"sk-ant-secret"};
  return result;
}

const anthropic_options options = with_secrets();

/// One stream under test.
struct anthropic_stream {
  stream_result result{1};
  std::unique_ptr<stream_decoder> decoder = make_anthropic_stream_decoder({}, endpoint, options);

  caf::error event(std::string data, std::string name = {}) {
    sse_event what{std::move(name), std::move(data)};
    return decoder->read(what, result);
  }

  void start() {
    CHECK(!event(R"({"type":"message_start","message":{"id":"msg_1","type":"message",)"
                 R"("role":"assistant","model":"claude-x","content":[],"stop_reason":null,)"
                 R"("usage":{"input_tokens":25,"output_tokens":1}}})"));
  }

  void stop(const std::string& reason) {
    CHECK(!event(R"({"type":"message_delta","delta":{"stop_reason":")" + reason +
                 R"(","stop_sequence":null},"usage":{"output_tokens":15}})"));
    CHECK(!event(R"({"type":"message_stop"})"));
  }

  caf::expected<llm_result> finish(http_response head = {}) {
    auto whole = result.take();
    if (auto error = decoder->finish(head, whole))
      return error;
    return whole;
  }
};

/// The recorded shape of a stream: its bytes.
constexpr auto recorded =
    "event: message_start\n"
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","
    "\"role\":\"assistant\",\"content\":[],\"model\":\"claude-x\",\"stop_reason\":null,"
    "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n"
    "event: content_block_start\n"
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
    "\"text\":\"\"}}\n\n"
    "event: ping\ndata: {\"type\": \"ping\"}\n\n"
    "event: content_block_delta\n"
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
    "\"text\":\"Ol\u00e1\"}}\n\n"
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
    "event: content_block_start\n"
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\","
    "\"id\":\"toolu_1\",\"name\":\"weather\",\"input\":{}}}\n\n"
    "event: content_block_delta\n"
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
    "\"partial_json\":\"\"}}\n\n"
    "event: content_block_delta\n"
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
    "\"partial_json\":\"{\\\"city\\\": \\\"Ro\"}}\n\n"
    "event: content_block_delta\n"
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
    "\"partial_json\":\"me\\\"}\"}}\n\n"
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
    "event: message_delta\n"
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\","
    "\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"sv;

} // namespace

TEST_CASE("a stream of Anthropic, cut anywhere, is its text, its tool calls and its usage") {
  for (size_t cut = 0; cut <= recorded.size(); ++cut) {
    anthropic_stream stream;
    sse_parser parser;
    auto on_event = [&](sse_event& event) { return stream.decoder->read(event, stream.result); };
    auto error = parser.feed(recorded.substr(0, cut), on_event);
    if (!error)
      error = parser.feed(recorded.substr(cut), on_event);
    INFO("cut at " << cut);
    REQUIRE_FALSE(error);
    REQUIRE(stream.result.is_complete());
    auto result = stream.finish();
    REQUIRE(result);
    const auto& one = result->completions.front();
    REQUIRE(one.text == "Ol\u00e1");
    REQUIRE(one.finish_reason == "tool_calls");
    REQUIRE(
        one.tool_calls == std::vector<tool_call>{{"toolu_1", "weather", R"({"city": "Rome"})"}});
    REQUIRE(result->model == "claude-x");
    REQUIRE(result->usage.prompt_tokens == 25);
    REQUIRE(result->usage.completion_tokens == 15);
    REQUIRE(result->usage.total_tokens == 40);
  }
}

TEST_CASE_METHOD(anthropic_stream, "a tool without arguments gets an empty object") {
  start();
  CHECK(!event(R"({"type":"content_block_start","index":0,"content_block":)"
               R"({"type":"tool_use","id":"t","name":"now","input":{}}})"));
  CHECK(!event(R"({"type":"content_block_stop","index":0})"));
  stop("tool_use");
  CHECK(finish()->completions.front().tool_calls == std::vector<tool_call>{{"t", "now", "{}"}});
}

TEST_CASE_METHOD(anthropic_stream, "the answer of an answer tool streams as text") {
  decoder = make_anthropic_stream_decoder({{}, true}, endpoint, options);
  start();
  CHECK(!event(R"({"type":"content_block_start","index":0,"content_block":)"
               R"({"type":"tool_use","id":"t","name":"answer","input":{}}})"));
  CHECK(!event(R"({"type":"content_block_delta","index":0,"delta":)"
               R"({"type":"input_json_delta","partial_json":"{\"a\":"}})"));
  CHECK(result.next_piece()->text == "{\"a\":");
  CHECK(!event(R"({"type":"content_block_delta","index":0,"delta":)"
               R"({"type":"input_json_delta","partial_json":"1}"}})"));
  stop("tool_use");
  auto whole = finish();
  REQUIRE(whole);
  CHECK(whole->text() == "{\"a\":1}");
  CHECK(whole->completions.front().finish_reason == "stop");
  CHECK(whole->completions.front().tool_calls.empty());
}

TEST_CASE_METHOD(anthropic_stream, "thoughts, pings and unknown events are passed over") {
  start();
  CHECK(!event(R"({"type":"ping"})"));
  CHECK(!event("", "ping"));
  CHECK(!event(R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking"}})"));
  CHECK(!event(R"({"type":"content_block_delta","index":0,"delta":)"
               R"({"type":"thinking_delta","thinking":"hm"}})"));
  CHECK(!event(R"({"type":"something_new","x":[1]})"));
  CHECK_FALSE(result.has_output());
  CHECK_FALSE(result.is_complete());
}

TEST_CASE_METHOD(anthropic_stream, "an error in a stream of Anthropic ends it, without the key") {
  start();
  auto error = event(R"({"type":"error","error":{"type":"overloaded_error",)"
                     R"("message":"Overloaded, sk-ant-secret"}})");
  CHECK(error == errc::server_error);
  CHECK(sentence_of(error).find("Overloaded, [key]") != std::string::npos);
  CHECK(detail_of(error)->endpoint == endpoint);
  auto kind = [this](const std::string& type) {
    return event(R"({"error":{"type":")" + type + "\"}}", "error");
  };
  CHECK(kind("rate_limit_error") == errc::rate_limited);
  CHECK(kind("authentication_error") == errc::authentication);
  CHECK(kind("permission_error") == errc::authentication);
  CHECK(kind("invalid_request_error") == errc::bad_request);
  CHECK(kind("api_error") == errc::server_error);
  CHECK(event(R"({"type":"error"})") == errc::server_error);
}

TEST_CASE_METHOD(anthropic_stream, "events that break the promise are malformed") {
  CHECK(event("{") == errc::malformed_response);
  CHECK(event("[]") == errc::malformed_response);
  CHECK(event(R"({"type":"message_start"})") == errc::malformed_response);
  CHECK(event(R"({"type":"content_block_start","index":0})") == errc::malformed_response);
  CHECK(event(R"({"type":"content_block_delta","index":0,"delta":1})") == errc::malformed_response);
  CHECK(event(R"({"type":"content_block_start","index":-1,"content_block":{"type":"tool_use"}})") ==
        errc::malformed_response);
  CHECK(event(R"({"type":"content_block_delta","delta":{"type":"input_json_delta"}})") ==
        errc::malformed_response);
  CHECK(event(std::string(100'000, '[')) == errc::malformed_response);
}

TEST_CASE_METHOD(anthropic_stream, "a stream without an answer that was refused is an error") {
  start();
  stop("refusal");
  auto whole = finish();
  REQUIRE_FALSE(whole);
  CHECK(whole.error() == errc::content_filtered);
}

TEST_CASE_METHOD(anthropic_stream, "a response that is no stream is read as a whole") {
  http_response whole;
  whole.status = 200;
  whole.body = R"({"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"})";
  CHECK(decoder->read_whole(whole)->text() == "hi");
  http_response refused;
  refused.status = 529;
  refused.body = R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})";
  CHECK_FALSE(decoder->instead(refused));
  CHECK(decoder->read_whole(refused).error() == errc::server_error);
}

} // namespace anthropic_stream_test

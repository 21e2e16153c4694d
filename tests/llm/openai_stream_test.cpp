// Streams as OpenAI and those who copied it write them.
#include <chainmail/llm/openai_stream.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace openai_stream_test {

using namespace chainmail;
using namespace std::literals;

namespace {

/// One stream under test.
struct fixture {
  const std::string endpoint = "http://host/v1/chat/completions";
  openai_options options;
  usage_option usage = usage_option::unknown;
  stream_result result{1};
  std::unique_ptr<stream_decoder> decoder = make({});

  std::unique_ptr<stream_decoder> make(std::optional<http_request> without_usage) {
    openai_stream_call call;
    call.endpoint = &endpoint;
    call.options = &options;
    call.usage = &usage;
    call.without_usage = std::move(without_usage);
    return make_openai_stream_decoder(std::move(call));
  }

  caf::error event(std::string data, std::string name = {}) {
    sse_event what{std::move(name), std::move(data)};
    return decoder->read(what, result);
  }

  /// One choice of index 0.
  caf::error choice(const std::string& fields) {
    return event(R"({"choices":[{"index":0,)" + fields + "}]}");
  }

  caf::error delta(const std::string& fields) {
    return choice(R"("delta":{)" + fields + R"(},"finish_reason":null)");
  }

  caf::expected<llm_result> finish(http_response head = {}) {
    auto whole = result.take();
    if (auto error = decoder->finish(head, whole))
      return error;
    return whole;
  }
};

http_response response(int32_t status, std::string body) {
  http_response result;
  result.status = status;
  result.body = std::move(body);
  return result;
}

} // namespace

TEST_CASE("the body of a request becomes that of a stream") {
  CHECK(as_stream(R"({"model":"m"})", true) ==
        R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})");
  CHECK(as_stream(R"({"model":"m"})", false) == R"({"model":"m","stream":true})");
}

TEST_CASE_METHOD(fixture, "a chat's stream is its deltas, its reason and its usage") {
  CHECK(
      !event(R"({"id":"x","object":"chat.completion.chunk","model":"gpt-x","choices":[{"index":0,)"
             R"("delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null})"));
  CHECK(!result.has_output());
  CHECK(!delta(R"("content":"Hel")"));
  CHECK(!delta(R"("content":"lo")"));
  CHECK(!choice(R"("delta":{},"finish_reason":"stop")"));
  CHECK(!event(
      R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}})"));
  CHECK(result.is_complete());
  CHECK(!event("[DONE]"));
  auto whole = finish();
  REQUIRE(whole);
  CHECK(whole->text() == "Hello");
  CHECK(whole->completions.at(0).finish_reason == "stop");
  CHECK(whole->usage.prompt_tokens == 3);
  CHECK(whole->usage.completion_tokens == 2);
  CHECK(whole->usage.total_tokens == 5);
  CHECK(whole->model == "gpt-x");
}

TEST_CASE_METHOD(fixture, "a completion's stream is its texts, by index") {
  result = stream_result{3};
  CHECK(!event(R"({"choices":[{"text":"a","index":2,"finish_reason":null}]})"));
  CHECK(!event(R"({"choices":[{"text":"b","index":0},{"text":"c","index":2}]})"));
  CHECK(!event(R"({"choices":[{"text":"","index":2,"finish_reason":"length"}]})"));
  CHECK(!result.is_complete());
  CHECK(!event("[DONE]"));
  auto whole = finish();
  REQUIRE(whole);
  CHECK(whole->completions.at(0).text == "b");
  CHECK(whole->completions.at(1).text.empty());
  CHECK(whole->completions.at(2).text == "ac");
  CHECK(whole->completions.at(2).finish_reason == "length");
}

TEST_CASE_METHOD(fixture, "optional fields may be missing, and unknown ones be there") {
  CHECK(!event(R"({})"));
  CHECK(!event(R"({"choices":[]})"));
  CHECK(!event(R"({"choices":null,"prompt_filter_results":[]})"));
  CHECK(!event(R"({"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":"?"}})"));
  CHECK(!event(R"({"choices":[{"delta":{"content":null,"reasoning":"hm"},"logprobs":null}]})"));
  CHECK(!event(R"({"choices":[{"delta":null,"finish_reason":null}]})"));
  CHECK(!event(R"({"choices":[{"delta":{"content":"b"}}],"x":[1,{"y":2}]})", "message"));
  CHECK(!event(""));
  CHECK(!result.is_complete());
  CHECK(!event("[DONE]"));
  CHECK(result.is_complete());
  auto whole = finish();
  REQUIRE(whole);
  CHECK(whole->text() == "ab");
  CHECK(whole->usage.prompt_tokens == 0);
}

TEST_CASE_METHOD(fixture, "what follows the end is passed over") {
  CHECK(!delta(R"("content":"a")"));
  CHECK(!event("[DONE]"));
  CHECK(!delta(R"("content":"b")"));
  CHECK(!event("no JSON"));
  CHECK(finish()->text() == "a");
}

TEST_CASE_METHOD(fixture, "tool calls come with ID and name first, and arguments in pieces") {
  CHECK(!delta(R"("role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_a",)"
               R"("type":"function","function":{"name":"search","arguments":""}}])"));
  CHECK(!delta(R"("tool_calls":[{"index":0,"function":{"arguments":"{\"q\":"}}])"));
  CHECK(!delta(R"("tool_calls":[{"index":0,"function":{"arguments":"1}"}},)"
               R"({"index":1,"id":"call_b","function":{"name":"add","arguments":"{}"}}])"));
  CHECK(!choice(R"("delta":{},"finish_reason":"tool_calls")"));
  auto whole = finish();
  REQUIRE(whole);
  CHECK(whole->completions.at(0).tool_calls ==
        std::vector<tool_call>{{"call_a", "search", R"({"q":1})"}, {"call_b", "add", "{}"}});
  CHECK(whole->completions.at(0).finish_reason == "tool_calls");
}

TEST_CASE_METHOD(fixture, "tool calls without positions are told apart by their order") {
  CHECK(!delta(R"("tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},)"
               R"({"id":"b","function":{"name":"g","arguments":"{}"}}])"));
  CHECK(finish()->completions.at(0).tool_calls ==
        std::vector<tool_call>{{"a", "f", "{}"}, {"b", "g", "{}"}});
}

TEST_CASE_METHOD(fixture, "the arguments of a tool call may be an object") {
  CHECK(!delta(R"("tool_calls":[{"id":"a","function":{"name":"f","arguments":{"q":[1]}}}])"));
  CHECK(
      finish()->completions.at(0).tool_calls == std::vector<tool_call>{{"a", "f", R"({"q":[1]})"}});
}

TEST_CASE_METHOD(fixture, "a tool call without a name is not what the API promises") {
  CHECK(!delta(R"("tool_calls":[{"index":0,"function":{"arguments":"{}"}}])"));
  CHECK(finish().error() == errc::malformed_response);
}

TEST_CASE_METHOD(fixture, "a code point that two events share reaches the sink whole") {
  CHECK(!delta("\"content\":\"\xE4\xB8\""));
  CHECK(!result.next_piece());
  CHECK(!delta("\"content\":\"\x96\""));
  CHECK(result.next_piece()->text == "世");
}

TEST_CASE_METHOD(fixture, "an event that is not what the API promises ends the stream") {
  auto data = GENERATE("no JSON", "[]", "3", R"({"choices":3})", R"({"choices":[3]})",
      R"({"choices":[{"index":1,"delta":{"content":"a"}}]})", R"({"choices":[{"index":-1}]})",
      R"({"choices":[{"index":"0"}]})", R"({"choices":[{"delta":{"tool_calls":3}}]})",
      R"({"choices":[{"delta":{"tool_calls":[3]}}]})",
      R"({"choices":[{"delta":{"tool_calls":[{"index":-1}]}}]})", R"({"choices":[)",
      R"({"choices":[{"delta":{"content":"\ud800"}}]})");
  INFO(data);
  auto error = event(data);
  CHECK(error == errc::malformed_response);
  CHECK(sentence_of(error).find(endpoint) != std::string::npos);
  CHECK(detail_of(error)->endpoint == endpoint);
}

TEST_CASE_METHOD(fixture, "nesting without end is an error, not the end of the stack") {
  CHECK(event(std::string(1'000'000, '[')) == errc::malformed_response);
}

TEST_CASE_METHOD(fixture, "an error in the stream has the code that it would have as a response") {
  auto [body, code] = GENERATE(table<std::string, errc>({
      {R"({"message":"m","type":"server_error"})", errc::server_error},
      {R"({"message":"m","code":"rate_limit_exceeded"})", errc::rate_limited},
      {R"({"message":"m","type":"insufficient_quota"})", errc::authentication},
      {R"({"message":"m","code":"content_filter"})", errc::content_filtered},
      {R"({"message":"m","type":"invalid_request_error"})", errc::bad_request},
      {R"({"message":"m","code":429})", errc::rate_limited},
      {R"({"message":"m","code":"502"})", errc::server_error},
      {R"({"message":"m","code":401})", errc::authentication},
      {R"({"message":"m","code":400})", errc::bad_request},
      {R"({"message":"m","code":null})", errc::server_error},
      {R"("m")", errc::server_error},
  }));
  INFO(body);
  auto error = event(R"({"error":)" + body + "}");
  CHECK(error == code);
  CHECK(sentence_of(error).ends_with(": m"));
  CHECK(detail_of(error)->http_status == 200);
}

TEST_CASE_METHOD(fixture, "an error may come as an event of that name") {
  CHECK(event(R"({"message":"m","code":429})", "error") == errc::rate_limited);
  CHECK(event(R"({"choices":[{"finish_reason":"error"}],"error":{"code":502,"message":"m"}})") ==
        errc::server_error);
}

TEST_CASE_METHOD(fixture, "a key that the server repeats is not shown") {
  options.key = api_key{"sk-secret"};
  auto error = event(R"({"error":{"message":"no sk-secret\nhere"}})");
  CHECK(sentence_of(error).ends_with("no [key] here"));
}

TEST_CASE_METHOD(fixture, "an answer that the filter withheld is an error") {
  CHECK(!choice(R"("delta":{},"finish_reason":"content_filter")"));
  CHECK(finish().error() == errc::content_filtered);
}

TEST_CASE_METHOD(fixture, "an answer that the filter cut keeps its text") {
  CHECK(!delta(R"("content":"a")"));
  CHECK(!choice(R"("delta":{},"finish_reason":"content_filter")"));
  CHECK(finish()->completions.at(0).finish_reason == "content_filter");
}

TEST_CASE_METHOD(fixture, "a refusal is an error with the model's words") {
  CHECK(!delta(R"("refusal":"I can")"));
  CHECK(!delta(R"("refusal":"not")"));
  CHECK(!choice(R"("delta":{},"finish_reason":"stop")"));
  auto refused = finish();
  CHECK(refused.error() == errc::content_filtered);
  CHECK(sentence_of(refused.error()).ends_with("I cannot"));
}

TEST_CASE_METHOD(fixture, "the head of the response says what the limits are") {
  http_response head;
  head.headers = {{"x-ratelimit-remaining-requests", "7"}};
  CHECK(!delta(R"("content":"a")"));
  auto whole = finish(head);
  REQUIRE(whole);
  REQUIRE(whole->limits);
  CHECK(whole->limits->requests_left == 7);
}

TEST_CASE_METHOD(fixture, "a response that is no stream is read as a whole") {
  auto refusal = response(429, R"({"error":{"message":"slow down"}})");
  CHECK(decoder->read_whole(refusal).error() == errc::rate_limited);
}

TEST_CASE_METHOD(fixture, "only a refused stream_options has something to send instead") {
  http_request other;
  other.body = "plain";
  auto refusal = response(400, R"({"error":{"message":"unknown field stream_options"}})");
  CHECK(!decoder->instead(refusal));
  decoder = make(other);
  CHECK(!decoder->instead(response(400, R"({"error":{"message":"unknown model"}})")));
  CHECK(!decoder->instead(response(500, refusal.body)));
  CHECK(usage == usage_option::unknown);
  CHECK(decoder->instead(refusal)->body == "plain");
  CHECK(usage == usage_option::refused);
  CHECK(!decoder->instead(refusal));
}

TEST_CASE_METHOD(fixture, "a stream that ends well shows that stream_options is taken") {
  decoder = make(http_request{});
  CHECK(!delta(R"("content":"a")"));
  CHECK(finish());
  CHECK(usage == usage_option::taken);
}

// -- fuzzing --------------------------------------------------------------------------

namespace {

/// A recorded stream, damaged anywhere and cut anywhere: whatever comes of it, the text is UTF-8, and
/// what was taken of it is its beginning.
void fuzz(size_t streams) {
  const auto recorded =
      "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n"
      "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\u00fc\u00dfe "
      "\\ud83e\\udde6\"}}]}\n\n"
      "data: {\"choices\":[{\"index\":1,\"text\":\"b\",\"finish_reason\":\"stop\"}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":"
      "{\"name\":\"f\",\"arguments\":\"{}\"}}]}}],\"usage\":{\"prompt_tokens\":3}}\n\n"
      "data: {\"error\":{\"message\":\"m\",\"code\":429}}\n\ndata: [DONE]\n\n"s;
  const std::string damage = "\"{}[]:,\\\n0-e\x80\xC3\xF0n\r";
  std::mt19937 random{4711};
  auto below = [&random](size_t n) { return random() % n; };
  const std::string endpoint = "http://host/";
  const openai_options options;
  for (size_t i = 0; i < streams; ++i) {
    auto text = recorded;
    for (auto n = below(6); n > 0; --n) {
      auto at = below(text.size());
      switch (below(4)) {
      case 0:
        text[at] = damage[below(damage.size())];
        break;
      case 1:
        text.erase(at, 1 + below(20));
        break;
      case 2:
        text.insert(at, text.substr(below(text.size()), below(60)));
        break;
      default:
        text[at] = static_cast<char>(below(256));
      }
    }
    auto usage = usage_option::unknown;
    openai_stream_call call;
    call.endpoint = &endpoint;
    call.options = &options;
    call.usage = &usage;
    auto decoder = make_openai_stream_decoder(std::move(call));
    stream_result result{2};
    sse_parser parser{500};
    auto read = [&](sse_event& event) { return decoder->read(event, result); };
    std::string sent;
    caf::error error;
    for (std::string_view rest{text}; !rest.empty() && !error;) {
      auto size = 1 + below(std::min<size_t>(rest.size(), 100));
      error = parser.feed(rest.substr(0, size), read);
      rest.remove_prefix(size);
      while (auto piece = result.next_piece())
        if (piece->index == 0)
          sent += piece->text;
    }
    if (!error)
      error = parser.end(read);
    if (!is_utf8(sent) || sent != result.taken_text(0) || (error && sentence_of(error).empty()))
      FAIL("stream " << i);
  }
}

} // namespace

TEST_CASE("5,000 damaged streams do no harm") {
  fuzz(5'000);
}

TEST_CASE("1,000,000 damaged streams do no harm", "[long]") {
  fuzz(1'000'000);
}

} // namespace openai_stream_test

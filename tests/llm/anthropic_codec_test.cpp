#include <chainmail/errors.hpp>
#include <chainmail/llm/anthropic_codec.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdlib>

namespace anthropic_codec_test {

using namespace chainmail;
using namespace std::literals;

namespace {

const std::string endpoint = "http://host/v1/messages";

anthropic_options with_secrets() {
  anthropic_options result;
  result.key = api_key{"sk-ant-secret"};
  result.extra_headers.push_back({"X-Gateway-Token", "gateway-token-1"});
  return result;
}

const anthropic_options secret_options = with_secrets();

llm_request chat(std::vector<chat_message> messages) {
  llm_request result;
  result.messages = std::move(messages);
  return result;
}

/// Without the braces and the model.
std::string encoded(const llm_request& request, const anthropic_options& options = {}) {
  auto call = encode(request, options);
  INFO((call ? "" : sentence_of(call.error())));
  REQUIRE(call);
  constexpr auto head = R"({"model":"claude-haiku-4-5",)"sv;
  REQUIRE(call->body.starts_with(head));
  return call->body.substr(head.size(), call->body.size() - head.size() - 1);
}

std::string refusal(const llm_request& request) {
  auto call = encode(request, anthropic_options{});
  REQUIRE_FALSE(call);
  CHECK(call.error() == errc::invalid_input);
  return sentence_of(call.error());
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

http_response response(std::string body, int32_t status = 200) {
  http_response result;
  result.status = status;
  result.body = std::move(body);
  return result;
}

caf::expected<llm_result> decoded(http_response from, bool has_answer_tool = false) {
  return decode({{}, has_answer_tool}, from, endpoint, secret_options);
}

caf::expected<llm_result> decoded(std::string body, bool has_answer_tool = false) {
  return decoded(response(std::move(body)), has_answer_tool);
}

const tool_description weather = {
    "weather", "The weather of a city.", R"({"type":"object","properties":{"city":{}}})"};

} // namespace

// -- requests -----------------------------------------------------------------------------

TEST_CASE("Anthropic gets a prompt as the message of a user, with the max_tokens it insists on") {
  llm_request request;
  request.prompts = {"hello"};
  CHECK(
      encoded(request) ==
      R"("messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}],"max_tokens":4096)");
}

TEST_CASE("system messages go out of the chat, and roles that follow one another become one") {
  chat_message wants{
      "assistant", "Let me see.", {}, {{"a", "weather", R"({"city":"Rome"})"}, {"b", "now", ""}}};
  chat_message first{"tool", "sunny", {}, {}, "a"};
  chat_message second{"tool", "noon", {}, {}, "b"};
  CHECK(
      encoded(chat({{"system", "Be brief."}, {"user", "Hi."}, {"user", "Weather?"}, wants, first,
          second, {"user", "Well?"}, {"developer", "Be kind."}, {"assistant", ""}})) ==
      R"("system":"Be brief.\n\nBe kind.","messages":[)"
      R"({"role":"user","content":[{"type":"text","text":"Hi."},{"type":"text","text":"Weather?"}]},)"
      R"({"role":"assistant","content":[{"type":"text","text":"Let me see."},)"
      R"({"type":"tool_use","id":"a","name":"weather","input":{"city":"Rome"}},)"
      R"({"type":"tool_use","id":"b","name":"now","input":{}}]},)"
      R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"sunny"},)"
      R"({"type":"tool_result","tool_use_id":"b","content":"noon"},)"
      R"({"type":"text","text":"Well?"}]}],"max_tokens":4096)");
}

TEST_CASE("Anthropic gets images as their data or as their URL") {
  CHECK(encoded(
            chat({{"user", "", {{{}, "data:image/png;base64,iVBO"}, {{}, "https://x/y.jpg"}}}})) ==
        R"("messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64",)"
        R"("media_type":"image/png","data":"iVBO"}},{"type":"image","source":{"type":"url",)"
        R"("url":"https://x/y.jpg"}}]}],"max_tokens":4096)");
}

TEST_CASE("arguments that are no object go back where the model sees them") {
  CHECK(contains(encoded(chat({{"user", "x"}, {"assistant", "", {}, {{"a", "t", "{\"city\":"}}}})),
      R"("input":{"unreadable_arguments":"{\"city\":"})"));
}

TEST_CASE("Anthropic's words stand for each parameter, and those it has no word for are left out") {
  anthropic_options options;
  options.defaults.temperature = 0.1;
  options.defaults.top_p = 0.5;
  options.defaults.extra["top_k"] = "5";
  auto request = chat({{"user", "x"}});
  request.stop = {"END"};
  request.parameters.temperature = 0.25;
  request.parameters.max_tokens = 7;
  request.parameters.user = "u";
  request.parameters.seed = 3;
  request.parameters.frequency_penalty = 0.5;
  request.parameters.presence_penalty = 0.5;
  CHECK(encoded(request, options)
            .ends_with(
                R"(],"max_tokens":7,"temperature":0.25,"top_p":0.5,"metadata":{"user_id":"u"},)"
                R"("stop_sequences":["END"],"top_k":5)"));
  options.defaults.model = "m";
  CHECK(encode(request, options)->body.starts_with(R"({"model":"m",)"));
  CHECK(encode(request, options, true)->body.ends_with(R"("top_k":5,"stream":true})"));
}

TEST_CASE("Anthropic gets tools with their input schema, and its own words for the choice") {
  auto request = chat({{"user", "x"}});
  request.tools = {weather};
  request.response_schema = R"({"type":"object"})"; // not beside tools
  auto sent = [&](std::string choice) {
    request.tool_choice = std::move(choice);
    CHECK_FALSE(encode(request, anthropic_options{})->has_answer_tool);
    return encoded(request);
  };
  CHECK(sent("").ends_with(R"("max_tokens":4096,"tools":[{"name":"weather",)"
                           R"("description":"The weather of a city.",)"
                           R"("input_schema":{"type":"object","properties":{"city":{}}}}])"));
  CHECK(sent("auto").ends_with(R"("tool_choice":{"type":"auto"})"));
  CHECK(sent("none").ends_with(R"("tool_choice":{"type":"none"})"));
  CHECK(sent("required").ends_with(R"("tool_choice":{"type":"any"})"));
  CHECK(sent("weather").ends_with(R"("tool_choice":{"type":"tool","name":"weather"})"));
}

TEST_CASE("a response schema of an object becomes a tool that must be called") {
  auto request = chat({{"user", "x"}});
  request.response_schema = R"({"type":"object","properties":{}})";
  CHECK(encode(request, anthropic_options{})->has_answer_tool);
  CHECK(encoded(request).ends_with(
      R"("tools":[{"name":"answer","description":"Takes the answer.","input_schema":)"
      R"({"type":"object","properties":{}}}],"tool_choice":{"type":"tool","name":"answer"})"));
  request.response_schema = R"({"type":"array"})";
  CHECK_FALSE(encode(request, anthropic_options{})->has_answer_tool);
  CHECK(encoded(request).ends_with(R"("max_tokens":4096)"));
  request.response_schema = "[]";
  CHECK(contains(refusal(request), "'response_schema' is not a JSON object"));
}

TEST_CASE("requests that Anthropic's API would not take are refused with what is wrong") {
  CHECK(contains(refusal({}), "prompts or messages"));
  llm_request two;
  two.prompts = {"a", "b"};
  CHECK(contains(refusal(two), "one prompt a request"));
  CHECK(contains(refusal(chat({{"system", "x"}})), "nothing but system messages"));
  CHECK(contains(refusal(chat({{"user", ""}})), "nothing but system messages"));
  CHECK(contains(refusal(chat({{"ai", "x"}})), "the role 'ai'"));
  CHECK(contains(refusal(chat({{"user", "\xff"}})), "not valid UTF-8"));
  auto request = chat({{"user", "x"}});
  request.parameters.n = 2;
  CHECK(contains(refusal(request), "'n' must be 1"));
  request.parameters = {};
  request.parameters.best_of = 2;
  CHECK(contains(refusal(request), "'best_of' must be 1"));
  request.parameters = {};
  request.parameters.extra = {{"system", "\"x\""}};
  CHECK(contains(refusal(request), "'system' cannot be passed as an extra field"));
  request.parameters = {};
  request.tools = {{"a", "", "[]"}};
  CHECK(contains(refusal(request), "'tools[0].parameters' is not a JSON object"));
}

TEST_CASE("the base URL may have the version or not") {
  anthropic_options options;
  CHECK(messages_url(options) == "https://api.anthropic.com/v1/messages");
  options.base_url = "http://127.0.0.1:8000/v1/";
  CHECK(messages_url(options) == "http://127.0.0.1:8000/v1/messages");
}

TEST_CASE("Anthropic's options come from the environment, and are checked") {
  ::setenv("ANTHROPIC_API_KEY", "sk-ant-1", 1);
  ::setenv("ANTHROPIC_BASE_URL", "https://proxy.example", 1);
  auto options = anthropic_options::from_environment();
  ::unsetenv("ANTHROPIC_API_KEY");
  ::unsetenv("ANTHROPIC_BASE_URL");
  CHECK(options.key.reveal() == "sk-ant-1");
  CHECK(options.base_url == "https://proxy.example");
  CHECK_FALSE(check(options));
  CHECK(anthropic_options::from_environment().base_url == anthropic_options{}.base_url);
  options.base_url = "proxy.example";
  CHECK(check(options) == errc::invalid_input);
}

// -- results ------------------------------------------------------------------------------

TEST_CASE("a message of Anthropic gives text, finish reason, usage and model") {
  auto result = decoded(
      R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[)"
      R"({"type":"thinking","thinking":"hm"},{"type":"text","text":"Hel"},{"type":"text","text":"lo"}],)"
      R"("stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,)"
      R"("cache_read_input_tokens":2,"cache_creation_input_tokens":null,"output_tokens":5}})");
  REQUIRE(result);
  CHECK(result->text() == "Hello");
  CHECK(result->completions.front().finish_reason == "stop");
  CHECK(result->model == "claude-x");
  CHECK(result->usage.prompt_tokens == 12);
  CHECK(result->usage.completion_tokens == 5);
  CHECK(result->usage.total_tokens == 17);
}

TEST_CASE("Anthropic's reasons to stop are those of OpenAI") {
  auto reason = [](std::string_view word) {
    return decoded(
        R"({"content":[{"type":"text","text":"a"}],"stop_reason":")" + std::string{word} + "\"}")
        ->completions.front()
        .finish_reason;
  };
  CHECK(reason("end_turn") == "stop");
  CHECK(reason("stop_sequence") == "stop");
  CHECK(reason("max_tokens") == "length");
  CHECK(reason("model_context_window_exceeded") == "length");
  CHECK(reason("tool_use") == "tool_calls");
  CHECK(reason("refusal") == "content_filter");
  CHECK(reason("pause_turn") == "pause_turn");
}

TEST_CASE("Anthropic's tool uses are tool calls") {
  auto result = decoded(
      R"({"content":[{"type":"text","text":"Let me see."},)"
      R"({"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Rome","days":[1,2]}},)"
      R"({"type":"tool_use","name":"now"}],"stop_reason":"tool_use"})");
  REQUIRE(result);
  const auto& one = result->completions.front();
  CHECK(one.finish_reason == "tool_calls");
  CHECK(one.tool_calls ==
        std::vector<tool_call>{
            {"toolu_1", "weather", R"({"city":"Rome","days":[1,2]})"}, {"call_1", "now", "{}"}});
}

TEST_CASE("the answer of an answer tool is the text") {
  auto result = decoded(
      R"({"content":[{"type":"tool_use","id":"t","name":"answer","input":{"a":1}}],"stop_reason":"tool_use"})",
      true);
  REQUIRE(result);
  CHECK(result->text() == R"({"a":1})");
  CHECK(result->completions.front().tool_calls.empty());
  CHECK(result->completions.front().finish_reason == "stop");
}

TEST_CASE("what is no message of Anthropic is malformed, with the place named") {
  auto malformed = [](std::string body) {
    auto result = decoded(std::move(body));
    REQUIRE_FALSE(result);
    CHECK(result.error() == errc::malformed_response);
    CHECK(contains(sentence_of(result.error()), endpoint));
    return sentence_of(result.error());
  };
  CHECK(contains(malformed("<html>"), "no valid JSON"));
  CHECK(contains(malformed("{}"), "'content' is missing"));
  CHECK(contains(malformed(R"({"content":"hi"})"), "'content' is missing or is no array"));
  CHECK(contains(malformed(R"({"content":[1]})"), "'content[0]' is no object"));
  CHECK(contains(malformed(R"({"content":[{"type":"tool_use"}]})"), "'content[0].name'"));
  auto deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK(contains(malformed(R"({"content":[{"type":"tool_use","name":"a","input":)" + deep + "}]}"),
      "nests too deep"));
  auto empty = decoded(R"({"content":[],"stop_reason":"end_turn"})");
  REQUIRE(empty);
  CHECK(empty->text().empty());
}

TEST_CASE("a refusal of the model is an answer that was withheld") {
  CHECK(decoded(R"({"content":[],"stop_reason":"refusal"})").error() == errc::content_filtered);
}

TEST_CASE("each of Anthropic's errors has its code, with its words, without the key") {
  auto failed = [](int32_t status, std::string_view type) {
    auto refused = response(R"({"type":"error","error":{"type":")" + std::string{type} +
                                R"(","message":"words with sk-ant-secret"},"request_id":"r"})",
        status);
    refused.headers = {{"request-id", "req_42"}, {"retry-after", "3"}};
    auto result = decoded(std::move(refused));
    REQUIRE_FALSE(result);
    auto sentence = sentence_of(result.error());
    CHECK(contains(sentence, "words with [key]"));
    CHECK(contains(
        sentence, "HTTP " + std::to_string(status) + " from " + endpoint + ", request req_42"));
    CHECK(detail_of(result.error())->retry_after == caf::timespan{3s});
    return result.error();
  };
  CHECK(failed(400, "invalid_request_error") == errc::bad_request);
  CHECK(contains(sentence_of(failed(401, "authentication_error")), "set ANTHROPIC_API_KEY"));
  CHECK(failed(401, "authentication_error") == errc::authentication);
  CHECK(failed(402, "billing_error") == errc::authentication);
  CHECK(failed(403, "permission_error") == errc::authentication);
  CHECK(failed(404, "not_found_error") == errc::not_found);
  CHECK(failed(413, "request_too_large") == errc::bad_request);
  CHECK(failed(429, "rate_limit_error") == errc::rate_limited);
  CHECK(failed(500, "api_error") == errc::server_error);
  CHECK(failed(529, "overloaded_error") == errc::server_error);
  CHECK(contains(sentence_of(failed(529, "overloaded_error")), "the endpoint is overloaded"));
}

TEST_CASE("Anthropic's limits come with the result") {
  auto with_limits = response(R"({"content":[],"stop_reason":"end_turn"})");
  with_limits.headers = {{"anthropic-ratelimit-requests-remaining", "9"}};
  auto result = decoded(std::move(with_limits));
  REQUIRE(result);
  REQUIRE(result->limits);
  CHECK(result->limits->requests_left == 9);
}

} // namespace anthropic_codec_test

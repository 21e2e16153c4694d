#include <chainmail/errors.hpp>
#include <chainmail/llm/openai_codec.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

namespace openai_codec_test {

using namespace chainmail;
using namespace std::literals;

namespace {

const std::string endpoint = "http://host/v1/completions";
openai_options with_secrets() {
  openai_options result;
  result.key = api_key{"sk-secret-key"};
  result.extra_headers.push_back({"X-Gateway-Token", "gateway-token-1"});
  return result;
}

const openai_options secret_options = with_secrets();

llm_request prompts(std::vector<std::string> texts) {
  llm_request result;
  result.prompts = std::move(texts);
  return result;
}

rapidjson::Document encoded(const llm_request& request, const openai_options& options = {}) {
  auto call = encode(request, options);
  REQUIRE(call);
  rapidjson::Document json;
  json.Parse(call->body.c_str());
  REQUIRE_FALSE(json.HasParseError());
  return json;
}

std::string text_of(const rapidjson::Value& x) {
  return {x.GetString(), x.GetStringLength()};
}

caf::expected<llm_result> decoded(std::string body, int32_t status = 200,
    openai_api api = openai_api::completions, size_t n = 1) {
  openai_call call{api, {}, n};
  http_response response;
  response.status = status;
  response.body = std::move(body);
  return decode(call, response, endpoint, secret_options);
}

std::string sentence(const caf::expected<llm_result>& result) {
  REQUIRE_FALSE(result);
  return sentence_of(result.error());
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

// -- requests ---------------------------------------------------------------------------

TEST_CASE("prompts are sent as an array, with LangChain's defaults") {
  auto json = encoded(prompts({"one", "two"}));
  REQUIRE(json["prompt"].IsArray());
  CHECK(text_of(json["prompt"][1]) == "two");
  CHECK(json["temperature"].GetDouble() == 0.7);
  CHECK(json["max_tokens"].GetInt() == 256);
  CHECK(text_of(json["model"]) == "gpt-3.5-turbo-instruct");
  CHECK(json.MemberCount() == 4);
}

TEST_CASE("every parameter has its field, and the request's go before the client's") {
  openai_options options;
  options.defaults.model = "default-model";
  options.defaults.temperature = 0.1;
  options.defaults.extra["logit_bias"] = R"({"1":2})";
  options.defaults.extra["echo"] = "false";
  auto request = prompts({"x"});
  auto& p = request.parameters;
  p.model = "m";
  p.max_tokens = 7;
  p.top_p = 0.5;
  p.frequency_penalty = 0.25;
  p.presence_penalty = -0.25;
  p.n = 3;
  p.best_of = 4;
  p.seed = 42;
  p.user = "u";
  p.extra["echo"] = "true";
  request.stop = {"a", "b"};
  auto json = encoded(request, options);
  CHECK(text_of(json["model"]) == "m");
  CHECK(json["temperature"].GetDouble() == 0.1);
  CHECK(json["max_tokens"].GetInt() == 7);
  CHECK(json["top_p"].GetDouble() == 0.5);
  CHECK(json["frequency_penalty"].GetDouble() == 0.25);
  CHECK(json["presence_penalty"].GetDouble() == -0.25);
  CHECK(json["n"].GetInt() == 3);
  CHECK(json["best_of"].GetInt() == 4);
  CHECK(json["seed"].GetInt() == 42);
  CHECK(text_of(json["user"]) == "u");
  CHECK(json["stop"].Size() == 2);
  CHECK(json["echo"].GetBool());
  CHECK(json["logit_bias"]["1"].GetInt() == 2);
  CHECK(encode(request, options)->completions == 3);
}

TEST_CASE("a chat model gets a prompt as the message of a user, without completion defaults") {
  openai_options options;
  options.api = openai_api::chat;
  auto json = encoded(prompts({"hello"}), options);
  CHECK(text_of(json["messages"][0]["role"]) == "user");
  CHECK(text_of(json["messages"][0]["content"]) == "hello");
  CHECK(text_of(json["model"]) == "gpt-4o-mini");
  CHECK(json.MemberCount() == 2);
}

TEST_CASE("messages go to the chat interface whatever the client prefers") {
  llm_request request;
  request.messages = {{"system", "be brief"}, {"user", "hi"}};
  auto call = encode(request, {});
  REQUIRE(call);
  CHECK(call->api == openai_api::chat);
  CHECK(contains(call->body, R"([{"role":"system","content":"be brief"},{"role":"user")"));
}

TEST_CASE("requests that no endpoint would take are refused with the field's name") {
  auto refused = [](const llm_request& request, openai_options options = {}) {
    auto call = encode(request, options);
    REQUIRE_FALSE(call);
    CHECK(call.error() == errc::invalid_input);
    return sentence_of(call.error());
  };
  CHECK(contains(refused({}), "prompts or messages"));
  auto both = prompts({"x"});
  both.messages = {{"user", "y"}};
  CHECK(contains(refused(both), "prompts or messages"));
  openai_options chat;
  chat.api = openai_api::chat;
  CHECK(contains(refused(prompts({"a", "b"}), chat), "one prompt"));
  CHECK(contains(refused(prompts({"\xff\xfe"})), "'prompt'"));
  auto request = prompts({"x"});
  request.parameters.temperature = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(refused(request), "'temperature'"));
  request = prompts({"x"});
  request.parameters.n = 0;
  CHECK(contains(refused(request), "'n'"));
  request = prompts({"x"});
  request.parameters.extra["logprobs"] = "{not json";
  CHECK(contains(refused(request), "'logprobs'"));
  request.parameters.extra = {{"stream", "true"}};
  CHECK(contains(refused(request), "'stream'"));
  request.parameters.extra = {{"model", "\"x\""}};
  CHECK(contains(refused(request), "'model'"));
}

TEST_CASE("quotes, control characters and any UTF-8 survive encoding") {
  auto text = "\"\\\n\t\x01 \u00fc \U0001F600"s;
  CHECK(text_of(encoded(prompts({text}))["prompt"][0]) == text);
}

// -- results ----------------------------------------------------------------------------

TEST_CASE("a completion gives text, finish reason, usage and model") {
  auto result =
      decoded(R"({"model":"m","choices":[{"text":"\n\nName","index":0,"finish_reason":"stop"}],)"
              R"("usage":{"prompt_tokens":13,"completion_tokens":9,"total_tokens":22}})");
  REQUIRE(result);
  CHECK(result->text() == "\n\nName");
  CHECK(result->completions[0].finish_reason == "stop");
  CHECK(result->usage.prompt_tokens == 13);
  CHECK(result->usage.completion_tokens == 9);
  CHECK(result->usage.total_tokens == 22);
  CHECK(result->model == "m");
}

TEST_CASE("choices are put where their index says, in whatever order they come") {
  auto result = decoded(R"({"choices":[{"text":"b","index":1},{"text":"a","index":0}]})", 200,
      openai_api::completions, 2);
  REQUIRE(result);
  CHECK(result->completions[0].text == "a");
  CHECK(result->completions[1].text == "b");
}

TEST_CASE("with n choices a prompt, those of a prompt stand together, and usage is of all") {
  auto request = prompts({"one", "two"});
  request.parameters.n = 2;
  auto call = encode(request, {});
  REQUIRE(call);
  CHECK(call->completions == 4);
  auto result = decoded(
      R"({"choices":[{"text":"2b","index":3},{"text":"1b","index":1},{"text":"1a","index":0},)"
      R"({"text":"2a","index":2}],"usage":{"prompt_tokens":2,"completion_tokens":4,)"
      R"("total_tokens":6}})",
      200, openai_api::completions, call->completions);
  REQUIRE(result);
  std::string texts;
  for (const auto& one : result->completions)
    texts += one.text;
  CHECK(texts == "1a1b2a2b");
  CHECK(result->usage.total_tokens == 6);
}

TEST_CASE("servers may leave out index, usage, model and finish reason, or make them null") {
  CHECK(decoded(R"({"choices":[{"text":"a"}]})"));
  CHECK(decoded(R"({"choices":[{"text":"a","index":null,"finish_reason":null}],"usage":null})"));
}

TEST_CASE("a chat reply gives the message's content") {
  auto result = decoded(
      R"({"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]})",
      200, openai_api::chat);
  REQUIRE(result);
  CHECK(result->text() == "hi");
}

TEST_CASE("a reply that is not what the API promises is malformed, with the place named") {
  auto malformed = [](const char* body, openai_api api = openai_api::completions) {
    auto result = decoded(body, 200, api);
    REQUIRE_FALSE(result);
    CHECK(result.error() == errc::malformed_response);
    CHECK(contains(sentence_of(result.error()), endpoint));
    return sentence_of(result.error());
  };
  CHECK(contains(malformed(""), "byte 0"));
  CHECK(contains(malformed("<html>"), "byte 0"));
  CHECK(contains(malformed(R"({"choices":[{"text":"a")"), "no valid JSON"));
  CHECK(contains(malformed("[]"), "not a JSON object"));
  CHECK(contains(malformed("{}"), "'choices'"));
  CHECK(contains(malformed(R"({"choices":3})"), "'choices'"));
  CHECK(contains(malformed(R"({"choices":[]})"), "0 entries"));
  CHECK(contains(malformed(R"({"choices":[{"text":"a"},{"text":"b"}]})"), "2 entries"));
  CHECK(contains(malformed(R"({"choices":["a"]})"), "'choices[0]'"));
  CHECK(contains(malformed(R"({"choices":[{"text":3}]})"), "'choices[0].text'"));
  CHECK(contains(malformed(R"({"choices":[{"text":"a","index":1}]})"), "'choices[0].index'"));
  CHECK(contains(malformed(R"({"choices":[{"text":"a","index":-1}]})"), "'choices[0].index'"));
  CHECK(contains(malformed(R"({"choices":[{"text":"a"}],"usage":[]})"), "'usage'"));
  CHECK(
      contains(malformed(R"({"choices":[{"text":"a"}],"usage":{"total_tokens":"x"}})"), "'usage'"));
  CHECK(contains(malformed(R"({"error":{"message":"odd"}})"), "odd"));
  CHECK(contains(malformed(R"({"choices":[{"text":"a"}]})", openai_api::chat), "message"));
  CHECK(contains(malformed(R"({"choices":[{"message":{}}]})", openai_api::chat), "content"));
  CHECK(contains(
      malformed(R"({"choices":[{"message":{"content":[]}}]})", openai_api::chat), "content"));
  CHECK(contains(malformed("{\"choices\":[{\"text\":\"\xff\"}]}"), "no valid JSON"));
}

TEST_CASE("deeply nested JSON is read without recursion") {
  std::string deep(2'000'000, '[');
  CHECK(decoded(deep).error() == errc::malformed_response);
  CHECK(decoded("{\"a\":" + deep + std::string(2'000'000, ']') + "}").error() ==
        errc::malformed_response);
}

TEST_CASE("an index that is repeated is malformed") {
  auto result = decoded(R"({"choices":[{"text":"b","index":1},{"text":"a","index":1}]})", 200,
      openai_api::completions, 2);
  CHECK(result.error() == errc::malformed_response);
}

TEST_CASE("an answer that the content filter withheld is its own error") {
  CHECK(decoded(R"({"choices":[{"text":"","finish_reason":"content_filter"}]})").error() ==
        errc::content_filtered);
  auto cut = decoded(R"({"choices":[{"text":"part","finish_reason":"content_filter"}]})");
  REQUIRE(cut);
  CHECK(cut->completions[0].finish_reason == "content_filter");
  CHECK(decoded(R"({"choices":[{"message":{"content":null,"refusal":"I will not."}}]})", 200,
            openai_api::chat)
            .error() == errc::content_filtered);
  CHECK(decoded(R"({"error":{"message":"filtered","code":"content_filter"}})", 400).error() ==
        errc::content_filtered);
}

// -- errors -----------------------------------------------------------------------------

TEST_CASE("each status has its code, with the server's words, the status and the endpoint") {
  struct expectation {
    int32_t status;
    errc code;
  };
  for (auto [status, code] : std::initializer_list<expectation>{{301, errc::bad_request},
           {307, errc::bad_request}, {400, errc::bad_request}, {401, errc::authentication},
           {403, errc::authentication}, {404, errc::not_found}, {408, errc::timed_out},
           {422, errc::bad_request}, {429, errc::rate_limited}, {500, errc::server_error},
           {503, errc::server_error}, {529, errc::server_error}}) {
    auto result = decoded(R"({"error":{"message":"the server's words","code":null}})", status);
    CAPTURE(status);
    REQUIRE_FALSE(result);
    CHECK(result.error() == code);
    CHECK(contains(sentence(result), "the server's words"));
    CHECK(contains(sentence(result), std::to_string(status)));
    CHECK(contains(sentence(result), endpoint));
    REQUIRE(detail_of(result.error()));
    CHECK(detail_of(result.error())->http_status == status);
    CHECK(detail_of(result.error())->endpoint == endpoint);
  }
}

TEST_CASE("error bodies of other shapes are quoted as well as they can be") {
  CHECK(contains(sentence(decoded(R"({"error":"plain"})", 400)), "plain"));
  CHECK(contains(sentence(decoded(R"({"message":"outer"})", 400)), "outer"));
  CHECK(contains(sentence(decoded("<h1>Bad Gateway</h1>", 502)), "Bad Gateway"));
  CHECK(contains(sentence(decoded("", 500)), "HTTP 500"));
  CHECK(sentence(decoded(std::string(100'000, 'x'), 500)).size() < 1'000);
}

TEST_CASE("a key that the server repeats does not reach the error") {
  for (auto* body : {R"({"error":{"message":"Incorrect key sk-secret-key, yes sk-secret-key"}})",
           "sk-secret-key"}) {
    auto said = sentence(decoded(body, 401));
    CHECK_FALSE(contains(said, "sk-secret-key"));
    CHECK(contains(said, "[key]"));
  }
}

TEST_CASE("no part of a key is left where a long reply is cut") {
  for (size_t padding = 0; padding < 500; padding += 7) {
    auto said = sentence(decoded(std::string(padding, '.') + "sk-secret-key gateway-token-1", 500));
    CHECK_FALSE(contains(said, "sk-"));
    CHECK_FALSE(contains(said, "gateway-"));
  }
}

TEST_CASE("a long reply that repeats a key everywhere takes no longer than another") {
  openai_options options;
  options.key = api_key{"x"};
  http_response response;
  response.status = 500;
  response.body.assign(4'000'000, 'x');
  auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(decode({openai_api::completions, {}, 1}, response, endpoint, options));
  CHECK(std::chrono::steady_clock::now() - start < 10s);
}

TEST_CASE("a key that is part of its replacement is redacted once, not for ever") {
  for (auto* key : {"key", "k", "[key]", "]"}) {
    openai_options options;
    options.key = api_key{key};
    http_response response;
    response.status = 401;
    response.body = R"({"error":{"message":"bad [key] key"}})";
    CHECK_FALSE(decode({openai_api::completions, {}, 1}, response, endpoint, options));
  }
}

TEST_CASE("control characters of a server do not reach a terminal") {
  auto said = sentence(decoded("{\"error\":{\"message\":\"\\u001b[31mred\\nline\"}}", 400));
  CHECK_FALSE(contains(said, "\x1b"));
  CHECK_FALSE(contains(said, "\n"));
}

TEST_CASE("Retry-After is kept for whoever retries") {
  http_response response;
  response.status = 429;
  response.headers = {{"retry-after", "3"}};
  auto result = decode({openai_api::completions, {}, 1}, response, endpoint, secret_options);
  REQUIRE_FALSE(result);
  CHECK(detail_of(result.error())->retry_after == caf::timespan{3s});
}

TEST_CASE("what an endpoint says of its limits comes with the result, and with every error") {
  auto answered = [](std::string body, int32_t status) {
    http_response response;
    response.status = status;
    response.body = std::move(body);
    response.headers = {{"x-ratelimit-remaining-tokens", "12"}, {"x-ratelimit-reset-tokens", "1s"}};
    return decode({openai_api::completions, {}, 1}, response, endpoint, secret_options);
  };
  auto result = answered(R"({"choices":[{"text":"x"}]})", 200);
  REQUIRE(result);
  REQUIRE(result->limits);
  CHECK(result->limits->tokens_left == 12);
  CHECK(result->limits->tokens_reset == caf::timespan{1s});
  for (auto status : {429, 500, 400, 200}) {
    CAPTURE(status);
    auto failed = answered("{}", status);
    REQUIRE_FALSE(failed);
    REQUIRE(detail_of(failed.error())->limits);
    CHECK(detail_of(failed.error())->limits->tokens_left == 12);
  }
  CHECK_FALSE(decoded(R"({"choices":[{"text":"x"}]})")->limits);
  CHECK_FALSE(detail_of(decoded("{}", 429).error())->limits);
}

TEST_CASE("a 429 for want of quota is not one that waiting helps") {
  for (auto* body : {R"({"error":{"message":"m","type":"insufficient_quota","code":null}})",
           R"({"error":{"message":"m","code":"insufficient_quota"}})"}) {
    auto result = decoded(body, 429);
    CHECK(result.error() == errc::authentication);
    CHECK(contains(sentence(result), "no quota left"));
    CHECK(contains(sentence(result), "billing"));
    CHECK(detail_of(result.error())->http_status == 429);
  }
  CHECK(decoded(R"({"error":{"code":"rate_limit_exceeded"}})", 429).error() == errc::rate_limited);
  CHECK(decoded(R"({"error":"insufficient_quota"})", 429).error() == errc::rate_limited);
  CHECK(decoded("insufficient_quota", 429).error() == errc::rate_limited);
  CHECK(decoded(R"({"error":{"code":"insufficient_quota"}})", 500).error() == errc::server_error);
}

TEST_CASE("a redirect's error says where it points, without the query") {
  http_response response;
  response.status = 308;
  response.headers = {{"location", "https://other/v1?token=abc"}};
  auto result = decode({openai_api::completions, {}, 1}, response, endpoint, secret_options);
  CHECK(contains(sentence(result), "https://other/v1"));
  CHECK_FALSE(contains(sentence(result), "token"));
}

} // namespace openai_codec_test

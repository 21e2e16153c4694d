// The simulator's Anthropic endpoint: messages, tools, events, errors and limits.

#include "clients.hpp"
#include "simulator/limits.hpp"
#include "simulator/replies.hpp"
#include "simulator/simulator.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <rapidjson/document.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace anthropic_test {

using namespace chainmail::simulator;
using namespace chainmail::simulator::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

const std::string hello = R"({"role":"user","content":"Hello!"})";
const std::string tools =
    R"("tools":[{"name":"get_weather","description":"Weather of a city","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}])";
const std::string asks_weather =
    R"({"role":"user","content":[{"type":"text","text":"How is the weather in Paris?"}]})";
const std::vector<std::string> fields{"anthropic-version: 2023-06-01"};

std::string request_of(
    const std::string& messages, const std::string& more = R"("max_tokens":99)") {
  return R"({"model":"m","messages":[)" + messages + "]," + more + "}";
}

std::string url_of(const server& sim) {
  return sim.base_url() + "/messages";
}

rapidjson::Document parsed(const std::string& text) {
  rapidjson::Document json;
  json.Parse<rapidjson::kParseValidateEncodingFlag>(text.c_str());
  CAPTURE(text);
  REQUIRE_FALSE(json.HasParseError());
  return json;
}

/// "message_start ping ..."; each event's data says the same as its name.
std::string names_of(std::string_view events) {
  std::string result;
  while (!events.empty()) {
    auto end = events.find("\n\n");
    REQUIRE(end != std::string_view::npos);
    auto event = events.substr(0, end);
    auto line = event.find('\n');
    REQUIRE(event.starts_with("event: "));
    std::string name(event.substr(7, line - 7));
    REQUIRE(event.substr(line + 1).starts_with("data: "));
    CHECK(parsed(std::string(event.substr(line + 7)))["type"] == name.c_str());
    if (!result.ends_with(name))
      result += (result.empty() ? "" : " ") + name;
    events.remove_prefix(end + 2);
  }
  return result;
}

} // namespace

TEST_CASE("a message has blocks, a reason and its usage", "[simulator]") {
  auto json = parsed(responder().messages(request_of(hello)).body);
  CHECK(json["type"] == "message");
  CHECK(json["role"] == "assistant");
  CHECK(json["model"] == "simulated-m");
  CHECK(json["content"][0]["type"] == "text");
  CHECK_THAT(json["content"][0]["text"].GetString(), ContainsSubstring("Hello!"));
  CHECK(json["stop_reason"] == "end_turn");
  CHECK(json["stop_sequence"].IsNull());
  CHECK(json["usage"]["input_tokens"].GetUint() == 2);
  CHECK(json["usage"]["output_tokens"].GetUint() > 10);
}

TEST_CASE("a message ends at its limit or at a stop sequence, and says so", "[simulator]") {
  auto cut = parsed(responder().messages(request_of(hello, R"("max_tokens":2)")).body);
  CHECK(cut["stop_reason"] == "max_tokens");
  auto stopped = parsed(
      responder()
          .messages(request_of(hello, R"("max_tokens":99,"stop_sequences":["simulated","x"])"))
          .body);
  CHECK(stopped["stop_reason"] == "stop_sequence");
  CHECK(stopped["stop_sequence"] == "simulated");
  CHECK(stopped["content"][0]["text"] == "This is a ");
}

TEST_CASE("the system's text is known to a message", "[simulator]") {
  auto json =
      parsed(responder()
                 .messages(request_of(R"({"role":"user","content":"When does the shop open?"})",
                     R"("max_tokens":99,"system":"The shop opens at nine. Cats are fine.")"))
                 .body);
  CHECK(json["content"][0]["text"] == "The shop opens at nine.");
}

TEST_CASE("a tool is used, and its result makes the answer", "[simulator]") {
  auto used =
      parsed(responder().messages(request_of(asks_weather, R"("max_tokens":99,)" + tools)).body);
  CHECK(used["stop_reason"] == "tool_use");
  REQUIRE(used["content"].Size() == 1);
  CHECK(used["content"][0]["type"] == "tool_use");
  CHECK(used["content"][0]["input"]["city"] == "Paris");
  auto messages =
      asks_weather +
      R"(,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"get_weather","input":{"city":"Paris"}}]},)"
      R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"sunny"}]}]})";
  auto answered =
      parsed(responder().messages(request_of(messages, R"("max_tokens":99,)" + tools)).body);
  CHECK(answered["stop_reason"] == "end_turn");
  CHECK(answered["content"][0]["text"] == "get_weather (Paris): sunny");
}

TEST_CASE("a message's stream is made of Anthropic's events", "[simulator]") {
  auto events_of = [](const std::string& request) {
    auto what = responder().messages(request);
    REQUIRE(what.stream != nullptr);
    std::string events;
    while (!what.stream->is_over())
      what.stream->next(events);
    return events;
  };
  auto text = events_of(request_of(hello, R"("max_tokens":99,"stream":true)"));
  CHECK(names_of(text) == "message_start ping content_block_start content_block_delta "
                          "content_block_stop message_delta message_stop");
  CHECK_THAT(text, ContainsSubstring(R"("delta":{"type":"text_delta","text":"This"}})"));
  auto call = events_of(request_of(asks_weather, R"("max_tokens":99,"stream":true,)" + tools));
  CHECK_THAT(
      call, ContainsSubstring(R"("content_block":{"type":"tool_use","id":"call_simulated_1",)"
                              R"("name":"get_weather","input":{}})"));
  CHECK_THAT(call, ContainsSubstring(R"({"type":"input_json_delta","partial_json":"{\"ci"})"));
  CHECK_THAT(call, ContainsSubstring(R"("stop_reason":"tool_use")"));
}

TEST_CASE("wrong messages are refused", "[simulator]") {
  auto [messages, more] = GENERATE(table<std::string, std::string>({
      {hello, R"("stream":false)"},
      {"", R"("max_tokens":9)"},
      {R"({"role":"system","content":"a"})", R"("max_tokens":9)"},
      {R"({"role":"user"})", R"("max_tokens":9)"},
      {hello, R"("max_tokens":9,"tools":[{"name":"a"}])"},
      {hello, R"("max_tokens":9,"tool_choice":{"type":"any"})"},
      {R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"x"}]})",
          R"("max_tokens":9)"},
      {hello +
              R"(,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":{}}]})",
          R"("max_tokens":9)"},
  }));
  CAPTURE(messages, more);
  CHECK(responder().messages(request_of(messages, more)).status == 400);
}

// -- over sockets -------------------------------------------------------------

TEST_CASE("keys, versions and faults of messages have Anthropic's shape", "[simulator]") {
  options opts;
  opts.api_key = "right";
  opts.script = parse_script("ok,ok,503,429,error");
  server sim(opts);
  client user;
  auto type_of = [](const response& what) {
    auto json = parsed(what.body);
    CHECK(json["type"] == "error");
    return std::string(json["error"]["type"].GetString());
  };
  auto refused = user.post(url_of(sim), request_of(hello), fields);
  CHECK(refused.status == 401);
  CHECK(type_of(refused) == "authentication_error");
  auto unversioned = user.post(url_of(sim), request_of(hello), {"x-api-key: right"});
  CHECK(unversioned.status == 400);
  CHECK_THAT(unversioned.body, ContainsSubstring("anthropic-version: header is required"));
  std::vector<std::string> good{"x-api-key: right", fields.front()};
  auto busy = user.post(url_of(sim), request_of(hello), good);
  CHECK(busy.status == 529);
  CHECK(type_of(busy) == "overloaded_error");
  auto limited = user.post(url_of(sim), request_of(hello), good);
  CHECK(limited.status == 429);
  CHECK(type_of(limited) == "rate_limit_error");
  CHECK(limited.fields["retry-after"] == "1");
  auto broken = user.post(url_of(sim), request_of(hello, R"("max_tokens":99,"stream":true)"), good);
  CHECK_THAT(broken.body, StartsWith("event: message_start\n"));
  CHECK_THAT(broken.body, ContainsSubstring("event: error\ndata: {\"type\":\"error\""));
  CHECK(user.post(url_of(sim), request_of(hello), good).status == 200);
}

TEST_CASE("limits of messages are told in Anthropic's words", "[simulator]") {
  options opts;
  opts.requests_per_minute = 1;
  opts.tokens_per_minute = 1000;
  server sim(opts);
  client user;
  auto first = user.post(url_of(sim), request_of(hello), fields);
  CHECK(first.status == 200);
  CHECK(first.fields["anthropic-ratelimit-requests-limit"] == "1");
  CHECK(first.fields["anthropic-ratelimit-requests-remaining"] == "0");
  CHECK(first.fields["anthropic-ratelimit-tokens-limit"] == "1000");
  CHECK_THAT(first.fields["anthropic-ratelimit-requests-reset"], EndsWith("Z"));
  CHECK_FALSE(first.fields.contains("x-ratelimit-limit-requests"));
  CHECK(user.post(url_of(sim), request_of(hello), fields).status == 429);
  CHECK(rfc3339_time(std::chrono::system_clock::time_point(
            std::chrono::milliseconds(784111777000))) == "1994-11-06T08:49:37Z");
}

} // namespace anthropic_test

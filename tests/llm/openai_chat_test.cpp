// Chats in the OpenAI wire format: images, tools, schemas.
#include <chainmail/errors.hpp>
#include <chainmail/llm/openai_codec.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace openai_chat_test {

using namespace chainmail;
using namespace std::literals;

namespace {

llm_request chat(std::vector<chat_message> messages) {
  llm_request result;
  result.messages = std::move(messages);
  return result;
}

/// From the messages on, without the last brace.
std::string encoded(const llm_request& request) {
  auto call = encode(request, openai_options{});
  INFO((call ? "" : sentence_of(call.error())));
  REQUIRE(call);
  CHECK(call->api == openai_api::chat);
  constexpr auto head = R"({"model":"gpt-4o-mini","messages":)"sv;
  REQUIRE(call->body.starts_with(head));
  return call->body.substr(head.size(), call->body.size() - head.size() - 1);
}

std::string refusal(const llm_request& request, const openai_options& options = {}) {
  auto call = encode(request, options);
  REQUIRE_FALSE(call);
  CHECK(call.error() == errc::invalid_input);
  return sentence_of(call.error());
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

caf::expected<llm_result> decoded(std::string_view message, std::string_view reason = "stop") {
  http_response response;
  response.status = 200;
  response.body = R"({"choices":[{"index":0,"message":)" + std::string{message} +
                  R"(,"finish_reason":")" + std::string{reason} + "\"}]}";
  return decode({openai_api::chat, {}, 1}, response, "http://host/v1/chat/completions", {});
}

const tool_description weather = {"weather", "The weather of a city.",
    R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})"};

} // namespace

// -- requests -----------------------------------------------------------------------------

TEST_CASE("images stand behind the text of their message") {
  CHECK(encoded(chat({{"user", "What is this?",
            {{{}, "data:image/png;base64,iVBORw0KGgo="}, {"And this?", {}},
                {{}, "https://example.com/cat.jpg"}}}})) ==
        R"([{"role":"user","content":[{"type":"text","text":"What is this?"},)"
        R"({"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},)"
        R"({"type":"text","text":"And this?"},)"
        R"({"type":"image_url","image_url":{"url":"https://example.com/cat.jpg"}}]}])");
}

TEST_CASE("a round of tool calls goes back as the API wants it") {
  chat_message wants{
      "assistant", "", {}, {{"call_1", "weather", R"({"city":"Rome"})"}, {"call_2", "now", ""}}};
  chat_message first{"tool", "sunny", {}, {}, "call_1"};
  chat_message second{"tool", "", {}, {}, "call_2"};
  CHECK(
      encoded(chat({{"user", "hi"}, wants, first, second})) ==
      R"([{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[)"
      R"({"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}},)"
      R"({"id":"call_2","type":"function","function":{"name":"now","arguments":"{}"}}]},)"
      R"({"role":"tool","content":"sunny","tool_call_id":"call_1"},)"
      R"({"role":"tool","content":"","tool_call_id":"call_2"}])");
}

TEST_CASE("tools and the choice among them are sent") {
  auto request = chat({{"user", "hi"}});
  request.tools = {weather, {"now"}};
  CHECK(
      encoded(request) ==
      R"([{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"weather",)"
      R"("description":"The weather of a city.","parameters":{"type":"object","properties":)"
      R"({"city":{"type":"string"}},"required":["city"]}}},{"type":"function","function":)"
      R"({"name":"now","parameters":{"type":"object","properties":{}}}}])");
  request.tool_choice = "required";
  CHECK(contains(encoded(request), R"("tool_choice":"required")"));
  request.tool_choice = "now";
  CHECK(
      contains(encoded(request), R"("tool_choice":{"type":"function","function":{"name":"now"}})"));
}

TEST_CASE("a response schema is strict where the schema can be") {
  auto request = chat({{"user", "hi"}});
  request.response_schema = R"({"type":"object","properties":{},"additionalProperties":false})";
  CHECK(encoded(request) ==
        R"([{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":)"
        R"({"name":"answer","strict":true,"schema":{"type":"object","properties":{},)"
        R"("additionalProperties":false}}})");
  request.response_schema = R"({"type":"object"})";
  CHECK(contains(encoded(request), R"("strict":false,"schema":{"type":"object"})"));
}

TEST_CASE("tools and schemas with a completions endpoint are refused with what to do") {
  llm_request request;
  request.prompts = {"x"};
  auto change = GENERATE(
      +[](llm_request& x) { x.tools = {weather}; },
      +[](llm_request& x) { x.response_schema = "{}"; },
      +[](llm_request& x) { x.tool_choice = "auto"; });
  change(request);
  CHECK(contains(refusal(request), "openai_options::api to openai_api::chat"));
  openai_options options;
  options.api = openai_api::chat;
  if (request.tool_choice.empty())
    CHECK(encode(request, options));
}

TEST_CASE("what no chat endpoint would take is refused with its place") {
  auto of_message = [](chat_message message) {
    return refusal(chat({{"user", "hi"}, std::move(message)}));
  };
  CHECK(of_message({"human", "hi"}) ==
        "the request's messages[1] has the role 'human'; there are: system, user, assistant, tool, "
        "developer");
  CHECK(contains(of_message({"", "hi"}), "messages[1] has the role ''"));
  CHECK(contains(of_message({"user", "", {{}}}), "messages[1].parts[0] holds either"));
  CHECK(contains(of_message({"user", "", {{"a", "http://b"}}}), "parts[0] holds either"));
  CHECK(contains(of_message({"user", "", {{{}, "cat.png"}}}), "'cat.png', which is neither"));
  CHECK(contains(of_message({"user", "", {{{}, "data:image/png,x"}}}), "which is neither"));
  CHECK(contains(of_message({"system", "", {{{}, "http://x"}}}), "only the messages of a user"));
  CHECK(contains(of_message({"user", "", {}, {{"i", "n"}}}), "only the messages of an assistant"));
  CHECK(contains(of_message({"assistant", "", {}, {{"", "n"}}}), "without an id or a name"));
  CHECK(contains(of_message({"tool", "x"}), "needs the tool_call_id"));
  CHECK(contains(of_message({"user", "x", {}, {}, "i"}), "only the messages of a tool"));
  auto of_tools = [](std::vector<tool_description> tools, std::string choice = {}) {
    auto request = chat({{"user", "hi"}});
    request.tools = std::move(tools);
    request.tool_choice = std::move(choice);
    return refusal(request);
  };
  CHECK(contains(of_tools({{"get weather"}}), "the tool name 'get weather' is none"));
  CHECK(contains(of_tools({{std::string(65, 'x')}}), "is none"));
  CHECK(contains(of_tools({weather, weather}), "two tools of the name 'weather'"));
  CHECK(contains(of_tools({{"a", "", "[]"}}), "'tools[0].parameters' is not a JSON object"));
  CHECK(contains(of_tools({weather, {"a", "", "{"}}), "'tools[1].parameters' is not"));
  CHECK(contains(of_tools({weather}, "rain"), "tool_choice 'rain' is neither"));
  CHECK(contains(of_tools({}, "auto"), "but no tools"));
  auto request = chat({{"user", "hi"}});
  request.response_schema = "true";
  CHECK(contains(refusal(request), "'response_schema' is not a JSON object"));
  request.response_schema = {};
  request.parameters.extra = {{"tools", "[]"}};
  CHECK(contains(refusal(request), "'tools' cannot be passed as an extra field"));
}

// -- results ------------------------------------------------------------------------------

TEST_CASE("tool calls come with their ids, names and arguments") {
  auto result = decoded(
      R"({"role":"assistant","content":null,"tool_calls":[
        {"id":"call_a","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}},
        {"id":"call_b","type":"function","function":{"name":"now","arguments":""}}]})",
      "tool_calls");
  REQUIRE(result);
  const auto& one = result->completions.front();
  CHECK(one.text.empty());
  CHECK(one.finish_reason == "tool_calls");
  CHECK(one.tool_calls ==
        std::vector<tool_call>{{"call_a", "weather", R"({"city":"Rome"})"}, {"call_b", "now", ""}});
}

TEST_CASE("servers may leave out what they like of a tool call but the name") {
  auto result = decoded(
      R"({"content":"Let me see.","tool_calls":[{"function":{"name":"now"}},
        {"id":null,"function":{"name":"weather","arguments":{"city":"Rome"}}}]})");
  REQUIRE(result);
  CHECK(result->text() == "Let me see.");
  CHECK(result->completions.front().tool_calls ==
        std::vector<tool_call>{{"call_0", "now", ""}, {"call_1", "weather", R"({"city":"Rome"})"}});
  CHECK(decoded(R"({"content":"","tool_calls":[]})"));
  CHECK(decoded(R"({"content":"hi","tool_calls":null,"reasoning_content":"hm","refusal":null})"));
  CHECK(decoded(R"({"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]})")->text() ==
        "ab");
}

TEST_CASE("tool calls that are none are malformed, with the place named") {
  auto malformed = [](std::string_view message) {
    auto result = decoded(message);
    INFO(message);
    REQUIRE_FALSE(result);
    CHECK(result.error() == errc::malformed_response);
    return sentence_of(result.error());
  };
  CHECK(contains(malformed(R"({"tool_calls":{}})"), "'choices[0].message.tool_calls' is no array"));
  CHECK(contains(malformed(R"({"tool_calls":[1]})"), "tool_calls[0]' names no function"));
  CHECK(contains(malformed(R"({"tool_calls":[{"function":{"name":""}}]})"), "names no function"));
  CHECK(contains(malformed(R"({"content":[1]})"), "content' is no text"));
  CHECK(contains(malformed(R"({"content":7})"), "content' is no text"));
  auto deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK(
      contains(malformed(R"({"tool_calls":[{"function":{"name":"a","arguments":)" + deep + "}}]}"),
          "nest too deep"));
}

TEST_CASE("a refusal is an answer that was withheld, unless there is one") {
  auto refused = decoded(R"({"content":null,"refusal":"I will not."})");
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::content_filtered);
  CHECK(contains(sentence_of(refused.error()), "I will not."));
  CHECK(decoded(R"({"content":null,"refusal":"?","tool_calls":[{"function":{"name":"a"}}]})"));
}

} // namespace openai_chat_test

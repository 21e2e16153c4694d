// Tools and schemas as the simulator's brain handles them: which tools it calls, with what, and what
// documents it writes.

#include "simulator/brain_schema.hpp"
#include "simulator/brain_tools.hpp"
#include "simulator/brain_values.hpp"
#include "simulator/replies.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <rapidjson/document.h>
#include <rapidjson/schema.h>

#include <string>
#include <string_view>
#include <vector>

namespace tools_test {

using namespace chainmail::simulator;
using Catch::Matchers::ContainsSubstring;

namespace {

const tool weather{.name = "get_weather",
    .description = "Get the current weather for a city.",
    .parameters =
        R"({"type":"object","properties":{"city":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city"]})"};
const tool calculator{.name = "calculator",
    .description = "Evaluates an arithmetic expression.",
    .parameters =
        R"({"type":"object","properties":{"expression":{"type":"string"}},"required":["expression"]})"};
const tool population{.name = "population",
    .description = "How many people live in a city.",
    .parameters =
        R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})"};
const tool distance_tool{.name = "distance",
    .description = "The distance between two places in km.",
    .parameters =
        R"({"type":"object","properties":{"from":{"type":"string"},"to":{"type":"string"}},"required":["from","to"]})"};
const tool search{.name = "web_search",
    .description = "Search the web for information.",
    .parameters =
        R"({"type":"object","properties":{"query":{"type":"string"},"limit":{"type":"integer"}},"required":["query"]})"};

const std::vector<tool> tools{weather, calculator, population, distance_tool, search};

/// "get_weather{"city":"Paris"} ..."
std::string shown(const std::vector<tool_call>& calls) {
  std::string text;
  for (const auto& call : calls)
    text += (text.empty() ? "" : " ") + call.name + call.arguments;
  return text;
}

std::string chosen(std::string_view question, const std::vector<tool_result>& results = {},
    const tool_rules& rules = {}) {
  return shown(choose_calls(question, tools, results, rules));
}

std::string fill(
    std::string_view schema, std::string_view text, std::string_view prose = "The reply.") {
  text_values values(text);
  return fill_schema(schema, values, {.prose = prose});
}

rapidjson::Document parsed(const std::string& text) {
  rapidjson::Document json;
  json.Parse(text.c_str());
  CAPTURE(text);
  REQUIRE_FALSE(json.HasParseError());
  return json;
}

bool fits(const std::string& schema, const std::string& json) {
  auto rules = parsed(schema);
  rapidjson::SchemaDocument document(rules);
  rapidjson::SchemaValidator validator(document);
  return parsed(json).Accept(validator);
}

std::string chat_of(const std::string& messages, const std::string& fields) {
  return R"({"model":"m","messages":[)" + messages + "]," + fields + "}";
}

const std::string weather_json =
    R"("tools":[{"type":"function","function":{"name":"get_weather","description":"Weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}])";
const std::string asks_weather = R"({"role":"user","content":"What is the weather in Paris?"})";

} // namespace

// -- values -------------------------------------------------------------------

TEST_CASE("numbers, names and quotations are found in a text, each once", "[simulator]") {
  text_values values(
      R"(Find a flight from New York to Rome on 3 May for 2 people under 1,250.50 euros, "no stops".)");
  CHECK(values.take_number("people") == 2);
  CHECK(values.take_number("budget") == 3);
  CHECK(values.take_number("budget") == 1250.5);
  CHECK_FALSE(values.take_number("budget").has_value());
  CHECK(values.take_text("destination") == "Rome");
  CHECK(values.take_text("from") == "New York");
  CHECK(values.take_text("note") == "no stops");
}

TEST_CASE("a name behind the field's name is the field's", "[simulator]") {
  text_values values("Company: Initech, city: Paris, contact is Bill Lumbergh");
  CHECK(values.take_text("contact") == "Bill Lumbergh");
  CHECK(values.take_text("city") == "Paris");
}

TEST_CASE("without capitals, what follows the last preposition will do", "[simulator]") {
  CHECK(text_values("how warm is it in san marino today?").take_text("city") == "san marino today");
  CHECK_FALSE(text_values("hello").take_text("city").has_value());
}

// -- tools --------------------------------------------------------------------

TEST_CASE("the tool is called whose name or description matches", "[simulator]") {
  CHECK(chosen("What's the weather like in Boston today?") == R"(get_weather{"city":"Boston"})");
  CHECK(chosen("What is the weather in Oslo in fahrenheit?") ==
        R"(get_weather{"city":"Oslo","unit":"fahrenheit"})");
  CHECK(chosen("How many people live in Tokyo?") == R"(population{"city":"Tokyo"})");
  CHECK(chosen("What is 17 * 23?") == R"(calculator{"expression":"17 * 23"})");
  CHECK(chosen("Who wrote Faust?") == R"(web_search{"query":"Who wrote Faust?"})");
  CHECK(chosen("Hello there!").empty());
}

TEST_CASE("independent questions get a call each, in one turn", "[simulator]") {
  CHECK(chosen("What is the weather in Paris and in Rome?") ==
        R"(get_weather{"city":"Paris"} get_weather{"city":"Rome"})");
  CHECK(
      chosen("What is the weather in Paris, how many people live in Rome, and what is 2 + 3?") ==
      R"(get_weather{"city":"Paris"} population{"city":"Rome"} calculator{"expression":"2 + 3"})");
}

TEST_CASE("two names that one call needs do not make two calls", "[simulator]") {
  CHECK(chosen("What is the distance from Paris to Rome?") ==
        R"(distance{"from":"Paris","to":"Rome"})");
  CHECK(chosen("What is the distance between Paris and Rome?") ==
        R"(distance{"from":"Paris","to":"Rome"})");
}

TEST_CASE("what follows then waits, and takes numbers from the results", "[simulator]") {
  auto question = "Look up the population of Paris and the population of Rome, then add them.";
  CHECK(chosen(question) == R"(population{"city":"Paris"} population{"city":"Rome"})");
  std::vector<tool_result> results{{"population", R"({"city":"Paris"})", "2100000 people"},
      {"population", R"({"city":"Rome"})", "2,800,000 people"}};
  CHECK(chosen(question, results) == R"(calculator{"expression":"2100000 + 2800000"})");
  results.push_back({"calculator", R"({"expression":"2100000 + 2800000"})", "4900000"});
  CHECK(chosen(question, results).empty());
  CHECK_THAT(answer_from_results(question, results), ContainsSubstring("4900000"));
}

TEST_CASE("one call at a time, when the client wants it so", "[simulator]") {
  auto question = "What is the weather in Paris and in Rome?";
  tool_rules rules{.one_at_a_time = true};
  CHECK(chosen(question, {}, rules) == R"(get_weather{"city":"Paris"})");
  std::vector<tool_result> results{{"get_weather", R"({"city":"Paris"})", "sunny"}};
  CHECK(chosen(question, results, rules) == R"(get_weather{"city":"Rome"})");
}

TEST_CASE("a tool that has to be called is, whatever the question", "[simulator]") {
  auto calls = choose_calls("Hello!", {&weather, 1}, {}, {.must_call = true});
  CHECK(calls.size() == 1);
  CHECK(choose_calls("Hello!", {}, {}, {.must_call = true}).empty());
}

TEST_CASE("arguments may be made to break their schema", "[simulator]") {
  auto calls = choose_calls("Weather in Paris?", {&weather, 1}, {}, {.breaks_schema = true});
  REQUIRE(calls.size() == 1);
  CHECK(calls.front().arguments == R"({"city":0})");
}

// -- tools on the wire --------------------------------------------------------

TEST_CASE("calls come as tool_calls, and their results as the answer", "[simulator]") {
  responder model;
  auto first = parsed(model.chat(chat_of(asks_weather, weather_json)).body);
  const auto& choice = first["choices"][0];
  CHECK(choice["finish_reason"] == "tool_calls");
  CHECK(choice["message"]["content"].IsNull());
  const auto& call = choice["message"]["tool_calls"][0];
  CHECK(call["type"] == "function");
  CHECK(call["function"]["name"] == "get_weather");
  CHECK(call["function"]["arguments"] == R"({"city":"Paris"})");
  std::string id = call["id"].GetString();
  auto messages =
      asks_weather + R"(,{"role":"assistant","content":null,"tool_calls":[{"id":")" + id +
      R"(","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},)" +
      R"({"role":"tool","tool_call_id":")" + id + R"(","content":"18 degrees and sunny"})";
  auto second = parsed(model.chat(chat_of(messages, weather_json)).body);
  CHECK(second["choices"][0]["finish_reason"] == "stop");
  CHECK(second["choices"][0]["message"]["content"] == "get_weather (Paris): 18 degrees and sunny");
}

TEST_CASE("a stream brings a call's name first, then its arguments in pieces", "[simulator]") {
  auto what = responder().chat(chat_of(asks_weather, weather_json + R"(,"stream":true)"));
  REQUIRE(what.stream != nullptr);
  std::string events;
  while (!what.stream->is_over())
    what.stream->next(events);
  CHECK_THAT(
      events, ContainsSubstring(
                  R"("delta":{"tool_calls":[{"index":0,"id":"call_simulated_1","type":"function",)"
                  R"("function":{"name":"get_weather","arguments":"{\"ci"}}]})"));
  CHECK_THAT(
      events, ContainsSubstring(
                  R"("delta":{"tool_calls":[{"index":0,"function":{"arguments":"ty\":"}}]})"));
  CHECK_THAT(events, ContainsSubstring(R"("finish_reason":"tool_calls")"));
}

TEST_CASE("tool_choice is followed", "[simulator]") {
  auto reason = [](const std::string& question, const std::string& choice) {
    auto messages = R"({"role":"user","content":")" + question + "\"}";
    auto json = parsed(
        responder().chat(chat_of(messages, weather_json + ",\"tool_choice\":" + choice)).body);
    return std::string(json["choices"][0]["finish_reason"].GetString());
  };
  CHECK(reason("Weather in Paris?", R"("auto")") == "tool_calls");
  CHECK(reason("Weather in Paris?", R"("none")") == "stop");
  CHECK(reason("Hello", R"("auto")") == "stop");
  CHECK(reason("Hello", R"("required")") == "tool_calls");
  CHECK(
      reason("Hello", R"({"type":"function","function":{"name":"get_weather"}})") == "tool_calls");
}

TEST_CASE("what is wrong with tools and their messages is refused", "[simulator]") {
  auto [messages, fields, param] = GENERATE(table<std::string, std::string, std::string>({
      {asks_weather, R"("tools":[])", "tools"},
      {asks_weather, R"("tools":[{"type":"function"}])", "tools"},
      {asks_weather, R"("tools":[{"type":"function","function":{"description":"a"}}])", "tools"},
      {asks_weather, R"("tool_choice":"auto")", "tool_choice"},
      {asks_weather, weather_json + R"(,"tool_choice":"sometimes")", "tool_choice"},
      {asks_weather,
          weather_json + R"(,"tool_choice":{"type":"function","function":{"name":"other"}})",
          "tool_choice"},
      {asks_weather, R"("response_format":{"type":"xml"})", "response_format"},
      {asks_weather, R"("response_format":{"type":"json_schema"})", "response_format"},
      {R"({"role":"tool","tool_call_id":"x","content":"a"})", weather_json, "messages"},
      {asks_weather +
              R"(,{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"a","arguments":"{}"}}]})",
          weather_json, "messages"},
  }));
  CAPTURE(messages, fields);
  auto refused = responder().chat(chat_of(messages, fields));
  CHECK(refused.status == 400);
  CHECK(parsed(refused.body)["error"]["param"] == param.c_str());
}

// -- documents ----------------------------------------------------------------

TEST_CASE("a document is filled with what the text has", "[simulator]") {
  auto schema =
      R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"cats":{"type":"integer"},"mood":{"enum":["sad","happy"]},"summary":{"type":"string"}},"required":["name","age","cats","mood","summary"]})";
  CHECK(fill(schema, "Ada has 2 cats, is happy and 36 years old.") ==
        R"({"name":"Ada","age":36,"cats":2,"mood":"happy","summary":"The reply."})");
}

TEST_CASE("documents keep to their schemas, whatever the text", "[simulator]") {
  auto text = GENERATE(as<std::string>{}, "", "Hello", "Ada and Charles are 36 and -5.5 years old.",
      "12 \"quoted\" Things: in Paris, Rome, Berlin \\ \n and so on");
  auto schema = GENERATE(as<std::string>{}, R"({"type":"object"})",
      R"({"type":"string","minLength":40})",
      R"({"type":"array","items":{"type":"string"},"minItems":2,"maxItems":3})",
      R"({"type":"array","items":{"enum":["Paris","Rome"]},"minItems":1})",
      R"({"type":"integer","minimum":1,"maximum":5})", R"({"type":"number","multipleOf":0.5})",
      R"({"type":["null","boolean"]})", R"({"const":{"a":[1]}})",
      R"({"anyOf":[{"type":"null"},{"type":"object","properties":{"x":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}},"required":["x"]}]})",
      R"({"type":"object","properties":{"people":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string","maxLength":3},"age":{"type":"number"}},"required":["name","age"],"additionalProperties":false}}},"required":["people"],"additionalProperties":false})");
  CAPTURE(schema, text);
  CHECK(fits(schema, fill(schema, text)));
}

TEST_CASE("references lead into the schema, and not into endless documents", "[simulator]") {
  CHECK(
      fill(
          R"({"$defs":{"city":{"type":"string"}},"type":"object","properties":{"city":{"$ref":"#/$defs/city"}}})",
          "I live in Paris") == R"({"city":"Paris"})");
  auto endless = R"({"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]})";
  CHECK(parsed(fill(endless, "a")).IsObject());
  CHECK(fill("no schema", "a") == "{}");
}

TEST_CASE("each person of a text is an item of the list", "[simulator]") {
  auto schema =
      R"({"type":"object","properties":{"people":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"]}}},"required":["people"]})";
  CHECK(fill(schema, "Ada is 36 and Charles is 45.") ==
        R"({"people":[{"name":"Ada","age":36},{"name":"Charles","age":45}]})");
}

TEST_CASE("response_format gets JSON, and a broken one when a fault wants it", "[simulator]") {
  auto format =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"person","strict":true,"schema":{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}}})";
  auto request = chat_of(R"({"role":"user","content":"Who is Ada, who is 36?"})", format);
  auto content = [](const answer& what) {
    return std::string(parsed(what.body)["choices"][0]["message"]["content"].GetString());
  };
  CHECK(content(responder().chat(request)) == R"({"name":"Ada","age":36})");
  CHECK(content(responder().chat(request, {}, true)) == R"({"name":0,"age":36})");
  auto any = chat_of(asks_weather, R"("response_format":{"type":"json_object"})");
  CHECK(parsed(content(responder().chat(any)))["simulation"].GetBool());
  auto repair = chat_of(
      R"({"role":"user","content":"Who is Ada, who is 36?"},{"role":"assistant","content":"{}"},)"
      R"({"role":"user","content":"The JSON breaks the schema at /name: write it again."})",
      format);
  CHECK(content(responder().chat(repair)) == R"({"name":"Ada","age":36})");
}

} // namespace tools_test

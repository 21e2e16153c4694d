// The simulator's pure parts: what it answers to which JSON, the names it invents, the faults it
// draws.

#include "simulator/endpoint.hpp"
#include "simulator/names.hpp"
#include "simulator/options.hpp"
#include "simulator/replies.hpp"
#include "simulator/requests.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace replies_test {

using namespace chainmail::simulator;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

const std::string sock_prompt = "What is a good name for a company that makes colorful socks?";

rapidjson::Document parsed(const answer& what) {
  rapidjson::Document result;
  result.Parse<rapidjson::kParseValidateEncodingFlag>(what.body.c_str());
  REQUIRE_FALSE(result.HasParseError());
  return result;
}

std::string text(const rapidjson::Value& value) {
  REQUIRE(value.IsString());
  return {value.GetString(), value.GetStringLength()};
}

std::uint64_t number(const rapidjson::Value& value) {
  REQUIRE(value.IsUint64());
  return value.GetUint64();
}

answer complete(const std::string& fields) {
  return responder().complete(R"({"model":"m",)" + fields + "}");
}

answer chat(const std::string& fields) {
  return responder().chat(R"({"model":"m",)" + fields + "}");
}

std::string first_text(const answer& what) {
  REQUIRE(what.status == 200);
  return text(parsed(what)["choices"][0]["text"]);
}

std::string first_reason(const answer& what) {
  return text(parsed(what)["choices"][0]["finish_reason"]);
}

void check_refused(const answer& what, unsigned status, const std::string& param) {
  CAPTURE(what.body);
  CHECK(what.status == status);
  auto json = parsed(what);
  CHECK(text(json["error"]["type"]) == "invalid_request_error");
  CHECK(json["error"]["message"].GetStringLength() > 0);
  if (param.empty())
    CHECK(json["error"]["param"].IsNull());
  else
    CHECK(text(json["error"]["param"]) == param);
}

} // namespace

// -- names --------------------------------------------------------------------

TEST_CASE("a hundred names in a row for one prompt all differ", "[simulator]") {
  auto prompt = GENERATE(as<std::string>{}, sock_prompt,
      "Suggest names for a store that sells kites.", "What is a good name for my company?");
  std::set<std::string> names;
  for (std::uint64_t count = 0; count < 100; ++count)
    names.insert(brand_name(prompt, 0, count).value());
  CHECK(names.size() == 100);
}

TEST_CASE("names depend on the seed and on the prompt, and on nothing else", "[simulator]") {
  auto other = "What is a good name for a company that makes striped socks?";
  CHECK(brand_name(sock_prompt, 1, 5) == brand_name(sock_prompt, 1, 5));
  CHECK(brand_name(sock_prompt, 1, 5) != brand_name(sock_prompt, 2, 5));
  CHECK(brand_name(sock_prompt, 1, 5) != brand_name(other, 1, 5));
}

TEST_CASE("a name hints at its product, also at one that the vocabulary lacks", "[simulator]") {
  auto hinting = [](const std::string& prompt, const std::set<std::string>& hints) {
    for (std::uint64_t count = 0; count < 50; ++count) {
      auto name = brand_name(prompt, 3, count).value();
      CAPTURE(name);
      CHECK(std::ranges::any_of(
          hints, [&](const auto& hint) { return name.find(hint) < name.size(); }));
    }
  };
  hinting(sock_prompt, {"Sock", "Toe", "Heel", "Stitch", "Step", "Ankle", "Knit", "Sole"});
  hinting("Give me a name for a toothpaste company.",
      {"Smile", "Mint", "Pearl", "Enamel", "Brush", "Grin", "Molar", "Fresh"});
  hinting("What is a good name for a company that makes zithers in Vienna?", {"Zither"});
}

TEST_CASE("only questions for a name of a business get a name", "[simulator]") {
  for (auto prompt : {"Name a bakery in Paris", "Suggest three names for our new startup!",
           "Context: none.\n\nQuestion: what is a good name for a product line of soaps?"})
    CHECK(brand_name(prompt, 0, 0).has_value());
  for (auto prompt : {"", "name", "What is the name of the company that made the first phone?",
           "My name is Ada. Which company do I work for?", "What is 2+2?",
           "Write a slogan for the company PrismStitch."})
    CHECK_FALSE(brand_name(prompt, 0, 0).has_value());
}

// -- replies ------------------------------------------------------------------

TEST_CASE("a completion has OpenAI's shape and names a simulated model", "[simulator]") {
  auto json = parsed(responder().complete(
      R"({"model":"text-davinci-003","prompt":")" + sock_prompt + R"(","temperature":0.9})"));
  CHECK(text(json["object"]) == "text_completion");
  CHECK(text(json["model"]) == "simulated-text-davinci-003");
  CHECK_THAT(text(json["id"]), StartsWith("cmpl-"));
  CHECK(json["created"].IsUint64());
  const auto& choice = json["choices"][0];
  CHECK_THAT(text(choice["text"]), StartsWith("\n\n"));
  CHECK(number(choice["index"]) == 0);
  CHECK(choice["logprobs"].IsNull());
  CHECK(text(choice["finish_reason"]) == "stop");
  const auto& usage = json["usage"];
  CHECK(number(usage["prompt_tokens"]) == 15);
  CHECK(number(usage["completion_tokens"]) == (choice["text"].GetStringLength() + 3) / 4);
  CHECK(number(usage["total_tokens"]) ==
        number(usage["prompt_tokens"]) + number(usage["completion_tokens"]));
}

TEST_CASE(
    "every prompt gets n choices, numbered through in the order of the prompts", "[simulator]") {
  auto json = parsed(complete(R"("prompt":["first","second","third"],"n":2)"));
  const auto& choices = json["choices"];
  REQUIRE(choices.Size() == 6);
  for (unsigned i = 0; i < 6; ++i)
    CHECK(number(choices[i]["index"]) == i);
  CHECK_THAT(text(choices[1]["text"]), ContainsSubstring("first"));
  CHECK_THAT(text(choices[2]["text"]), ContainsSubstring("second"));
  CHECK_THAT(text(choices[5]["text"]), ContainsSubstring("third"));
}

TEST_CASE("a chat answers the last message of the user", "[simulator]") {
  auto json = parsed(chat(R"("messages":[{"role":"system","content":"Be kind."},
    {"role":"user","content":"old"},{"role":"assistant","content":null},
    {"role":"user","content":[{"type":"text","text":"new"}]},{"role":"assistant","content":"42"}])"));
  CHECK(text(json["object"]) == "chat.completion");
  const auto& choice = json["choices"][0];
  CHECK(text(choice["message"]["role"]) == "assistant");
  CHECK_THAT(text(choice["message"]["content"]), ContainsSubstring("You wrote: \"new\""));
  CHECK(text(choice["finish_reason"]) == "stop");
}

TEST_CASE("other prompts get an honest sentence with an excerpt", "[simulator]") {
  CHECK(first_text(complete(R"("prompt":"What is\n 2+2? ")")) ==
        "\n\nThis is a simulated reply (no model was asked). You wrote: \"What is 2+2?\"");
}

TEST_CASE("an excerpt is never cut inside a character", "[simulator]") {
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::string prompt(shift, 'x');
    for (int i = 0; i < 400; ++i)
      prompt += "\xF0\x9F\xA7\xA6";
    auto reply = first_text(complete(R"("prompt":")" + prompt + "\""));
    CHECK_THAT(reply, ContainsSubstring("..."));
    CHECK(reply.size() < 250);
  }
}

TEST_CASE("max_tokens cuts the text at four bytes a token, between characters", "[simulator]") {
  auto what = complete(R"("prompt":"hello","max_tokens":2)");
  CHECK(first_text(what) == "\n\nThis i");
  CHECK(first_reason(what) == "length");
  CHECK(number(parsed(what)["usage"]["completion_tokens"]) == 2);
  CHECK(first_reason(complete(R"("prompt":"hello","max_tokens":100)")) == "stop");
  CHECK(utf8_prefix("a\xC3\xA9", 2) == "a");
}

TEST_CASE(
    "the earliest stop sequence ends the text, unless max_tokens ends it before", "[simulator]") {
  CHECK(first_text(complete(R"("prompt":"x","stop":["model","simulated"])")) == "\n\nThis is a ");
  auto cut = complete(R"("prompt":"x","stop":"simulated","max_tokens":1)");
  CHECK(first_text(cut) == "\n\nTh");
  CHECK(first_reason(cut) == "length");
  CHECK(first_text(complete(R"("prompt":"x","stop":"\n")")).empty());
}

// -- refusals -----------------------------------------------------------------

TEST_CASE("a wrong field is refused by name", "[simulator]") {
  struct wrong {
    std::string fields, param;
  };
  auto prompt = GENERATE(values<wrong>({
      {R"("prompt":5)", "prompt"},
      {R"("prompt":[])", "prompt"},
      {R"("prompt":["a",1])", "prompt"},
      {R"("temperature":0)", "prompt"},
      {R"("prompt":"a","n":0)", "n"},
      {R"("prompt":"a","n":1.5)", "n"},
      {R"("prompt":"a","n":"2")", "n"},
      {R"("prompt":"a","n":3,"best_of":2)", "best_of"},
      {R"("prompt":"a","max_tokens":-1)", "max_tokens"},
      {R"("prompt":"a","stop":["1","2","3","4","5"])", "stop"},
      {R"("prompt":"a","stop":{})", "stop"},
      {R"("prompt":"a","temperature":"hot")", "temperature"},
      {R"("prompt":"a","stream":1)", "stream"},
  }));
  CAPTURE(prompt.fields);
  check_refused(complete(prompt.fields), 400, prompt.param);
}

TEST_CASE("a chat without usable messages is refused", "[simulator]") {
  auto fields = GENERATE(as<std::string>{}, R"("n":1)", R"("messages":[])", R"("messages":"hi")",
      R"("messages":[1])", R"("messages":[{"content":"no role"}])",
      R"("messages":[{"role":"user","content":7}])",
      R"("messages":[{"role":"user","content":[{"text":7}]}])");
  CAPTURE(fields);
  check_refused(chat(fields), 400, "messages");
}

TEST_CASE("null stands for a field that is absent", "[simulator]") {
  CHECK(complete(R"("prompt":"a","n":null,"stop":null,"max_tokens":null,"stream":null)").status ==
        200);
}

TEST_CASE("hostile bodies are refused, not obeyed", "[simulator]") {
  auto deep = [](std::size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  auto body = GENERATE_COPY(as<std::string>{}, "", "{", "null", "[]", "\"text\"",
      R"({"model":"m"} x)", std::string(1, '\0'), deep(200), std::string(1U << 20U, '['),
      R"({"model":"m","prompt":)" + deep(100000) + "}", "{\"model\":\"m\",\"prompt\":\"\xC3(\"}",
      R"({"model":"m","prompt":"\ud800"})");
  check_refused(responder().complete(body), 400, "");
  check_refused(responder().chat(body), 400, "");
}

TEST_CASE("a prompt of a megabyte is answered and counted", "[simulator]") {
  auto what = complete(R"("prompt":")" + std::string(1U << 20U, 'a') + "\"");
  REQUIRE(what.status == 200);
  CHECK(number(parsed(what)["usage"]["prompt_tokens"]) == (1U << 18U));
}

TEST_CASE("a list of models excludes the others", "[simulator]") {
  responder picky(0, {"gpt-4", "gpt-3.5-turbo"});
  CHECK(picky.complete(R"({"model":"gpt-4","prompt":"a"})").status == 200);
  auto refused = picky.complete(R"({"model":"gpt-5","prompt":"a"})");
  check_refused(refused, 404, "model");
  CHECK(text(parsed(refused)["error"]["code"]) == "model_not_found");
  auto listed = parsed(picky.list_models());
  REQUIRE(listed["data"].Size() == 2);
  CHECK(text(listed["data"][1]["id"]) == "gpt-3.5-turbo");
  check_refused(responder().complete(R"({"prompt":"a"})"), 400, "model");
}

// -- the endpoint -------------------------------------------------------------

TEST_CASE("a deployment in Azure's path replaces the model", "[simulator]") {
  endpoint azure({});
  request_view request{.method = "POST",
      .target = "/openai/deployments/mine/chat/completions?api-version=2023-05-15"};
  request.body = R"({"messages":[{"role":"user","content":"hi"}]})";
  CHECK_THAT(azure.decide(request, {}).text, ContainsSubstring(R"("model":"simulated-mine")"));
}

TEST_CASE("paths lead to their endpoints with and without /v1", "[simulator]") {
  using enum route::endpoint;
  CHECK(find_route("/v1/completions").to == completions);
  CHECK(find_route("/chat/completions?x=1").to == chat);
  CHECK(find_route("/v1/models").to == route::endpoint::models);
  CHECK(find_route("/stats").to == route::endpoint::stats);
  for (auto path : {"", "/", "/v1", "/v1/stats", "/v1/completionsx", "/v1/chat",
           "/openai/deployments/", "/openai/deployments/mine", "/openai/deployments//completions",
           "/openai/deployments/mine/models"})
    CHECK(find_route(path).to == none);
}

TEST_CASE("errors that precede a model do not wait, the others do", "[simulator]") {
  options opts;
  opts.latency = std::chrono::seconds(3);
  opts.script = parse_script("429,503,500,ok,ok");
  endpoint slow(opts);
  request_view good{.method = "POST", .target = "/v1/completions"};
  good.body = R"({"model":"m","prompt":"a"})";
  CHECK(slow.decide(good, {}).latency == std::chrono::seconds(0));
  CHECK(slow.decide(good, {}).latency == std::chrono::seconds(0));
  CHECK(slow.decide(good, {}).latency == opts.latency);
  CHECK(slow.decide(good, {}).latency == opts.latency);
  CHECK(
      slow.decide({.method = "POST", .target = "/nowhere"}, {}).latency == std::chrono::seconds(0));
}

TEST_CASE("a script covers POST requests only", "[simulator]") {
  options opts;
  opts.script = {fault::server_error};
  endpoint scripted(opts);
  CHECK(scripted.decide({.method = "GET", .target = "/v1/models"}, {}).kind == fault::ok);
  CHECK(scripted.decide({.method = "POST", .target = "/v1/completions"}, {}).kind ==
        fault::server_error);
}

// -- faults and latencies -----------------------------------------------------

TEST_CASE("faults are read by the names that they are printed with", "[simulator]") {
  auto text = "ok,429,500,503,reset,hang,truncated,invalid_json,drip,break,stall,error,schema";
  auto script = parse_script(text);
  REQUIRE(script.size() == fault_kinds);
  std::string printed;
  for (auto kind : script)
    printed.append(printed.empty() ? "" : ",").append(to_string(kind));
  CHECK(printed == text);
  CHECK(parse_script(" ").empty());
  auto rates = parse_fault_rates("429:0.1, reset:0.05");
  REQUIRE(rates.size() == 2);
  CHECK(rates[1].kind == fault::reset);
  CHECK(rates[1].rate == Catch::Approx(0.05));
}

TEST_CASE("a wrong fault text says what is wrong with it", "[simulator]") {
  using Catch::Matchers::MessageMatches;
  auto says = [](const char* text) { return MessageMatches(ContainsSubstring(text)); };
  CHECK_THROWS_MATCHES(parse_script("429,oops"), std::invalid_argument, says("'oops'"));
  CHECK_THROWS_MATCHES(parse_script("429,,ok"), std::invalid_argument, says("unknown fault ''"));
  CHECK_THROWS_MATCHES(parse_fault_rates("429"), std::invalid_argument, says("KIND:RATE"));
  CHECK_THROWS_MATCHES(parse_fault_rates("429:1.5"), std::invalid_argument, says("from 0 to 1"));
  CHECK_THROWS_MATCHES(parse_fault_rates("429:nan"), std::invalid_argument, says("from 0 to 1"));
  CHECK_THROWS_MATCHES(parse_fault_rates("429:0.1x"), std::invalid_argument, says("not a number"));
  CHECK_THROWS_MATCHES(
      parse_fault_rates("429:0.7,500:0.7"), std::invalid_argument, says("more than 1"));
}

TEST_CASE("after its script, a behaviour follows the rates", "[simulator]") {
  options opts;
  opts.script = {fault::hang, fault::ok};
  opts.fault_rates = parse_fault_rates("429:0.2,500:0.1");
  behaviour draws(opts);
  CHECK(draws.next_fault() == fault::hang);
  CHECK(draws.next_fault() == fault::ok);
  std::array<int, fault_kinds> seen{};
  for (int i = 0; i < 10000; ++i)
    ++seen[static_cast<std::size_t>(draws.next_fault())];
  CHECK(seen[static_cast<std::size_t>(fault::rate_limited)] == Catch::Approx(2000).margin(250));
  CHECK(seen[static_cast<std::size_t>(fault::server_error)] == Catch::Approx(1000).margin(250));
  CHECK(seen[static_cast<std::size_t>(fault::ok)] == Catch::Approx(7000).margin(250));
}

TEST_CASE("latencies spread log-normally around their median", "[simulator]") {
  options opts;
  opts.latency = std::chrono::milliseconds(100);
  CHECK(behaviour(opts).next_latency() == opts.latency);
  opts.sigma = 0.5;
  behaviour draws(opts);
  std::vector<double> drawn(10001);
  for (auto& ms : drawn)
    ms = std::chrono::duration<double, std::milli>(draws.next_latency()).count();
  std::ranges::sort(drawn);
  CHECK(drawn[5000] == Catch::Approx(100).epsilon(0.05));
  CHECK(drawn[8413] == Catch::Approx(100 * 1.6487).epsilon(0.1)); // one sigma above: e^0.5
}

TEST_CASE("impossible options are refused", "[simulator]") {
  options negative;
  negative.latency = std::chrono::microseconds(-1);
  CHECK_THROWS_AS(behaviour(negative), std::invalid_argument);
  options wide;
  wide.sigma = -0.1;
  CHECK_THROWS_AS(behaviour(wide), std::invalid_argument);
  options often;
  often.fault_rates = {{fault::reset, 0.6}, {fault::hang, 0.6}};
  CHECK_THROWS_AS(behaviour(often), std::invalid_argument);
}

TEST_CASE("a pitch is about the product, and another one each time", "[simulator]") {
  auto request =
      R"("n":5,"prompt":"Write a pitch of two sentences for a company that makes wool hats.")";
  auto json = parsed(complete(request));
  std::set<std::string> texts;
  for (const auto& one : json["choices"].GetArray()) {
    texts.insert(text(one["text"]));
    CHECK_THAT(text(one["text"]), ContainsSubstring("ool hats"));
  }
  CHECK(texts.size() == 5);
  CHECK_THAT(
      first_text(complete(R"("prompt":"What is a pitch?")")), ContainsSubstring("simulated"));
}

} // namespace replies_test

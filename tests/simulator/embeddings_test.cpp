// The simulator's embeddings: which texts lie near each other, and what the endpoint answers.

#include "clients.hpp"
#include "simulator/embeddings.hpp"
#include "simulator/endpoint.hpp"
#include "simulator/replies.hpp"
#include "simulator/simulator.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <rapidjson/document.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace embeddings_test {

using namespace chainmail::simulator;
using Catch::Matchers::ContainsSubstring;

namespace {

double dot(const std::vector<float>& left, const std::vector<float>& right) {
  return std::inner_product(left.begin(), left.end(), right.begin(), 0.0);
}

double likeness(std::string_view left, std::string_view right) {
  return dot(embed(left, 256), embed(right, 256));
}

rapidjson::Document parsed(const std::string& body) {
  rapidjson::Document result;
  result.Parse<rapidjson::kParseValidateEncodingFlag>(body.c_str());
  REQUIRE_FALSE(result.HasParseError());
  return result;
}

std::string text(const rapidjson::Value& value) {
  REQUIRE(value.IsString());
  return {value.GetString(), value.GetStringLength()};
}

answer ask(const std::string& fields) {
  return responder().embed_inputs(R"({"model":"m",)" + fields + "}");
}

std::vector<float> floats(const rapidjson::Value& array) {
  std::vector<float> result;
  for (const auto& number : array.GetArray())
    result.push_back(number.GetFloat());
  return result;
}

} // namespace

// -- the vectors --------------------------------------------------------------

TEST_CASE("an embedding has length 1 and follows from its text", "[simulator]") {
  for (auto text : {"a", "the", "!!!", "\xF0\x9F\xA7\xA6", "Rate limits, retries and deadlines."})
    for (std::size_t dimensions : {1U, 2U, 256U, 3072U}) {
      auto numbers = embed(text, dimensions);
      REQUIRE(numbers.size() == dimensions);
      CHECK(dot(numbers, numbers) == Catch::Approx(1).epsilon(1e-5));
      CHECK(numbers == embed(text, dimensions));
    }
  CHECK(likeness("!!!", "???") < 0.5);
}

TEST_CASE("paraphrases lie nearer to each other than to other texts", "[simulator]") {
  struct row {
    std::string_view text, paraphrase, other;
  };
  auto [text, paraphrase, other] = GENERATE(values<row>({
      {"How does the rate limiter work?", "The working of rate limiters",
          "How does the cat like its food?"},
      {"Retrying a failed request after a timeout", "A request that failed by timeouts is retried",
          "The museum opens at nine on Sundays."},
      {"The octopus has three hearts and blue blood.", "Why is an octopus's blood blue?",
          "The company was founded in Hamburg by two brothers."},
      {"Ada Lovelace wrote the first computer program.",
          "Who was the writer of the first program for a computer, Ada Lovelace?",
          "What is the population of the city in which you live?"},
      {"Cancel a running call", "calls can be cancelled while they run",
          "The weather in Vienna is mild."},
      {"Install the library with CMake", "installing libraries: cmake --install",
          "You should not eat these mushrooms."},
  }));
  CAPTURE(text, likeness(text, paraphrase), likeness(text, other));
  CHECK(likeness(text, paraphrase) > likeness(text, other) + 0.15);
}

TEST_CASE("a question lies nearest to the passage that holds its answer", "[simulator]") {
  const std::vector<std::string_view> passages{
      "The rate limiter counts requests and tokens. A request that finds no room waits in a queue "
      "of "
      "bounded length; past it, the limiter answers that it is overloaded.",
      "Every call carries a deadline. Work whose deadline has passed is not started, and a "
      "transfer "
      "that runs into it is aborted.",
      "A gather sends many requests to one chain and collects the outcomes in their order. It "
      "tells "
      "an observer about each outcome as it comes.",
      "Prompt templates name their variables in braces. A missing variable is an error that says "
      "which one is missing.",
      "API keys live in the client that uses them. They never appear in a message, a log or an "
      "error.",
  };
  struct row {
    std::string_view question;
    std::size_t passage;
  };
  auto [question, passage] = GENERATE(values<row>({
      {"What happens when the queue of the rate limiter is full?", 0},
      {"What becomes of a transfer after its deadline?", 1},
      {"How do I collect the outcomes of many requests in order?", 2},
      {"What if a variable of a template is missing?", 3},
      {"Do logs or errors show my API key?", 4},
  }));
  for (std::size_t other = 0; other < passages.size(); ++other)
    if (other != passage) {
      CAPTURE(question, passages[other]);
      CHECK(likeness(question, passages[passage]) > likeness(question, passages[other]));
    }
}

TEST_CASE("base64 holds little-endian floats", "[simulator]") {
  CHECK(base64_of({1.0F}) == "AACAPw==");
  CHECK(base64_of({1.0F, -2.0F}) == "AACAPwAAAMA=");
  CHECK(base64_of({1.0F, -2.0F, 0.5F}) == "AACAPwAAAMAAAAA/");
  CHECK(base64_of({}).empty());
}

// -- the endpoint -------------------------------------------------------------

TEST_CASE("embeddings come in OpenAI's shape, in the order of their inputs", "[simulator]") {
  auto what = ask(R"("input":["one text","another"],"user":"me")");
  REQUIRE(what.status == 200);
  auto json = parsed(what.body);
  CHECK(text(json["object"]) == "list");
  CHECK(text(json["model"]) == "simulated-m");
  REQUIRE(json["data"].Size() == 2);
  for (unsigned i = 0; i < 2; ++i) {
    CHECK(text(json["data"][i]["object"]) == "embedding");
    CHECK(json["data"][i]["index"].GetUint() == i);
  }
  CHECK(floats(json["data"][0]["embedding"]) == embed("one text", 256));
  CHECK(floats(json["data"][1]["embedding"]) == embed("another", 256));
  CHECK(json["usage"]["prompt_tokens"].GetUint() == 4);
  CHECK(json["usage"]["total_tokens"].GetUint() == 4);
}

TEST_CASE("dimensions and the encoding are the caller's choice", "[simulator]") {
  auto json = parsed(ask(R"("input":"text","dimensions":3)").body);
  CHECK(floats(json["data"][0]["embedding"]) == embed("text", 3));
  auto encoded = parsed(ask(R"("input":"text","dimensions":3,"encoding_format":"base64")").body);
  CHECK(text(encoded["data"][0]["embedding"]) == base64_of(embed("text", 3)));
}

TEST_CASE("a wrong field of an embeddings request is refused by name", "[simulator]") {
  struct wrong {
    std::string fields, param;
  };
  auto tried = GENERATE(values<wrong>({
      {R"("user":"me")", "input"},
      {R"("input":"")", "input"},
      {R"("input":[])", "input"},
      {R"("input":["a",""])", "input"},
      {R"("input":[1,2,3])", "input"},
      {R"("input":[[1,2],[3]])", "input"},
      {R"("input":7)", "input"},
      {R"("input":"a","dimensions":0)", "dimensions"},
      {R"("input":"a","dimensions":3073)", "dimensions"},
      {R"("input":"a","encoding_format":"hex")", "encoding_format"},
      {R"("input":"a","encoding_format":1)", "encoding_format"},
  }));
  CAPTURE(tried.fields);
  auto what = ask(tried.fields);
  CHECK(what.status == 400);
  auto json = parsed(what.body);
  CHECK(text(json["error"]["param"]) == tried.param);
  CHECK(text(json["error"]["type"]) == "invalid_request_error");
}

TEST_CASE("a batch of 2049 inputs is refused, one of 2048 takes no time", "[simulator][timing]") {
  std::string text;
  for (int i = 0; text.size() < 1000; ++i)
    text += "word" + std::to_string(i * 7919) + " of requests ";
  std::string list = "\"" + text + "\"";
  for (int i = 1; i < 2048; ++i)
    list += ",\"" + std::to_string(i) + text + "\"";
  auto start = std::chrono::steady_clock::now();
  auto what = ask(R"("input":[)" + list + "]");
  auto passed = std::chrono::steady_clock::now() - start;
  CHECK(what.status == 200);
  CHECK(passed < std::chrono::seconds(3)); // of a build without optimization; else a fifth of that
  CHECK(parsed(what.body)["data"].Size() == 2048);
  CHECK(ask(R"("input":[)" + list + ",\"x\"]").status == 400);
}

TEST_CASE("embeddings have their paths, Azure's among them", "[simulator]") {
  CHECK(find_route("/v1/embeddings").to == route::endpoint::embeddings);
  endpoint azure({});
  request_view request{
      .method = "POST", .target = "/openai/deployments/ada/embeddings?api-version=2023-05-15"};
  request.body = R"({"input":"hi"})";
  CHECK_THAT(azure.decide(request, {}).text, ContainsSubstring(R"("model":"simulated-ada")"));
  request.method = "GET";
  CHECK_THAT(azure.decide(request, {}).text, ContainsSubstring("Allow: POST"));
}

TEST_CASE(
    "embeddings go over a socket, with keys, faults and counts as for the rest", "[simulator]") {
  options opts;
  opts.api_key = "sk-right";
  opts.script = parse_script("429");
  server sim(opts);
  test::client user;
  auto url = sim.base_url() + "/embeddings";
  std::string body = R"({"model":"text-embedding-ada-002","input":"hello"})";
  CHECK(user.post(url, body, {"Authorization: Bearer sk-right"}).status == 429);
  CHECK(user.post(url, body).status == 401);
  auto got = user.post(url, body, {"Authorization: Bearer sk-right"});
  CHECK(got.status == 200);
  CHECK(got.fields["x-chainmail-simulation"] == "true");
  CHECK(floats(parsed(got.body)["data"][0]["embedding"]) == embed("hello", 256));
  CHECK(sim.snapshot().answered_with(fault::ok) == 1);
  CHECK(sim.snapshot().refused == 1);
}

} // namespace embeddings_test

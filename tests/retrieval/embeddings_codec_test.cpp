#include <chainmail/errors.hpp>
#include <chainmail/retrieval/embeddings_codec.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

#include <limits>

namespace embeddings_codec_test {

using namespace chainmail;
using namespace std::literals;

namespace {

const std::string endpoint = "http://host/v1/embeddings";

caf::expected<embeddings> decoded(
    std::string body, size_t count = 1, int32_t status = 200, const embedder_options& asked = {}) {
  openai_options options;
  options.key = api_key{"sk-secret-key"};
  http_response response;
  response.status = status;
  response.body = std::move(body);
  return decode_embeddings(count, asked, response, endpoint, options);
}

rapidjson::Document encoded(
    const std::vector<std::string>& texts, const embedder_options& options = {}) {
  rapidjson::Document json;
  json.Parse(encode_embeddings(texts, options).c_str());
  REQUIRE_FALSE(json.HasParseError());
  return json;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

// -- requests -------------------------------------------------------------------------------

TEST_CASE("texts to embed are sent as an array, with base64 asked for") {
  auto json = encoded({"one", "two\nlines"});
  CHECK(json["model"].GetString() == "text-embedding-3-small"s);
  CHECK(json["encoding_format"].GetString() == "base64"s);
  CHECK(json["input"].Size() == 2);
  CHECK(json["input"][1].GetString() == "two\nlines"s);
  CHECK(json.MemberCount() == 3);
}

TEST_CASE("a dimension is asked of the models that have a choice") {
  embedder_options options;
  options.dimension = 256;
  CHECK(encoded({"x"}, options)["dimensions"].GetUint() == 256);
  options.model = "text-embedding-ada-002";
  CHECK_FALSE(encoded({"x"}, options).HasMember("dimensions"));
}

TEST_CASE("newlines become spaces for the first generation of models only") {
  embedder_options options;
  options.model = "text-search-davinci-doc-001";
  CHECK(encoded({"two\nlines"}, options)["input"][0].GetString() == "two lines"s);
}

TEST_CASE("texts that cannot be embedded are refused with their index") {
  CHECK_FALSE(check_texts(std::vector{"plain"s, "Zürich \xf0\x9f\x8f\x94"s, "nul \0 nul"s}));
  auto empty = check_texts(std::vector{"a"s, ""s});
  CHECK(empty == errc::invalid_input);
  CHECK(contains(sentence_of(empty), "index 1"));
  for (auto text : {"\xff"s, "cut \xe2\x82"s, "\xc0\xaf"s, "\xed\xa0\x80"s}) {
    auto broken = check_texts(std::vector{"a"s, "b"s, text});
    CHECK(broken == errc::invalid_input);
    CHECK(contains(sentence_of(broken), "index 2"));
  }
}

TEST_CASE("embedder options that can never work are named") {
  auto problem = [](auto change) {
    embedder_options options;
    change(options);
    return sentence_of(check(options));
  };
  CHECK(problem([](auto&) {}).empty());
  CHECK(contains(problem([](auto& x) { x.batch_size = 0; }), "batch_size"));
  CHECK(contains(problem([](auto& x) { x.batch_size = 2049; }), "batch_size"));
  CHECK(contains(problem([](auto& x) { x.concurrent_requests = 0; }), "concurrent_requests"));
  CHECK(contains(problem([](auto& x) { x.model.clear(); }), "model"));
}

// -- replies --------------------------------------------------------------------------------

TEST_CASE("vectors are read from base64 and from numbers, and stand where their index says") {
  // 1.0f, -2.5f and 0.5f, 3.0f in little-endian order.
  auto result = decoded(R"({"model":"m-2","usage":{"prompt_tokens":7,"total_tokens":8},"data":[
      {"index":1,"embedding":"AACAPwAAIMA="},
      {"index":0,"embedding":[0.5,3]}]})",
      2);
  REQUIRE(result);
  CHECK(result->dimension == 2);
  CHECK(result->numbers == std::vector{0.5F, 3.0F, 1.0F, -2.5F});
  CHECK(result->usage.prompt_tokens == 7);
  CHECK(result->usage.total_tokens == 8);
  CHECK(result->model == "m-2");
}

TEST_CASE("a reply without a model is taken for the model that was asked") {
  auto result = decoded(R"({"data":[{"index":0,"embedding":"AACAPwAAIMA"}]})");
  REQUIRE(result);
  CHECK(result->model == "text-embedding-3-small");
  CHECK(result->numbers == std::vector{1.0F, -2.5F});
}

TEST_CASE("an expected dimension is held against every row") {
  embedder_options asked;
  asked.dimension = 3;
  auto body = R"({"data":[{"index":0,"embedding":[1,2]}]})";
  auto result = decoded(body, 1, 200, asked);
  REQUIRE_FALSE(result);
  CHECK(result.error() == errc::malformed_response);
  CHECK(contains(sentence_of(result.error()), "2 numbers where 3"));
  asked.dimension = 2;
  CHECK(decoded(body, 1, 200, asked));
}

TEST_CASE("embeddings that are not what was asked for are refused, and the place is named") {
  auto good = R"({"index":0,"embedding":[1,2]})"s;
  auto with = [&good](const std::string& second) {
    return R"({"data":[)" + good + (second.empty() ? "" : "," + second) + "]}";
  };
  std::vector<std::pair<std::string, std::string>> table = {
      {"", "no valid JSON"},
      {"[]", "not a JSON object"},
      {R"({"data":[)", "no valid JSON"},
      {R"({"error":{"message":"sk-secret-key is odd"}})", "[key] is odd"},
      {"{}", "'data'"},
      {R"({"data":{}})", "'data'"},
      {with(""), "1 entries, but 2"},
      {with(good + "," + good), "3 entries, but 2"},
      {with(good), "'data[1].index' is out of range or repeated"},
      {with(R"({"index":2,"embedding":[1,2]})"), "'data[1].index'"},
      {with(R"({"index":-1,"embedding":[1,2]})"), "'data[1].index'"},
      {with(R"({"index":"1","embedding":[1,2]})"), "'data[1].index'"},
      {with(R"({"index":1.0,"embedding":[1,2]})"), "'data[1].index'"},
      {with(R"({"embedding":[1,2]})"), "'data[1].index' is missing"},
      {with("7"), "'data[1].index' is missing"},
      {with(R"({"index":1})"), "'data[1].embedding'"},
      {with(R"({"index":1,"embedding":{}})"), "'data[1].embedding'"},
      {with(R"({"index":1,"embedding":[]})"), "'data[1].embedding' is empty"},
      {with(R"({"index":1,"embedding":""})"), "'data[1].embedding' is empty"},
      {with(R"({"index":1,"embedding":[1,2,3]})"), "3 numbers where 2"},
      {with(R"({"index":1,"embedding":"AACAPw=="})"), "1 numbers where 2"},
      {with(R"({"index":1,"embedding":[1,"2"]})"), "index 1 holds something"},
      {with(R"({"index":1,"embedding":[1,null]})"), "index 1 holds something"},
      {with(R"({"index":1,"embedding":[1,1e39]})"), "index 1 holds a number that is too large"},
      {with(R"({"index":1,"embedding":[1,1e999]})"), "no valid JSON"},
      {with(R"({"index":1,"embedding":[1,NaN]})"), "no valid JSON"},
      {with(R"({"index":1,"embedding":"AACAPwAAIM!="})"), "index 1 is no base64"},
      {with(R"({"index":1,"embedding":"AACA=wAAIMA="})"), "index 1 is no base64"},
      {with(R"({"index":1,"embedding":"AACAPwAAIMB="})"), "index 1 is no base64"},
      {with(R"({"index":1,"embedding":"AACAPwAAIMAA"})"), "index 1 is no base64"},
      {with(R"({"index":1,"embedding":"AACAPwAAwH8="})"),
          "index 1 holds a number that is not finite"},
      {with(R"({"index":1,"embedding":"AACAPwAAgH8="})"),
          "index 1 holds a number that is not finite"},
      {R"({"data":[)" + good + R"(,{"index":1,"embedding":[1,2]}],"usage":{"total_tokens":-1}})",
          "'usage'"},
  };
  for (const auto& [body, place] : table) {
    CAPTURE(body);
    auto result = decoded(body, 2);
    REQUIRE_FALSE(result);
    CHECK(result.error() == errc::malformed_response);
    auto sentence = sentence_of(result.error());
    CAPTURE(sentence);
    CHECK(contains(sentence, place));
    CHECK(contains(sentence, endpoint));
    CHECK_FALSE(contains(sentence, "sk-secret"));
    CHECK(detail_of(result.error())->http_status == 200);
  }
}

TEST_CASE("refusals of an embeddings endpoint have the codes that those of an LLM have") {
  auto code = [](int32_t status) { return code_of(decoded("{}", 1, status).error()); };
  CHECK(code(401) == errc::authentication);
  CHECK(code(404) == errc::not_found);
  CHECK(code(400) == errc::bad_request);
  CHECK(code(429) == errc::rate_limited);
  CHECK(code(503) == errc::server_error);
  CHECK(code_of(decoded(R"({"error":{"code":"insufficient_quota"}})", 1, 429).error()) ==
        errc::authentication);
}

} // namespace embeddings_codec_test

#include "support/stub_http.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/retrieval/openai_embedder.hpp>

#include <catch2/catch_test_macros.hpp>

#include <limits>

namespace openai_embedder_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// One row for each number, of that number and 1.
std::string body_of(const std::vector<int>& numbers, const std::string& more = {}) {
  std::string rows;
  for (size_t i = 0; i < numbers.size(); ++i)
    rows += (i == 0 ? "" : ",") + R"({"index":)"s + std::to_string(i) + R"(,"embedding":[)" +
            std::to_string(numbers[i]) + ",1]}";
  return R"({"data":[)" + rows + R"(],"model":"m","usage":{"prompt_tokens":3,"total_tokens":4})" +
         more + "}";
}

struct room {
  virtual_time time;
  std::shared_ptr<http_log> log = std::make_shared<http_log>();
  stub_http_actor http = spawn_stub_http(time.system, log);
  embedder_actor embedder;

  explicit room(embedder_options options = {}) {
    openai_options endpoint;
    endpoint.base_url = "http://host/v1/";
    endpoint.key = api_key{"sk-secret-key"};
    endpoint.api_version = "2 3";
    embedder = spawn_openai_embedder(time.system, http, endpoint, std::move(options));
  }

  auto embed(std::vector<std::string> texts, const call_context& context) {
    auto result =
        ask<embeddings>(time, embedder, embed_atom_v, embed_request{std::move(texts)}, context);
    time.settle();
    return result;
  }

  void reply(uint64_t index, std::string body, int32_t status = 200) {
    answer(http, index, std::move(body), status);
    time.settle();
  }
};

embedder_options in_batches(uint32_t size, uint32_t at_once) {
  embedder_options result;
  result.batch_size = size;
  result.concurrent_requests = at_once;
  return result;
}

} // namespace

TEST_CASE("texts to embed go out in batches, so many at once, and come back in order") {
  room here{in_batches(2, 2)};
  auto result = here.embed({"a", "b", "c", "d", "e"}, here.time.context());
  REQUIRE(here.log->calls.size() == 2);
  const auto& first = here.log->calls[0].request;
  CHECK(first.url == "http://host/v1/embeddings?api-version=2%203");
  CHECK(first.body.find(R"(["a","b"])") != std::string::npos);
  REQUIRE(first.secrets.lines());
  CHECK(first.secrets.lines()->at(1) == "api-key: sk-secret-key");
  CHECK(here.log->calls[0].context.id != here.log->calls[1].context.id);
  here.reply(1, body_of({3, 4}));
  CHECK(here.log->calls.size() == 3);
  here.reply(2, body_of({5}));
  CHECK(result->pending());
  here.reply(0, body_of({1, 2}));
  REQUIRE(result->result);
  CHECK(result->result->dimension == 2);
  CHECK(result->result->numbers == std::vector<float>{1, 1, 2, 1, 3, 1, 4, 1, 5, 1});
  CHECK(result->result->usage.prompt_tokens == 9);
  CHECK(result->result->usage.total_tokens == 12);
  CHECK(result->result->model == "m");
  CHECK(here.log->cancelled.empty());
}

TEST_CASE("no texts give no vectors, without a request") {
  room here;
  auto result = here.embed({}, here.time.context());
  REQUIRE(result->result);
  CHECK(result->result->size() == 0);
  CHECK(here.log->calls.empty());
}

TEST_CASE("an empty text is refused before anything is sent") {
  room here{in_batches(1, 1)};
  CHECK(here.embed({"a", ""}, here.time.context())->error == errc::invalid_input);
  CHECK(here.log->calls.empty());
}

TEST_CASE("the first batch that fails for good ends the call and cancels the others") {
  room here{in_batches(1, 2)};
  auto context = here.time.context();
  auto result = here.embed({"a", "b", "c"}, context);
  here.reply(0, R"({"error":{"message":"no, sk-secret-key"}})", 400);
  CHECK(result->error == errc::bad_request);
  CHECK(sentence_of(result->error).find("sk-secret") == std::string::npos);
  REQUIRE(here.log->cancelled.size() == 1);
  CHECK(here.log->cancelled[0] == here.log->calls[1].context.id);
  CHECK(here.log->calls.size() == 2);
  CHECK(result->answers == 1);
}

TEST_CASE("a batch that met a bad moment of the endpoint is sent again, alone") {
  room here{in_batches(1, 2)};
  auto result = here.embed({"a", "b"}, here.time.context());
  here.reply(0, "{}", 503);
  here.reply(1, body_of({2}));
  CHECK(result->pending());
  here.time.advance(1s);
  REQUIRE(here.log->calls.size() == 3);
  CHECK(here.log->calls[2].context.id == here.log->calls[0].context.id);
  here.reply(2, "{}", 429);
  here.time.advance(1s);
  REQUIRE(here.log->calls.size() == 4);
  here.reply(3, body_of({1}));
  REQUIRE(result->result);
  CHECK(result->result->size() == 2);
}

TEST_CASE("a batch that waits to be sent again can be cancelled, and is not sent") {
  room here{in_batches(1, 1)};
  auto context = here.time.context();
  auto result = here.embed({"a"}, context);
  here.reply(0, "{}", 503);
  compat::anon_send(here.embedder, cancel_atom_v, context.id);
  here.time.settle();
  CHECK(result->error == errc::cancelled);
  here.time.advance(1min);
  CHECK(here.log->calls.size() == 1);
}

TEST_CASE("batches of different models or lengths are not put together") {
  room here{in_batches(1, 2)};
  auto result = here.embed({"a", "b"}, here.time.context());
  here.reply(0, body_of({1}));
  here.reply(1, R"({"data":[{"index":0,"embedding":[1,2,3]}],"model":"m"})");
  CHECK(result->error == errc::malformed_response);
}

TEST_CASE("a cancelled call to embed cancels its requests, by its own ID or by its root") {
  for (auto by_root : {false, true}) {
    room here{in_batches(1, 2)};
    auto context = here.time.context();
    context.id = context.id.child(5);
    auto result = here.embed({"a", "b", "c"}, context);
    auto other = here.embed({"d"}, here.time.context());
    auto id = context.id;
    if (by_root)
      id.step = 0;
    compat::anon_send(here.embedder, cancel_atom_v, id);
    here.time.settle();
    CHECK(result->error == errc::cancelled);
    CHECK(here.log->cancelled.size() == 2);
    here.reply(2, body_of({4}));
    CHECK(other->result);
  }
}

TEST_CASE("past its deadline a call to embed sends nothing, and gets errc::timed_out") {
  room here{in_batches(1, 1)};
  CHECK(here.embed({"a"}, here.time.context(0s))->error == errc::timed_out);
  CHECK(here.log->calls.empty());
  auto late = here.embed({"a", "b"}, here.time.context(1min));
  here.time.advance(2min);
  CHECK(late->error == errc::timed_out);
  here.reply(0, body_of({1}));
  CHECK(late->answers == 1);
  CHECK(here.log->calls.size() == 1);
}

TEST_CASE("the death of the HTTP engine ends the calls that wait for it") {
  embedder_options once;
  once.retry.max_attempts = 1;
  room here{once};
  auto result = here.embed({"a"}, here.time.context());
  caf::anon_send_exit(here.http, caf::exit_reason::kill);
  here.time.settle();
  CHECK(result->error == errc::shut_down);
  CHECK(here.embed({"a"}, here.time.context())->error == errc::shut_down);
}

TEST_CASE("token counts of a hostile endpoint do not overflow") {
  room here{in_batches(1, 2)};
  auto result = here.embed({"a", "b"}, here.time.context());
  for (uint64_t i : {0U, 1U})
    here.reply(i, R"({"data":[{"index":0,"embedding":[1]}],"model":"m",)"
                  R"("usage":{"total_tokens":9223372036854775807}})");
  REQUIRE(result->result);
  CHECK(result->result->usage.total_tokens == std::numeric_limits<int64_t>::max());
}

TEST_CASE("an embedder with options that can never work is not spawned") {
  virtual_time time;
  auto http = spawn_stub_http(time.system, std::make_shared<http_log>());
  CHECK_THROWS_AS(spawn_openai_embedder(time.system, {}, {}), std::invalid_argument);
  CHECK_THROWS_AS(
      spawn_openai_embedder(time.system, http, {}, in_batches(0, 1)), std::invalid_argument);
  openai_options nowhere;
  nowhere.base_url = "host";
  CHECK_THROWS_AS(spawn_openai_embedder(time.system, http, nowhere), std::invalid_argument);
}

} // namespace openai_embedder_test

#include "support/stub_http.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/token_counter.hpp>
#include <chainmail/llm/token_estimate.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

namespace openai_client_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// What the endpoint of a test answers to everything.
struct canned_reply {
  int32_t status = 200;
  std::string body;
};

http_actor spawn_canned_http(caf::actor_system& system, std::shared_ptr<canned_reply> reply) {
  return system.spawn([reply](http_actor::pointer) -> http_actor::behavior_type {
    return {
        [reply](
            fetch_atom, const http_request&, const call_context&) -> caf::result<http_response> {
          http_response response;
          response.status = reply->status;
          response.body = reply->body;
          return response;
        },
        [](stream_atom, const http_request&, const sink_actor&,
            const call_context&) -> caf::result<http_response> {
          return make_failure(errc::unsupported, "not in this test");
        },
        [](cancel_atom, const call_id&) {},
        [](status_atom) { return http_status{}; },
    };
  });
}

const auto prompt = [] {
  std::string text;
  for (auto i = 0; i < 40; ++i)
    text += "Name a company that makes colourful socks. ";
  return text;
}();

const auto estimated = static_cast<double>(estimate_tokens(prompt));

struct fixture {
  virtual_time time;
  std::shared_ptr<canned_reply> reply = std::make_shared<canned_reply>();
  std::shared_ptr<token_counter> counter = std::make_shared<token_counter>();
  openai_options options;
  llm_request request;

  fixture() {
    options.counter = counter;
    request.prompts = {prompt};
  }

  void report(double tokens, const std::string& choice = R"("text":"x")") {
    auto count = std::to_string(static_cast<int64_t>(tokens));
    reply->body = R"({"model":"answering","choices":[{)" + choice +
                  R"(}],"usage":{"prompt_tokens":)" + count + R"(,"completion_tokens":1}})";
  }

  /// Makes calls one after another, and counts those that had a result.
  size_t call(size_t times) {
    auto llm = spawn_openai_client(time.system, spawn_canned_http(time.system, reply), options);
    size_t results = 0;
    for (size_t i = 0; i < times; ++i) {
      auto got = ask<llm_result>(time, llm, generate_atom_v, request, time.context());
      time.settle();
      results += got->result ? 1 : 0;
    }
    return results;
  }
};

} // namespace

TEST_CASE("prompts are posted to completions and messages to chat, with the key as bearer") {
  virtual_time time;
  auto log = std::make_shared<http_log>();
  auto http = spawn_stub_http(time.system, log);
  openai_options endpoint;
  endpoint.base_url = "http://host/v1";
  endpoint.key = api_key{"sk-secret-key"};
  auto llm = spawn_openai_client(time.system, http, endpoint);
  llm_request prompts;
  prompts.prompts = {"one", "two"};
  llm_request chat;
  chat.messages = {{"user", "hi"}};
  for (const auto& request : {prompts, chat})
    ask<llm_result>(time, llm, generate_atom_v, request, time.context());
  time.settle();
  REQUIRE(log->calls.size() == 2);
  CHECK(log->calls[0].request.url == "http://host/v1/completions");
  CHECK(log->calls[1].request.url == "http://host/v1/chat/completions");
  for (const auto& call : log->calls) {
    CHECK(call.request.method == "POST");
    REQUIRE(call.request.secrets.lines());
    CHECK(call.request.secrets.lines()->at(1) == "Authorization: Bearer sk-secret-key");
  }
  for (auto i : {0, 1})
    compat::anon_send(http, cancel_atom_v, log->calls[static_cast<size_t>(i)].context.id);
  time.settle();
}

TEST_CASE_METHOD(fixture, "a client learns the tokens of the model that was asked for") {
  request.parameters.model = "asked";
  report(1.3 * estimated);
  CHECK(call(8) == 8);
  CHECK(counter->ratio("asked") == Catch::Approx(1.3).epsilon(0.05));
  CHECK(counter->ratio("answering") == 1);
  CHECK(counter->ratio("") == 1);
}

TEST_CASE_METHOD(fixture, "what the client's own model reports counts for the empty name too") {
  options.defaults.model = "usual";
  report(0.5 * estimated);
  CHECK(call(8) == 8);
  CHECK(counter->ratio("usual") < 0.75);
  CHECK(counter->ratio("") == counter->ratio("usual"));
}

TEST_CASE_METHOD(fixture, "the tokens around chat messages are not held against the text") {
  request.prompts.clear();
  request.messages = {{"system", prompt}, {"user", prompt}};
  request.parameters.model = "asked";
  report(2 * estimated + 11, R"("message":{"content":"x"})");
  CHECK(call(8) == 8);
  CHECK(counter->ratio("asked") == Catch::Approx(1));
}

TEST_CASE_METHOD(fixture, "after a model's first replies only some are looked at") {
  request.parameters.model = "asked";
  report(estimated);
  CHECK(call(8) == 8);
  report(2 * estimated);
  CHECK(call(8) == 8);
  CHECK(counter->ratio("asked") == Catch::Approx(1));
  CHECK(call(1) == 1);
  CHECK(counter->ratio("asked") > 1.05);
}

TEST_CASE_METHOD(fixture, "errors, missing usage and further fields teach nothing") {
  request.parameters.model = "asked";
  reply->body = R"({"choices":[{"text":"x"}]})";
  CHECK(call(2) == 2);
  report(3 * estimated);
  reply->status = 500;
  CHECK(call(2) == 0);
  reply->status = 200;
  request.parameters.extra["functions"] = "[]";
  CHECK(call(2) == 2);
  CHECK(counter->ratio("asked") == 1);
}

TEST_CASE_METHOD(fixture, "without a counter of its own a client teaches that of the process") {
  options.counter = nullptr;
  request.parameters.model = "only asked for in this test";
  report(2 * estimated);
  CHECK(call(1) == 1);
  CHECK(token_counter::shared()->ratio("only asked for in this test") > 1.2);
}

} // namespace openai_client_test

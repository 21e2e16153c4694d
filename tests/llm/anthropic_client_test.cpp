// The client of Anthropic's API: what goes out, what streams, and the simulator behind real HTTP.
#include "support/recording_sink.hpp"
#include "support/stub_http.hpp"

#include <chainmail/caf/main.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/chains/structured_chain.hpp>
#include <chainmail/gather/calls.hpp>
#include <chainmail/http/http.hpp>
#include <chainmail/llm/anthropic_client.hpp>
#include <chainmail/llm/llm_settings.hpp>

#include <caf/scoped_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <simulator/simulator.hpp>

namespace anthropic_client_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct anthropic_fixture {
  virtual_time time;
  std::shared_ptr<http_log> http = std::make_shared<http_log>();
  std::shared_ptr<sink_log> got = std::make_shared<sink_log>();
  stub_http_actor stub = spawn_stub_http(time.system, http);
  recording_sink_actor sink = spawn_recording_sink(time.system, got);
  llm_actor llm = spawn_anthropic_client(time.system, stub, options());
  llm_request request;

  anthropic_fixture() { request.prompts = {"hi"}; }

  ~anthropic_fixture() {
    http->calls.clear();
    caf::anon_send_exit(stub, caf::exit_reason::kill);
  }

  static anthropic_options options() {
    anthropic_options result;
    result.base_url = "http://host";
    result.key = api_key{"sk-ant-secret"};
    result.extra_headers = {{"anthropic-beta", "one"}};
    result.idle_timeout = 7s;
    return result;
  }

  void piece(const std::string& name, const std::string& data) {
    send_piece(stub, 0, "event: " + name + "\ndata: " + data + "\n\n");
    time.settle();
  }
};

/// Programs with real HTTP, against the simulator.
struct simulated_anthropic {
  simulator::server endpoint{simulator::options{}};
  caf::actor_system_config system_config;
  caf::actor_system system{tuned(system_config)};
  caf::scoped_actor self{system};
  http_actor http = spawn_http(system);
  llm_config config;

  simulated_anthropic() {
    config.endpoint = {};
    config.anthropic.emplace();
    config.anthropic->base_url = endpoint.base_url();
  }

  static caf::actor_system_config& tuned(caf::actor_system_config& config) {
    tune_scheduler(config);
    return config;
  }
};

constexpr auto question = "Answer from the context.\n\nContext: The octopus has three hearts.\n\n"
                          "Question: How many hearts does the octopus have?\nHelpful Answer:";

} // namespace

TEST_CASE_METHOD(anthropic_fixture, "a request goes to /v1/messages with Anthropic's headers") {
  auto reply = ask<llm_result>(time, llm, generate_atom_v, request, time.context());
  time.settle();
  REQUIRE(http->calls.size() == 1);
  const auto& post = http->calls[0].request;
  CHECK(post.method == "POST");
  CHECK(post.url == "http://host/v1/messages");
  REQUIRE(post.secrets.lines());
  CHECK(*post.secrets.lines() == std::vector{"Content-Type: application/json"s,
                                     "anthropic-version: 2023-06-01"s, "x-api-key: sk-ant-secret"s,
                                     "anthropic-beta: one"s});
  CHECK(post.body.find("sk-ant") == std::string::npos);
  answer(stub, 0, R"({"content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn"})");
  time.settle();
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "Hello.");
}

TEST_CASE_METHOD(anthropic_fixture, "a request that Anthropic would refuse is not sent") {
  request.parameters.n = 2;
  auto reply = ask<llm_result>(time, llm, generate_atom_v, request, time.context());
  time.settle();
  CHECK(reply->error == errc::invalid_input);
  CHECK(http->calls.empty());
}

TEST_CASE_METHOD(anthropic_fixture, "a stream of Anthropic's reaches the sink as it comes") {
  auto reply = ask<llm_result>(
      time, llm, stream_atom_v, request, caf::actor_cast<sink_actor>(sink), time.context());
  time.settle();
  REQUIRE(http->calls.size() == 1);
  CHECK(http->calls[0].request.body.ends_with(R"("stream":true})"));
  CHECK(http->calls[0].request.idle_timeout == caf::timespan{7s});
  piece("message_start", R"({"type":"message_start","message":{"model":"claude-x",)"
                         R"("usage":{"input_tokens":3,"output_tokens":1}}})");
  piece("content_block_delta",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}})");
  CHECK(got->text() == "Hel");
  CHECK(reply->pending());
  piece("content_block_delta",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}})");
  piece("message_delta", R"({"type":"message_delta","delta":{"stop_reason":"max_tokens"},)"
                         R"("usage":{"output_tokens":2}})");
  piece("message_stop", R"({"type":"message_stop"})");
  answer(stub, 0, {});
  time.settle();
  REQUIRE(reply->result);
  CHECK(got->text() == "Hello");
  CHECK(reply->result->text() == "Hello");
  CHECK(reply->result->completions.front().finish_reason == "length");
  CHECK(reply->result->usage.total_tokens == 5);
}

TEST_CASE_METHOD(anthropic_fixture, "a stream that Anthropic breaks off keeps its text so far") {
  auto reply = ask<llm_result>(
      time, llm, stream_atom_v, request, caf::actor_cast<sink_actor>(sink), time.context());
  time.settle();
  piece("content_block_delta",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}})");
  piece("error", R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})");
  answer(stub, 0, {});
  time.settle();
  CHECK(reply->error == errc::server_error);
  REQUIRE(detail_of(reply->error));
  CHECK(detail_of(reply->error)->text_so_far == "Hel");
}

TEST_CASE("the simulator answers Anthropic's API behind the usual stack") {
  simulated_anthropic f;
  auto llm = spawn_llm(f.system, f.http, f.config);
  auto result = generate(f.self, llm, question, 20s);
  INFO((result ? "" : describe(result.error())));
  REQUIRE(result);
  CHECK(result->text() == "The octopus has three hearts.");
  CHECK(result->completions.front().finish_reason == "stop");
  CHECK(result->usage.total_tokens > 0);
  CHECK(result->attempts.front().target == f.endpoint.base_url() + "/messages");
}

TEST_CASE("a structured chain gets its document from Anthropic's API") {
  simulated_anthropic f;
  auto llm = spawn_llm(f.system, f.http, f.config);
  auto chain = spawn_structured_chain(f.system, llm, "{text}",
      R"({"type":"object","properties":{"count":{"type":"integer"}},"required":["count"]})");
  auto answer = call(f.self, chain, {{"text", "There are 3 hearts."}}, 20s);
  INFO((answer ? "" : describe(answer.error())));
  REQUIRE(answer);
  CHECK(*find_text(*answer, "json") == R"({"count":3})");
}

TEST_CASE("fallbacks may speak another wire format, and are asked for a model of their own") {
  simulated_anthropic f;
  f.config.retry.max_attempts = 1;
  openai_options openai;
  openai.base_url = f.endpoint.base_url();
  openai.api = openai_api::chat;
  llm_request request;
  request.messages = {{"user", question}};
  request.parameters.model = "one-of-the-first";
  auto ask = [&] {
    auto llm = spawn_llm(f.system, f.http, f.config);
    return generate(f.self, llm, request, 20s);
  };
  SECTION("OpenAI's behind Anthropic's") {
    f.config.anthropic->base_url = "http://127.0.0.1:1";
    f.config.fallbacks = {openai};
    auto result = ask();
    INFO((result ? "" : describe(result.error())));
    REQUIRE(result);
    REQUIRE(result->attempts.size() == 2);
    CHECK(result->attempts[0].target.starts_with("http://127.0.0.1:1/v1/messages"));
    CHECK(result->attempts[1].target.find("/chat/completions gpt-4o-mini") != std::string::npos);
    CHECK(result->text() == "The octopus has three hearts.");
  }
  SECTION("Anthropic's behind OpenAI's") {
    f.config.fallbacks = {*f.config.anthropic};
    f.config.anthropic.reset();
    openai.base_url = "http://127.0.0.1:1/v1";
    f.config.endpoint = openai;
    auto result = ask();
    INFO((result ? "" : describe(result.error())));
    REQUIRE(result);
    REQUIRE(result->attempts.size() == 2);
    CHECK(result->attempts[1].target.find("/messages claude-") != std::string::npos);
    CHECK(result->text() == "The octopus has three hearts.");
  }
}

TEST_CASE("settings choose the API, and their defaults go along") {
  llm_settings settings;
  settings.api = "anthropic";
  settings.base_url = "http://127.0.0.1:9/v1";
  settings.model = "claude-y";
  settings.fallback_models = {"claude-z"};
  settings.idle_timeout = 5s;
  llm_config config;
  config.endpoint.defaults.temperature = 0;
  CHECK_FALSE(settings.apply_to(config));
  REQUIRE(config.anthropic);
  CHECK(config.anthropic->base_url == "http://127.0.0.1:9/v1");
  CHECK(config.anthropic->defaults.model == "claude-y");
  CHECK(config.anthropic->defaults.temperature == 0);
  CHECK(config.anthropic->idle_timeout == caf::timespan{5s});
  REQUIRE(config.fallbacks.size() == 1);
  CHECK(std::get<anthropic_options>(config.fallbacks[0]).defaults.model == "claude-z");
  settings.api = "chat";
  llm_config chat;
  CHECK_FALSE(settings.apply_to(chat));
  CHECK_FALSE(chat.anthropic);
  CHECK(chat.endpoint.api == openai_api::chat);
  CHECK(settings.has_endpoint());
  settings.api = "gemini";
  CHECK(settings.apply_to(chat) == errc::invalid_input);
}

} // namespace anthropic_client_test

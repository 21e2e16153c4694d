// The client's streams: what the sink and the caller get, what slows them, and what ends them.
#include "support/recording_sink.hpp"
#include "support/stub_http.hpp"

#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/token_counter.hpp>
#include <chainmail/llm/token_estimate.hpp>

#include <catch2/catch_test_macros.hpp>

namespace openai_client_streams_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

std::string event(const std::string& data) {
  return "data: " + data + "\n\n";
}

std::string delta(const std::string& text, int index = 0) {
  return event(R"({"model":"m","choices":[{"index":)" + std::to_string(index) +
               R"(,"delta":{"content":")" + text + R"("}}]})");
}

const auto stop = event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})");
const auto done = event("[DONE]");

struct fixture {
  virtual_time time;
  std::shared_ptr<http_log> http = std::make_shared<http_log>();
  std::shared_ptr<sink_log> got = std::make_shared<sink_log>();
  stub_http_actor stub = spawn_stub_http(time.system, http);
  recording_sink_actor sink = spawn_recording_sink(time.system, got);
  openai_options options;
  llm_actor llm;
  llm_request request;
  call_context context = time.context();

  fixture() {
    options.api = openai_api::chat;
    options.base_url = "http://host/v1";
    options.key = api_key{"sk-secret"};
    options.counter = std::make_shared<token_counter>();
    request.prompts = {"hi"};
  }

  ~fixture() {
    // Promises that nobody keeps any more: with CAF 1.1, they keep their actor.
    http->calls.clear();
    caf::anon_send_exit(stub, caf::exit_reason::kill);
    caf::anon_send_exit(sink, caf::exit_reason::kill);
  }

  using reply_ptr = std::shared_ptr<reply<llm_result>>;

  reply_ptr stream() {
    if (!llm)
      llm = spawn_openai_client(time.system, stub, options);
    auto result = ask<llm_result>(
        time, llm, stream_atom_v, request, caf::actor_cast<sink_actor>(sink), context);
    time.settle();
    return result;
  }

  void piece(const std::string& text, uint64_t call = 0) {
    send_piece(stub, call, text);
    time.settle();
  }

  /// The exchange is over.
  void end(uint64_t call = 0, int32_t status = 200, std::string body = {}) {
    answer(stub, call, std::move(body), status);
    time.settle();
  }

  void break_off(uint64_t call = 0) {
    fail(stub, call, make_failure(errc::connection_failed, "it broke", {200, "http://host/v1"}));
    time.settle();
  }

  void hold_sink() { got->credit = 0; }

  void take(size_t count) {
    grant(sink, count);
    time.settle();
  }
};

} // namespace

// -- what goes out --------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a stream is asked for with usage, its key and the idle time-out") {
  options.idle_timeout = 7s;
  auto reply = stream();
  REQUIRE(http->calls.size() == 1);
  const auto& [post, sent_context, engine_sink, sent, taken, refusal] = http->calls[0];
  CHECK(post.url == "http://host/v1/chat/completions");
  CHECK(post.body.ends_with(R"("stream":true,"stream_options":{"include_usage":true}})"));
  CHECK(post.idle_timeout == 7s);
  REQUIRE(post.secrets.lines());
  CHECK(post.secrets.lines()->at(1) == "Authorization: Bearer sk-secret");
  CHECK(sent_context.due.at == context.due.at);
  CHECK(sent_context.id.root == context.id.root);
  CHECK(engine_sink);
}

TEST_CASE_METHOD(fixture, "a request's own stream_options are left alone") {
  request.parameters.extra["stream_options"] = R"({"include_usage":false})";
  auto reply = stream();
  const auto& body = http->calls.at(0).request.body;
  CHECK(body.find("include_usage\":true") == std::string::npos);
  CHECK(body.ends_with(R"("stream":true})"));
}

TEST_CASE_METHOD(
    fixture, "a stream without a sink, and a request that makes no sense, are refused") {
  llm = spawn_openai_client(time.system, stub, options);
  auto none = ask<llm_result>(time, llm, stream_atom_v, request, sink_actor{}, context);
  request.prompts.clear();
  auto empty = stream();
  CHECK(none->error == errc::invalid_input);
  CHECK(empty->error == errc::invalid_input);
  CHECK(http->calls.empty());
}

// -- what comes back ------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "text goes to the sink as it comes, and all of it into the answer") {
  auto reply = stream();
  piece(delta("Hel"));
  CHECK(got->text(context.id) == "Hel");
  CHECK(reply->pending());
  time.advance(1s);
  piece(delta("lo") + stop +
        event(R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}})") + done);
  CHECK(got->text(context.id) == "Hello");
  CHECK(reply->pending());
  end();
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "Hello");
  CHECK(reply->result->completions.at(0).finish_reason == "stop");
  CHECK(reply->result->usage.prompt_tokens == 3);
  CHECK(reply->result->model == "m");
  CHECK(http->calls[0].taken == 2);
}

TEST_CASE_METHOD(fixture, "an event may be cut anywhere") {
  auto reply = stream();
  auto text = ": hello\n\n" + delta("Grüße") + delta(" 🧦") + stop + done;
  for (auto byte : text)
    piece(std::string(1, byte));
  end();
  CHECK(got->text() == "Grüße 🧦");
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "Grüße 🧦");
}

TEST_CASE_METHOD(fixture, "each completion's text has its index") {
  request.parameters.n = 2;
  auto reply = stream();
  piece(delta("a", 1) + delta("b", 0) + delta("c", 1) + done);
  end();
  CHECK(got->text(context.id, 0) == "b");
  CHECK(got->text(context.id, 1) == "ac");
  REQUIRE(reply->result);
  CHECK(reply->result->completions.at(1).text == "ac");
}

TEST_CASE_METHOD(fixture, "the first token's time counts from the call to the first text") {
  auto reply = stream();
  time.advance(1s);
  piece(event(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})"));
  time.advance(2s);
  piece(delta("x"));
  time.advance(1s);
  piece(done);
  end();
  REQUIRE(reply->result);
  CHECK(reply->result->first_token == 3s);
}

TEST_CASE_METHOD(fixture, "tool calls are in the answer, and not for the sink") {
  auto reply = stream();
  piece(event(R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":)"
              R"({"name":"f","arguments":"{}"}}]}}]})"));
  piece(event(R"({"choices":[{"delta":{},"finish_reason":"tool_calls"}]})") + done);
  end();
  CHECK(got->chunks.empty());
  REQUIRE(reply->result);
  CHECK(reply->result->completions.at(0).tool_calls == std::vector<tool_call>{{"a", "f", "{}"}});
  CHECK(reply->result->first_token.has_value());
}

TEST_CASE_METHOD(fixture, "an end without its mark is fine when there is a finish reason") {
  auto reply = stream();
  piece(delta("x") + stop);
  end();
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "x");
}

TEST_CASE_METHOD(fixture, "a stream whose answer is whole does not need its response to end well") {
  auto reply = stream();
  piece(delta("x") + stop);
  break_off();
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "x");
}

TEST_CASE_METHOD(fixture, "a server that answers with one document has its text passed on") {
  auto reply = stream();
  piece(R"({"choices":[{"message":{"con)");
  piece(R"(tent":"whole"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}})");
  CHECK(got->chunks.empty());
  end();
  CHECK(got->text() == "whole");
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "whole");
  CHECK(reply->result->usage.prompt_tokens == 1);
}

TEST_CASE_METHOD(fixture, "what a stream reports of its prompt's tokens is learned") {
  request.prompts = {std::string(4'000, 'a')};
  for (size_t i = 0; i < request.prompts[0].size(); i += 7)
    request.prompts[0][i] = ' ';
  request.parameters.model = "asked";
  auto estimated = estimate_tokens(request.prompts[0]);
  for (uint64_t i = 0; i < 8; ++i) {
    auto reply = stream();
    piece(delta("x") +
              event(R"({"choices":[],"usage":{"prompt_tokens":)" + std::to_string(2 * estimated) +
                    "}}") +
              done,
        i);
    end(i);
    CHECK(reply->result);
  }
  CHECK(options.counter->ratio("asked") > 1.5);
}

// -- errors ---------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a refusal is the error that it is for a call") {
  auto reply = stream();
  end(0, 429, R"({"error":{"message":"slow down"}})");
  CHECK(reply->error == errc::rate_limited);
  CHECK(detail_of(reply->error)->text_so_far.empty());
}

TEST_CASE_METHOD(fixture, "a break before the first text is an error without any") {
  auto reply = stream();
  break_off();
  CHECK(reply->error == errc::connection_failed);
  CHECK(detail_of(reply->error)->text_so_far.empty());
}

TEST_CASE_METHOD(fixture, "a break after the first text is an error that keeps it") {
  auto reply = stream();
  piece(delta("Hel") + delta("lo"));
  break_off();
  CHECK(reply->error == errc::connection_failed);
  CHECK(detail_of(reply->error)->text_so_far == "Hello");
  CHECK(detail_of(reply->error)->endpoint == "http://host/v1");
  CHECK(http->calls.size() == 1);
}

TEST_CASE_METHOD(fixture, "an end without a finish reason is a break") {
  auto reply = stream();
  piece(delta("Hello"));
  end();
  CHECK(reply->error == errc::malformed_response);
  CHECK(detail_of(reply->error)->text_so_far == "Hello");
}

TEST_CASE_METHOD(fixture, "a page where a stream should be is called by its type") {
  auto reply = stream();
  piece("<!DOCTYPE html><p>Please log in</p>");
  http_response page;
  page.status = 200;
  page.headers = {{"content-type", "text/html"}};
  compat::anon_send(stub, caf::ok_atom_v, uint64_t{0}, page);
  time.settle();
  CHECK(reply->error == errc::malformed_response);
  CHECK(sentence_of(reply->error).find("text/html") != std::string::npos);
  CHECK(detail_of(reply->error)->endpoint == "http://host/v1/chat/completions");
}

TEST_CASE_METHOD(fixture, "a response without a body is not what the API promises") {
  auto reply = stream();
  end();
  CHECK(reply->error == errc::malformed_response);
}

TEST_CASE_METHOD(fixture, "an error object ends the stream, and the exchange") {
  auto reply = stream();
  piece(delta("Hello") + event(R"({"error":{"message":"overloaded","code":503}})") + delta("!"));
  CHECK(reply->error == errc::server_error);
  CHECK(detail_of(reply->error)->text_so_far == "Hello");
  CHECK(got->text() == "Hello");
  CHECK(http->cancelled == std::vector{http->calls[0].context.id});
}

TEST_CASE_METHOD(fixture, "an error is told after the sink has taken what came before") {
  hold_sink();
  auto reply = stream();
  piece(delta("Hello"));
  break_off();
  CHECK(reply->pending());
  take(1);
  CHECK(reply->error == errc::connection_failed);
}

TEST_CASE_METHOD(fixture, "an engine that dies is an error for its streams") {
  auto reply = stream();
  piece(delta("Hello"));
  caf::anon_send_exit(stub, caf::exit_reason::kill);
  time.settle();
  CHECK(reply->error == errc::shut_down);
  CHECK(detail_of(reply->error)->text_so_far == "Hello");
}

TEST_CASE_METHOD(fixture, "a server that refuses stream_options is asked without") {
  auto reply = stream();
  end(0, 400, R"({"error":{"message":"Unrecognized request argument: stream_options"}})");
  REQUIRE(http->calls.size() == 2);
  CHECK(http->calls[1].request.body.ends_with(R"("stream":true})"));
  CHECK(http->calls[0].request.headers.at(0).value != http->calls[1].request.headers.at(0).value);
  piece(delta("x") + done, 1);
  end(1);
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "x");
  // And never again with.
  auto next = stream();
  CHECK(http->calls.at(2).request.body.ends_with(R"("stream":true})"));
}

// -- back-pressure --------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a slow sink slows the engine down, and loses nothing") {
  hold_sink();
  auto reply = stream();
  std::string wanted;
  for (auto i = 0; i < 100; ++i) {
    auto text = std::to_string(i) + std::string(1'000, 'x');
    wanted += text;
    piece(delta(text));
  }
  const auto& call = http->calls[0];
  CHECK(got->chunks.size() == 8);
  CHECK(call.taken >= 15);
  CHECK(call.taken <= 17);
  // What waits goes out as one piece, for one credit.
  take(1);
  CHECK(got->chunks.size() == 9);
  take(1'000);
  CHECK(call.taken == 100);
  piece(done);
  end();
  CHECK(got->text() == wanted);
  REQUIRE(reply->result);
  CHECK(reply->result->text() == wanted);
}

TEST_CASE_METHOD(fixture, "the answer comes after the sink has taken everything") {
  hold_sink();
  auto reply = stream();
  piece(delta("x") + done);
  end();
  CHECK(reply->pending());
  take(1);
  CHECK(reply->result);
}

TEST_CASE_METHOD(fixture, "a sink that holds up one stream holds up no other") {
  hold_sink();
  auto slow = stream();
  auto other_log = std::make_shared<sink_log>();
  auto other = spawn_recording_sink(time.system, other_log);
  std::swap(sink, other);
  context = time.context();
  auto fast = stream();
  piece(delta("slow"));
  piece(delta("fast") + done, 1);
  end(1);
  CHECK(fast->result);
  CHECK(slow->pending());
  grant(other, 1);
}

// -- what ends a stream ---------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a cancel ends the stream at once, down to the engine") {
  hold_sink();
  auto reply = stream();
  piece(delta("Hel"));
  compat::anon_send(llm, cancel_atom_v, context.id);
  time.settle();
  CHECK(reply->error == errc::cancelled);
  CHECK(detail_of(reply->error)->text_so_far == "Hel");
  auto engine_id = http->calls[0].context.id;
  CHECK(std::count(http->cancelled.begin(), http->cancelled.end(), engine_id) == 1);
  // What comes after is passed over.
  piece(delta("lo"));
  CHECK(http->calls[0].taken == 2);
  CHECK(got->text() == "Hel");
  CHECK(reply->answers == 1);
}

TEST_CASE_METHOD(fixture, "a cancel of the root ends all of its streams, and no other's") {
  auto root = context;
  context = root.child(1);
  auto one = stream();
  context = root.child(2);
  auto two = stream();
  context = time.context();
  auto other = stream();
  compat::anon_send(llm, cancel_atom_v, call_id{root.id.root, 0});
  time.settle();
  CHECK(one->error == errc::cancelled);
  CHECK(two->error == errc::cancelled);
  CHECK(other->pending());
}

TEST_CASE_METHOD(fixture, "a sink that dies ends its stream, even while nothing comes") {
  auto reply = stream();
  piece(delta("Hel"));
  caf::anon_send_exit(sink, caf::exit_reason::kill);
  time.settle();
  CHECK(reply->error == errc::cancelled);
  CHECK(http->cancelled == std::vector{http->calls[0].context.id});
  auto late = stream();
  CHECK(late->error == errc::cancelled);
}

TEST_CASE_METHOD(fixture, "a sink that answers with an error ends its stream") {
  got->credit = 1;
  got->refusal = make_failure(errc::server_error, "enough");
  auto reply = stream();
  piece(delta("Hel"));
  CHECK(reply->pending());
  piece(delta("lo"));
  CHECK(reply->error == errc::cancelled);
  CHECK(sentence_of(reply->error).find("enough") != std::string::npos);
  CHECK(http->cancelled.size() == 1);
}

TEST_CASE_METHOD(fixture, "a client that dies is an error for its callers and its engine") {
  auto reply = stream();
  caf::anon_send_exit(llm, caf::exit_reason::kill);
  time.settle();
  CHECK(to_failure(reply->error, "the LLM") == errc::shut_down);
  piece(delta("x"));
  CHECK(http->calls[0].refusal);
}

// -- time -----------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a stream whose first token does not come in time is given up") {
  options.first_token_timeout = 5s;
  auto reply = stream();
  time.advance(3s);
  piece(": thinking\n\n");
  time.advance(1900ms);
  CHECK(reply->pending());
  time.advance(200ms);
  CHECK(reply->error == errc::timed_out);
  CHECK(sentence_of(reply->error).find("5000 ms") != std::string::npos);
  CHECK(http->cancelled.size() == 1);
}

TEST_CASE_METHOD(fixture, "after the first token its time-out is past") {
  options.first_token_timeout = 5s;
  auto reply = stream();
  time.advance(4s);
  piece(delta("x"));
  time.advance(1min);
  CHECK(reply->pending());
  piece(done);
  end();
  CHECK(reply->result);
}

TEST_CASE_METHOD(fixture, "the deadline ends a stream whose sink takes nothing") {
  context = time.context(10s);
  hold_sink();
  auto reply = stream();
  piece(delta("x") + done);
  end();
  time.advance(11s);
  CHECK(reply->error == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "calls and streams go through one client") {
  auto first = stream();
  auto plain = ask<llm_result>(time, llm, generate_atom_v, request, time.context());
  time.settle();
  answer(stub, 1, R"({"choices":[{"message":{"content":"whole"}}]})");
  piece(delta("x") + done);
  end();
  CHECK(plain->result->text() == "whole");
  CHECK(first->result->text() == "x");
}

TEST_CASE_METHOD(fixture, "a call without an ID is streamed as any other") {
  context.id = {};
  auto reply = stream();
  piece(delta("x") + done);
  end();
  CHECK(got->text() == "x");
  CHECK(reply->result);
}

} // namespace openai_client_streams_test

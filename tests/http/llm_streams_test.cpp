// The client's streams over real sockets: from a simulated endpoint to a sink.
#include <chainmail/gather/calls.hpp>
#include <chainmail/llm/openai_client.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <support/http_calls.hpp>

namespace llm_streams_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

/// What a caller saw of one stream.
struct seen {
  std::string text;
  caf::expected<llm_result> result{caf::error{}};
  clock::duration took{};
};

struct fixture {
  simulator::options options;
  openai_options endpoint;
  engine_room room;

  fixture() {
    options.reply_tokens = 20;
    endpoint.api = openai_api::chat;
  }

  llm_actor spawn_llm(const simulator::server& server) {
    endpoint.base_url = server.base_url();
    return spawn_openai_client(room.system, room.http, endpoint);
  }

  seen stream(const llm_actor& llm, caf::timespan timeout = 1min) {
    caf::scoped_actor self{room.system};
    seen result;
    auto begin = clock::now();
    result.result = chainmail::stream(
        self, llm, "tell me something", [&](std::string_view text) { result.text += text; },
        timeout);
    result.took = clock::now() - begin;
    return result;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a stream has the text, reason and usage that the call has") {
  endpoint.api = GENERATE(openai_api::chat, openai_api::completions);
  simulator::server server{options};
  auto llm = spawn_llm(server);
  caf::scoped_actor self{room.system};
  auto whole = generate(self, llm, "tell me something");
  auto streamed = stream(llm);
  REQUIRE(whole);
  REQUIRE(streamed.result);
  CHECK(streamed.text == whole->text());
  CHECK(streamed.result->text() == whole->text());
  CHECK(streamed.result->completions.at(0).finish_reason == whole->completions.at(0).finish_reason);
  CHECK(streamed.result->usage.prompt_tokens == whole->usage.prompt_tokens);
  CHECK(streamed.result->usage.completion_tokens == whole->usage.completion_tokens);
  CHECK(streamed.result->model == whole->model);
  CHECK(streamed.result->first_token > 0s);
  // The sockets of streams that ended well are used again.
  CHECK(server.snapshot().connections_accepted == 1);
}

TEST_CASE_METHOD(fixture, "a stream that breaks, stalls or reports an error keeps its text") {
  auto [what, code] = GENERATE(table<simulator::fault, errc>({
      {simulator::fault::stream_break, errc::malformed_response},
      {simulator::fault::stream_stall, errc::timed_out},
      {simulator::fault::stream_error, errc::server_error},
  }));
  options.script = {what};
  options.token_rate = 1'000;
  simulator::server server{options};
  endpoint.idle_timeout = 300ms;
  auto llm = spawn_llm(server);
  auto broken = stream(llm);
  CHECK(broken.result.error() == code);
  INFO(describe(broken.result.error()));
  CHECK(!broken.text.empty());
  CHECK(detail_of(broken.result.error())->text_so_far == broken.text);
  CHECK(broken.took < 10s);
  // And the next one is as if nothing had been.
  auto fine = stream(llm);
  REQUIRE(fine.result);
  CHECK(fine.result->text().starts_with(broken.text));
}

TEST_CASE_METHOD(fixture, "a stream that is refused is the error that the call is") {
  options.script = {simulator::fault::rate_limited};
  simulator::server server{options};
  auto refused = stream(spawn_llm(server));
  CHECK(refused.result.error() == errc::rate_limited);
  CHECK(detail_of(refused.result.error())->retry_after.has_value());
  CHECK(refused.text.empty());
}

TEST_CASE_METHOD(fixture, "a cancelled stream is closed where the server sees it") {
  options.reply_tokens = 1'000;
  options.token_rate = 200;
  simulator::server server{options};
  auto llm = spawn_llm(server);
  std::atomic<size_t> bytes{0};
  auto sink = spawn_sink(room.system, [&](std::string_view text) { bytes += text.size(); });
  auto context = due_in(1min);
  std::promise<caf::error> over;
  room.system.spawn([&](caf::event_based_actor* self) {
    llm_request request;
    request.prompts = {"tell me something"};
    chainmail::stream(self, llm, request, sink, context)
        .then([&](const llm_result&) { over.set_value({}); },
            [&](const caf::error& why) { over.set_value(why); });
  });
  REQUIRE(eventually([&] { return bytes > 0; }));
  compat::anon_send(llm, cancel_atom_v, context.id);
  auto why = over.get_future().get();
  CHECK(why == errc::cancelled);
  CHECK(detail_of(why)->text_so_far.size() >= bytes);
  CHECK(eventually([&] { return server.snapshot().streams_closed_early == 1; }, 10 * promptly));
}

TEST_CASE_METHOD(fixture, "fifty streams at once each get their own text") {
  options.token_rate = 500;
  simulator::server server{options};
  auto llm = spawn_llm(server);
  struct one {
    std::string text;
    std::string answer;
  };
  std::vector<one> all(50);
  std::atomic<size_t> left{all.size()};
  for (size_t i = 0; i < all.size(); ++i)
    room.system.spawn([&, i](caf::event_based_actor* self) {
      auto sink = spawn_sink(room.system, [&, i](std::string_view text) { all[i].text += text; });
      llm_request request;
      request.prompts = {"tell me something about " + std::to_string(i)};
      chainmail::stream(self, llm, request, sink, make_context(self))
          .then(
              [&, i](const llm_result& result) {
                all[i].answer = result.text();
                --left;
              },
              [&](const caf::error&) { --left; });
    });
  REQUIRE(eventually([&] { return left == 0; }));
  for (const auto& x : all) {
    CHECK(!x.answer.empty());
    CHECK(x.text == x.answer);
  }
}

} // namespace llm_streams_test

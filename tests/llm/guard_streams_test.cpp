// Streams through the guard.
#include "support/guard_fixture.hpp"
#include "support/metrics_of.hpp"
#include "support/recording_sink.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/sink_feed.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <catch2/catch_test_macros.hpp>

namespace guard_streams_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

scripted_reply break_with(errc code, std::vector<std::string> chunks) {
  return {{}, make_failure(code, "broken off"), {}, {}, std::move(chunks)};
}

struct stream_fixture : guard_fixture {
  std::shared_ptr<sink_log> got = std::make_shared<sink_log>();
  recording_sink_actor sink = spawn_recording_sink(time.system, got);
  call_context context = time.context();

  stream_fixture() {
    fake->reply = [] { return answer_with("one two three"); };
    second->reply = [] { return answer_with("four five"); };
  }

  ~stream_fixture() { caf::anon_send_exit(sink, caf::exit_reason::kill); }

  std::shared_ptr<test::reply<llm_result>> stream() {
    if (!guard)
      spawn();
    auto result = ask<llm_result>(time, guard, stream_atom_v, request, sink_actor{sink}, context);
    time.settle();
    return result;
  }

  /// Runs one stream to its end, ten minutes at most.
  test::reply<llm_result> run_stream() {
    auto result = stream();
    for (auto i = 0; i < 6'000 && result->pending(); ++i)
      time.advance(100ms);
    return *result;
  }

  /// Replies in order.
  void script(std::vector<scripted_reply> replies) {
    fake->reply = [all = std::move(replies), next = size_t{0}]() mutable { return all.at(next++); };
  }
};

} // namespace

TEST_CASE_METHOD(stream_fixture, "a stream passes a guard under its caller's ID", "[stream]") {
  context.id.step = 0; // which is no ID for an attempt
  auto reply = run_stream();
  REQUIRE(reply.result);
  CHECK(reply.result->text() == "one two three");
  CHECK(got->text(context.id) == "one two three");
  REQUIRE(fake->calls.size() == 1);
  CHECK(fake->calls[0].is_stream);
  CHECK(fake->calls[0].context.id.step != 0);
  CHECK(fake->calls[0].context.due.at == context.due.at);
  REQUIRE(reply.result->attempts.size() == 1);
  CHECK(reply.result->attempts[0].target == "first");
}

TEST_CASE_METHOD(stream_fixture, "a stream is tried again while nothing came of it", "[stream]") {
  script({fail_with(errc::server_error), fail_with(errc::connection_failed),
      answer_with("one two three")});
  auto reply = run_stream();
  REQUIRE(reply.result);
  CHECK(reply.result->attempts.size() == 3);
  CHECK(got->text(context.id) == "one two three");
}

TEST_CASE_METHOD(
    stream_fixture, "a stream goes to the next target while nothing came of it", "[stream]") {
  options.retry.max_attempts = 1;
  script({fail_with(errc::server_error)});
  spawn_with_fallback();
  auto reply = run_stream();
  REQUIRE(reply.result);
  CHECK(got->text(context.id) == "four five");
}

TEST_CASE_METHOD(stream_fixture, "a stream that broke midway is final", "[stream]") {
  script({break_with(errc::connection_failed, {"one", " two"})});
  spawn_with_fallback();
  auto reply = run_stream();
  CHECK(reply.error == errc::connection_failed);
  CHECK(text_so_far(reply.error) == "one two");
  CHECK(got->text(context.id) == "one two");
  CHECK(fake->calls.size() == 1);
  CHECK(second->calls.empty());
  CHECK(detail_of(reply.error)->attempts.size() == 1);
}

TEST_CASE_METHOD(stream_fixture, "a stream that breaks midway counts for the breaker", "[stream]") {
  options.retry.max_attempts = 1;
  options.breaker->min_calls = 2;
  fake->reply = [] { return break_with(errc::connection_failed, {"one"}); };
  stream();
  stream();
  auto refused = stream();
  CHECK(refused->error == errc::unavailable);
  CHECK(fake->calls.size() == 2);
}

TEST_CASE_METHOD(
    stream_fixture, "a stream may last longer than an attempt, once it has begun", "[stream]") {
  options.retry.attempt_timeout = 5s;
  auto lasting = answer_with("one two three");
  lasting.chunk_delay = 10s;
  script({lasting});
  auto reply = run_stream();
  REQUIRE(reply.result);
  CHECK(got->text(context.id) == "one two three");
}

TEST_CASE_METHOD(
    stream_fixture, "a stream that says nothing in an attempt's time is tried again", "[stream]") {
  options.retry.attempt_timeout = 5s;
  script({answer_with("late", caf::infinite), answer_with("one two three")});
  auto reply = run_stream();
  REQUIRE(reply.result);
  CHECK(reply.result->attempts.size() == 2);
  CHECK(reply.result->attempts[0].code == errc::timed_out);
  CHECK(got->text(context.id) == "one two three");
  CHECK(fake->cancelled == std::vector{fake->calls[0].context.id});
  CHECK(fake->calls[0].context.id != fake->calls[1].context.id);
}

TEST_CASE_METHOD(stream_fixture, "an attempt that was given up cannot say any more", "[stream]") {
  options.retry.attempt_timeout = 5s;
  options.retry.first_delay = 1ms;
  auto stubborn = std::make_shared<std::vector<sink_actor>>();
  // Takes no cancel, and speaks when its time is long over.
  guard_target deaf;
  deaf.llm = time.system.spawn([stubborn](llm_actor::pointer self) -> llm_actor::behavior_type {
    return {
        [](generate_atom, const llm_request&, const call_context&) -> caf::result<llm_result> {
          return make_failure(errc::internal, "not asked for");
        },
        [self, stubborn](stream_atom, const llm_request&, const sink_actor& to,
            const call_context& asked) -> caf::result<llm_result> {
          auto caller = self->make_response_promise<llm_result>();
          compat::run_at(self, self->clock().now() + (stubborn->empty() ? 8s : 4s),
              [self, to, caller, id = asked.id,
                  text = stubborn->empty() ? "old" : "new"]() mutable {
                compat::request(self, to, chunk_atom_v, id, uint32_t{0}, std::string{text})
                    .then([] {}, [](const caf::error&) {});
                llm_result result;
                result.completions.push_back({text, "stop"});
                caller.deliver(std::move(result));
              });
          stubborn->push_back(to);
          return caller;
        },
        [](cancel_atom, const call_id&) {},
    };
  });
  guard = spawn_guarded(time.system, {deaf}, options);
  auto reply = run_stream();
  REQUIRE(reply.result);
  CHECK(reply.result->text() == "new");
  CHECK(got->text() == "new");
  caf::anon_send_exit(deaf.llm, caf::exit_reason::kill);
  stubborn->clear();
}

TEST_CASE_METHOD(stream_fixture, "an LLM that is gone midway ends its stream", "[stream]") {
  auto endless = answer_with("one two three");
  endless.chunk_delay = 1s;
  script({endless});
  auto reply = stream();
  time.advance(1s);
  caf::anon_send_exit(spawned.front(), caf::exit_reason::kill);
  time.settle();
  CHECK(reply->error == errc::shut_down);
  CHECK(text_so_far(reply->error) == "one two");
}

TEST_CASE_METHOD(
    stream_fixture, "a stream that is cancelled stops, and keeps its text", "[stream]") {
  auto slow = answer_with("one two three");
  slow.chunk_delay = 1s;
  script({slow});
  auto reply = stream();
  time.advance(1s);
  compat::anon_send(guard, cancel_atom_v, context.id);
  time.settle();
  CHECK(reply->error == errc::cancelled);
  CHECK(text_so_far(reply->error) == "one two");
  CHECK(fake->cancelled.size() == 1);
  time.advance(5s);
  CHECK(got->text(context.id) == "one two");
}

TEST_CASE_METHOD(stream_fixture, "a sink's credit reaches through the guard", "[stream]") {
  script({answer_with("1 2 3 4 5 6 7 8 9")});
  got->credit = 0;
  auto reply = stream();
  CHECK(got->chunks.size() == sink_feed::window);
  grant(sink, 100);
  time.settle();
  CHECK(reply->result);
  CHECK(got->text(context.id) == "1 2 3 4 5 6 7 8 9");
}

TEST_CASE_METHOD(stream_fixture, "a sink that wants no more ends its stream for good", "[stream]") {
  got->credit = 1;
  got->refusal = make_failure(errc::overloaded, "enough");
  spawn_with_fallback();
  auto reply = run_stream();
  CHECK(reply.error == errc::cancelled);
  CHECK(fake->calls.size() == 1);
  CHECK(second->calls.empty());
}

TEST_CASE_METHOD(stream_fixture, "a sink that is gone ends its streams at once", "[stream]") {
  fake->reply = [] { return answer_with("late", caf::infinite); };
  options.breaker->min_calls = 1;
  auto first = stream();
  auto second_one = stream();
  caf::anon_send_exit(sink, caf::exit_reason::kill);
  time.settle();
  CHECK(first->error == errc::cancelled);
  CHECK(second_one->error == errc::cancelled);
  CHECK(fake->cancelled.size() == 2);
  CHECK(series{time.system}["chainmail_llm_breaker_open{target=\"first\"}"] == 0);
  auto dead = stream();
  CHECK(dead->error == errc::cancelled);
}

TEST_CASE_METHOD(stream_fixture, "a deadline cuts a stream, and its text is kept", "[stream]") {
  auto slow = answer_with("one two three");
  slow.chunk_delay = 1s;
  script({slow});
  context = time.context(1'500ms);
  auto reply = run_stream();
  CHECK(reply.error == errc::timed_out);
  CHECK(text_so_far(reply.error) == "one two");
  CHECK(fake->calls.size() == 1);
}

TEST_CASE_METHOD(stream_fixture, "streams do not share a call, nor a hedge", "[stream]") {
  request.parameters.temperature = 0;
  options.hedge = hedge_options{};
  fake->reply = [] { return answer_with("one two", 10s); };
  auto one = stream();
  auto two = stream();
  CHECK(fake->calls.size() == 2);
  CHECK(fake->calls[0].context.id != fake->calls[1].context.id);
  for (auto i = 0; i < 11; ++i)
    time.advance(1s);
  CHECK(one->result);
  CHECK(two->result);
  CHECK(fake->calls.size() == 2);
}

TEST_CASE_METHOD(
    stream_fixture, "a stream is kept in the cache, and replayed against credit", "[stream]") {
  request.parameters.temperature = 0;
  options.cache = cache_options{};
  std::string said;
  for (auto i = 0; i < 600; ++i)
    said += "word" + std::to_string(i) + ' ';
  script({answer_with(said)});
  REQUIRE(run_stream().result);
  got->chunks.clear();
  got->credit = 0;
  auto again = stream();
  CHECK(got->chunks.size() == sink_feed::window);
  CHECK(got->chunks.front().text.size() >= 256);
  CHECK(again->pending());
  grant(sink, 1'000);
  time.settle();
  REQUIRE(again->result);
  CHECK(again->result->is_cached);
  CHECK(again->result->first_token == caf::timespan{0});
  CHECK(got->text(context.id) == said);
  auto whole = start();
  REQUIRE(whole->result);
  CHECK(whole->result->is_cached);
  CHECK(!whole->result->first_token);
  CHECK(fake->calls.size() == 1);
}

TEST_CASE_METHOD(stream_fixture, "a replay can be cancelled, and has a deadline", "[stream]") {
  request.parameters.temperature = 0;
  options.cache = cache_options{};
  script({answer_with("one two three")});
  REQUIRE(run_stream().result);
  got->credit = 0;
  auto cancelled = stream();
  compat::anon_send(guard, cancel_atom_v, context.id);
  time.settle();
  CHECK(cancelled->error == errc::cancelled);
  CHECK(text_so_far(cancelled->error) == "one two three");
  context = time.context(1s);
  auto late = stream();
  time.advance(2s);
  CHECK(late->error == errc::timed_out);
}

TEST_CASE_METHOD(stream_fixture, "a broken stream is not kept in the cache", "[stream]") {
  request.parameters.temperature = 0;
  options.cache = cache_options{};
  script({break_with(errc::connection_failed, {"one"}), answer_with("whole")});
  CHECK(run_stream().error == errc::connection_failed);
  auto again = run_stream();
  REQUIRE(again.result);
  CHECK(!again.result->is_cached);
}

TEST_CASE_METHOD(
    stream_fixture, "streams wait for permits, and settle what they used", "[stream]") {
  rate_limiter_options limits;
  limits.defaults.tokens_per_minute = 10'000;
  auto limiter = spawn_rate_limiter(time.system, limits);
  options.limiter = limiter;
  request.parameters.max_tokens = 900;
  script({answer_with("one two three"), break_with(errc::connection_failed, {"one", " two"})});
  auto tokens_used = [&] {
    auto status = ask<limiter_status>(time, limiter, status_atom_v);
    time.settle();
    return status->result.value().keys.at(0).tokens_used;
  };
  REQUIRE(run_stream().result);
  CHECK(tokens_used() == 6); // of 900 that were reserved
  CHECK(run_stream().error == errc::connection_failed);
  CHECK(tokens_used() > 8);
  CHECK(tokens_used() < 20);
}

TEST_CASE_METHOD(
    stream_fixture, "streams are counted like calls, with their first token", "[stream]") {
  script({answer_with("one", 2s), break_with(errc::connection_failed, {"one"})});
  request.parameters.model = "m";
  run_stream();
  run_stream();
  series counted{time.system};
  CHECK(counted["chainmail_llm_calls_total{model=\"m\"}"] == 2);
  CHECK(counted["chainmail_llm_errors_total{code=\"connection_failed\",model=\"m\"}"] == 1);
  CHECK(counted["chainmail_llm_in_flight{model=\"m\"}"] == 0);
  CHECK(counted["chainmail_llm_first_token_seconds_count{model=\"m\"}"] == 2);
  CHECK(counted["chainmail_llm_first_token_seconds_sum{model=\"m\"}"] >= 2);
}

TEST_CASE_METHOD(stream_fixture, "a guard refuses streams that it cannot take", "[stream]") {
  options.max_calls = 1;
  fake->reply = [] { return answer_with("late", 10s); };
  auto held = stream();
  CHECK(stream()->error == errc::overloaded);
  auto without = ask<llm_result>(time, guard, stream_atom_v, request, sink_actor{}, context);
  context.due.at = time.now();
  CHECK(stream()->error == errc::timed_out);
  time.settle();
  CHECK(without->error == errc::invalid_input);
  caf::anon_send_exit(guard, caf::exit_reason::user_shutdown);
  time.settle();
  CHECK(held->error == errc::shut_down);
}

} // namespace guard_streams_test

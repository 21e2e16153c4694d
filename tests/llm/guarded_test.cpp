// The guard: retries, breaker, fallback, hedging, deadlines and cancels around an LLM.
#include "support/guard_fixture.hpp"
#include "support/refusal.hpp"

#include <chainmail/caf/compat.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace guarded_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

using Catch::Matchers::ContainsSubstring;

namespace {

/// Replies in order; the last one goes on.
std::function<scripted_reply()> in_order(std::vector<scripted_reply> replies) {
  return [replies = std::move(replies), next = size_t{0}]() mutable {
    auto index = std::min(next++, replies.size() - 1);
    return replies[index];
  };
}

/// Most calls take 50 ms: one that takes more than 75 is unusual.
void warm_up(guard_fixture& f) {
  for (auto i = 0; i < 200; ++i) {
    f.fake->reply = [i] { return answer_with("quick", i % 16 == 0 ? 100ms : 50ms); };
    f.start();
    f.pass(100ms);
  }
  f.fake->cancelled.clear();
}

caf::timespan since(deadline::clock::time_point begin, deadline::clock::time_point end) {
  return end - begin;
}

} // namespace

// -- retry --------------------------------------------------------------------------------

TEST_CASE("a guarded call that is answered at once has one attempt") {
  guard_fixture f;
  auto reply = f.run();
  REQUIRE(reply.result);
  CHECK(reply.result->text() == "fine");
  REQUIRE(reply.result->attempts.size() == 1);
  CHECK(reply.result->attempts[0].target == "first");
  CHECK(reply.result->attempts[0].code == errc::none);
  CHECK(f.fake->calls.size() == 1);
}

TEST_CASE("a guard sends a failed call again, under the same ID") {
  guard_fixture f;
  f.fake->reply = in_order(
      {fail_with(errc::server_error), fail_with(errc::connection_failed), answer_with("x")});
  auto reply = f.run();
  REQUIRE(reply.result);
  REQUIRE(f.fake->calls.size() == 3);
  CHECK(f.fake->calls[0].context.id == f.fake->calls[2].context.id);
  const auto& attempts = reply.result->attempts;
  REQUIRE(attempts.size() == 3);
  CHECK(attempts[0].code == errc::server_error);
  CHECK(attempts[0].http_status == 503);
  CHECK(attempts[0].reason == "as scripted");
  CHECK(attempts[1].code == errc::connection_failed);
  CHECK(attempts[1].started > attempts[0].started);
  CHECK(attempts[2].code == errc::none);
}

TEST_CASE("a guard does not repeat what cannot succeed") {
  auto code = GENERATE(errc::bad_request, errc::authentication, errc::not_found,
      errc::content_filtered, errc::invalid_input);
  guard_fixture f;
  f.fake->reply = [code] { return fail_with(code); };
  auto reply = f.run();
  CHECK(code_of(reply.error) == code);
  CHECK(f.fake->calls.size() == 1);
  REQUIRE(detail_of(reply.error));
  CHECK(detail_of(reply.error)->attempts.size() == 1);
}

TEST_CASE("a guard gives up after so many attempts, and says what it tried") {
  guard_fixture f;
  f.options.retry.max_attempts = 3;
  f.options.breaker.reset();
  f.fake->reply = [] { return fail_with(errc::server_error); };
  auto reply = f.run();
  CHECK(reply.error == errc::server_error);
  CHECK(f.fake->calls.size() == 3);
  CHECK(sentence_of(reply.error).find("attempt 3") != std::string::npos);
  CHECK(detail_of(reply.error)->attempts.size() == 3);
}

TEST_CASE("a guard waits as long as the endpoint asks for") {
  guard_fixture f;
  f.fake->reply = in_order({limit_with(1s), limit_with(1s), answer_with("x")});
  auto begin = f.time.now();
  auto reply = f.run();
  REQUIRE(reply.result);
  REQUIRE(f.fake->calls.size() == 3);
  CHECK(since(begin, f.fake->calls[1].at) >= 1s);
  CHECK(since(begin, f.fake->calls[2].at) >= 2s);
  CHECK(since(begin, f.fake->calls[2].at) < 2300ms);
}

TEST_CASE("a guard never retries past the deadline") {
  guard_fixture f;
  f.fake->reply = [] { return limit_with(10s); };
  auto context = f.time.context(5s);
  auto reply = f.start(context);
  f.time.settle();
  CHECK(reply->error == errc::rate_limited);
  CHECK(f.fake->calls.size() == 1);
}

TEST_CASE("an attempt that hangs is given up, and the call goes on") {
  guard_fixture f;
  f.options.retry.attempt_timeout = 2s;
  f.fake->reply = in_order({answer_with("late", caf::timespan{caf::infinite}), answer_with("x")});
  auto reply = f.run();
  REQUIRE(reply.result);
  CHECK(reply.result->text() == "x");
  CHECK(reply.result->attempts[0].code == errc::timed_out);
  CHECK(reply.result->attempts[0].took >= 2s);
}

TEST_CASE("a call whose deadline has passed is not sent") {
  guard_fixture f;
  auto context = f.time.context(1s);
  f.time.advance(2s);
  auto reply = f.start(context);
  CHECK(reply->error == errc::timed_out);
  CHECK(f.fake->calls.empty());
}

// -- breaker and fallback ---------------------------------------------------------------------

TEST_CASE("an endpoint that fails every call is left alone for a while") {
  guard_fixture f;
  f.options.retry.max_attempts = 1;
  f.options.breaker->min_calls = 10;
  f.fake->reply = [] { return fail_with(errc::server_error); };
  std::vector<std::shared_ptr<reply<llm_result>>> replies;
  for (auto i = 0; i < 30; ++i)
    replies.push_back(f.start());
  CHECK(f.fake->calls.size() == 10);
  CHECK(replies.back()->error == errc::unavailable);
  f.fake->reply = [] { return answer_with("back"); };
  f.pass(1100ms);
  auto probe = f.start();
  REQUIRE(probe->result);
  CHECK(probe->result->text() == "back");
  CHECK(f.start()->result);
}

TEST_CASE("a call waits for a breaker when it may try again") {
  guard_fixture f;
  f.options.breaker->min_calls = 1;
  f.fake->reply = in_order({fail_with(errc::server_error), answer_with("x")});
  auto reply = f.run();
  REQUIRE(reply.result);
  CHECK(f.fake->calls.size() == 2);
  CHECK(f.fake->calls[1].at - f.fake->calls[0].at >= 1s);
}

TEST_CASE("calls that wait for a breaker go soon after its probe was answered") {
  guard_fixture f;
  f.options.breaker->min_calls = 1;
  f.fake->reply = [&f] {
    return f.fake->calls.size() == 1 ? fail_with(errc::server_error) : answer_with("x", 100ms);
  };
  std::vector<std::shared_ptr<reply<llm_result>>> replies;
  for (auto i = 0; i < 20; ++i)
    replies.push_back(f.start());
  f.pass(5s);
  for (const auto& reply : replies)
    CHECK(reply->result);
}

TEST_CASE("a fallback answers when the first target failed for good") {
  guard_fixture f;
  f.options.retry.max_attempts = 2;
  f.spawn_with_fallback();
  f.fake->reply = [] { return fail_with(errc::server_error); };
  f.second->reply = [] { return answer_with("second best"); };
  auto reply = f.run();
  REQUIRE(reply.result);
  CHECK(reply.result->text() == "second best");
  const auto& attempts = reply.result->attempts;
  REQUIRE(attempts.size() == 3);
  CHECK(attempts[1].target == "first");
  CHECK(attempts[1].reason == "as scripted");
  CHECK(attempts[2].target == "second");
}

TEST_CASE("a fallback answers at once while the first target's breaker is open") {
  guard_fixture f;
  f.options.retry.max_attempts = 1;
  f.options.breaker->min_calls = 1;
  f.spawn_with_fallback();
  f.fake->reply = [] { return fail_with(errc::server_error); };
  f.start();
  auto reply = f.start();
  REQUIRE(reply->result);
  CHECK(f.fake->calls.size() == 1);
  REQUIRE(reply->result->attempts.size() == 2);
  CHECK(reply->result->attempts[0].code == errc::unavailable);
}

TEST_CASE("a fallback is not asked for what the request is to blame for") {
  auto code = GENERATE(errc::content_filtered, errc::invalid_input, errc::overloaded);
  guard_fixture f;
  f.spawn_with_fallback();
  f.fake->reply = [code] { return fail_with(code); };
  auto reply = f.run();
  CHECK(code_of(reply.error) == code);
  CHECK(f.second->calls.empty());
}

TEST_CASE("a fallback's model is asked for whatever the request names") {
  guard_fixture f;
  auto other = f.target(f.second, "second");
  other.model = "small";
  f.options.retry.max_attempts = 1;
  f.guard = spawn_guarded(f.time.system, {f.target(f.fake, "first"), other}, f.options);
  f.fake->reply = [] { return fail_with(errc::not_found); };
  f.request.parameters.model = "large";
  auto reply = f.run();
  REQUIRE(reply.result);
  CHECK(f.fake->calls[0].request.parameters.model == "large");
  CHECK(f.second->calls[0].request.parameters.model == "small");
  CHECK(reply.result->attempts[1].target == "second small");
}

// -- hedging ----------------------------------------------------------------------------------

TEST_CASE("a call that takes unusually long is asked a second time, and the slower one cancelled") {
  guard_fixture f;
  f.options.hedge.emplace();
  warm_up(f);
  auto before = f.fake->calls.size();
  f.fake->reply = in_order({answer_with("slow", 2s), answer_with("hedge", 100ms)});
  auto reply = f.start();
  f.pass(300ms);
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "hedge");
  REQUIRE(reply->result->attempts.size() == 2);
  CHECK(reply->result->attempts[1].is_hedge);
  REQUIRE(f.fake->calls.size() == before + 2);
  auto slow = f.fake->calls[before].context.id;
  auto hedge = f.fake->calls[before + 1].context.id;
  CHECK(slow != hedge);
  CHECK(slow.root == hedge.root);
  CHECK(f.fake->cancelled == std::vector{slow});
}

TEST_CASE("when the first of two attempts fails, the second may still answer") {
  guard_fixture f;
  f.options.hedge.emplace();
  warm_up(f);
  f.fake->reply = in_order({fail_with(errc::server_error, 250ms), answer_with("hedge", 200ms)});
  auto before = f.fake->calls.size();
  auto reply = f.start();
  f.pass(600ms);
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "hedge");
  CHECK(f.fake->calls.size() == before + 2);
}

// -- cancel and exit ----------------------------------------------------------------------------

TEST_CASE("a cancelled call is answered at once, and cancelled below") {
  guard_fixture f;
  f.fake->reply = [] { return answer_with("late", caf::timespan{caf::infinite}); };
  auto context = f.time.context();
  auto reply = f.start(context);
  SECTION("by its ID") {
    compat::anon_send(f.guard, cancel_atom_v, context.id);
  }
  SECTION("by its root") {
    compat::anon_send(f.guard, cancel_atom_v, call_id{context.id.root, 0});
  }
  f.time.settle();
  CHECK(reply->error == errc::cancelled);
  CHECK(f.fake->cancelled == std::vector{f.fake->calls.at(0).context.id});
}

TEST_CASE("a call that waits for its next attempt can be cancelled") {
  guard_fixture f;
  f.fake->reply = [] { return limit_with(30s); };
  auto context = f.time.context();
  auto reply = f.start(context);
  f.pass(1s);
  CHECK(reply->pending());
  compat::anon_send(f.guard, cancel_atom_v, context.id);
  f.time.settle();
  CHECK(reply->error == errc::cancelled);
  f.pass(60s, 1s);
  CHECK(f.fake->calls.size() == 1);
}

TEST_CASE("a cancel leaves other calls alone") {
  guard_fixture f;
  f.fake->reply = [] { return answer_with("x", 1s); };
  auto mine = f.time.context();
  auto reply = f.start(mine);
  auto other = f.start();
  compat::anon_send(f.guard, cancel_atom_v, mine.id);
  f.pass(2s);
  CHECK(reply->error == errc::cancelled);
  CHECK(other->result);
}

TEST_CASE("a guard that is told to exit answers its calls and cancels them below") {
  guard_fixture f;
  f.fake->reply = [] { return answer_with("late", caf::timespan{caf::infinite}); };
  auto reply = f.start();
  caf::anon_send_exit(f.guard, caf::exit_reason::user_shutdown);
  f.time.settle();
  CHECK(reply->error == errc::shut_down);
  CHECK(f.fake->cancelled.size() == 1);
}

TEST_CASE("a guard that is killed cancels its calls below") {
  guard_fixture f;
  f.fake->reply = [] { return answer_with("late", caf::timespan{caf::infinite}); };
  auto reply = f.start();
  caf::anon_send_exit(f.guard, caf::exit_reason::kill);
  f.time.settle();
  CHECK_FALSE(reply->pending());
  CHECK(f.fake->cancelled.size() == 1);
}

TEST_CASE("to cancel one attempt leaves other calls of the same root alone") {
  guard_fixture f;
  f.options.retry.attempt_timeout = 1s;
  f.options.retry.max_attempts = 1;
  f.fake->reply = [] { return answer_with("x", 2s); };
  auto context = f.time.context();
  REQUIRE(context.id.step == 0);
  f.start(context);
  CHECK(f.fake->calls.at(0).context.id.step != 0);
  CHECK(f.fake->calls.at(0).context.id.root == context.id.root);
  f.pass(3s);
}

TEST_CASE("a guard that nobody holds finishes its calls, and is gone") {
  guard_fixture f;
  f.fake->reply = in_order({limit_with(2s), answer_with("x")});
  auto reply = f.start();
  auto alive = caf::actor_cast<caf::weak_actor_ptr>(f.guard);
  f.guard = nullptr;
  f.pass(3s);
  CHECK(reply->result);
  CHECK(alive.lock() == nullptr);
}

// -- options ------------------------------------------------------------------------------------

TEST_CASE("a guard refuses what can never work") {
  guard_fixture f;
  auto spawn = [&f] { spawn_guarded(f.time.system, {f.target(f.fake, "first")}, f.options); };
  CHECK_THAT(
      refusal_of([&f] { spawn_guarded(f.time.system, {}); }), ContainsSubstring("needs an LLM"));
  CHECK_THAT(refusal_of([&f] { spawn_guarded(f.time.system, {guard_target{}}); }),
      ContainsSubstring("valid handle"));
  f.options.max_calls = 0;
  CHECK_THAT(refusal_of(spawn), ContainsSubstring("max_calls"));
}

TEST_CASE("a guard that has too many calls under way refuses one more") {
  guard_fixture f;
  f.options.max_calls = 2;
  f.fake->reply = [] { return answer_with("x", 1s); };
  f.start();
  f.start();
  CHECK(f.start()->error == errc::overloaded);
  f.pass(2s);
  CHECK(f.start()->pending());
  f.pass(2s);
}

} // namespace guarded_test

// The guard's cache and single flight.
#include "support/guard_fixture.hpp"

#include <chainmail/caf/compat.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace guard_sharing_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct sharing_fixture : guard_fixture {
  sharing_fixture() { request.parameters.temperature = 0; }
};

/// A store that keeps everything in a map.
struct fake_store {
  std::map<std::string, llm_result> kept;
  size_t loads = 0;
  bool answers = true;
};

cache_actor spawn_fake_store(caf::actor_system& system, std::shared_ptr<fake_store> store) {
  return system.spawn([store](cache_actor::pointer self) -> cache_actor::behavior_type {
    return {
        [self, store](load_atom, const std::string& key) -> caf::result<llm_result> {
          ++store->loads;
          if (!store->answers)
            return self->make_response_promise<llm_result>();
          auto found = store->kept.find(key);
          if (found == store->kept.end())
            return make_failure(errc::not_found, "nothing is kept under this key");
          return found->second;
        },
        [store](save_atom, const std::string& key, const llm_result& result, caf::timespan) {
          store->kept.insert_or_assign(key, result);
        },
    };
  });
}

} // namespace

// -- single flight ------------------------------------------------------------------------------

TEST_CASE("identical calls of temperature 0 share one while it is under way") {
  sharing_fixture f;
  f.fake->reply = [] { return answer_with("x", 1s); };
  auto one = f.start();
  auto two = f.start();
  f.pass(1s);
  REQUIRE(one->result);
  REQUIRE(two->result);
  CHECK(two->result->text() == "x");
  CHECK(f.fake->calls.size() == 1);
  auto three = f.start();
  CHECK(f.fake->calls.size() == 2);
  f.pass(1s);
  CHECK(three->result);
}

TEST_CASE("calls that sample are not shared: each wants an answer of its own") {
  guard_fixture f;
  f.fake->reply = [] { return answer_with("x", 1s); };
  f.start();
  f.start();
  f.request.parameters.temperature.reset();
  f.start();
  f.start();
  CHECK(f.fake->calls.size() == 4);
  f.pass(1s);
}

TEST_CASE("calls that differ in anything are not shared") {
  sharing_fixture f;
  f.fake->reply = [] { return answer_with("x", 1s); };
  f.start();
  f.request.parameters.max_tokens = 5;
  f.start();
  f.request.stop = {"\n"};
  f.start();
  CHECK(f.fake->calls.size() == 3);
  f.pass(1s);
}

TEST_CASE("one of several who share a call may give up, and the others keep it") {
  sharing_fixture f;
  f.fake->reply = [] { return answer_with("x", 1s); };
  auto first = f.time.context();
  auto one = f.start(first);
  auto second = f.time.context();
  auto two = f.start(second);
  compat::anon_send(f.guard, cancel_atom_v, first.id);
  f.time.settle();
  CHECK(one->error == errc::cancelled);
  CHECK(two->pending());
  CHECK(f.fake->cancelled.empty());
  SECTION("until it is answered") {
    f.pass(1s);
    CHECK(two->result);
  }
  SECTION("until the last of them gives up") {
    compat::anon_send(f.guard, cancel_atom_v, second.id);
    f.time.settle();
    CHECK(two->error == errc::cancelled);
    CHECK(f.fake->cancelled == std::vector{f.fake->calls.at(0).context.id});
  }
}

TEST_CASE("those who share a call keep their own deadlines") {
  sharing_fixture f;
  f.fake->reply = [] { return answer_with("x", 2s); };
  auto patient = f.start(f.time.context(10s));
  auto hasty = f.start(f.time.context(1s));
  f.pass(1100ms);
  CHECK(hasty->error == errc::timed_out);
  CHECK(patient->pending());
  f.pass(1s);
  CHECK(patient->result);
}

TEST_CASE("a shared call goes on for those who want it longer than the first") {
  sharing_fixture f;
  f.fake->reply = [&f] {
    return f.fake->calls.size() == 1 ? answer_with("never", caf::timespan{caf::infinite})
                                     : answer_with("x", 100ms);
  };
  auto hasty = f.start(f.time.context(1s));
  auto patient = f.start(f.time.context(20s));
  f.pass(1100ms);
  CHECK(hasty->error == errc::timed_out);
  f.pass(5s);
  REQUIRE(patient->result);
  CHECK(patient->result->text() == "x");
  CHECK(f.fake->calls.size() == 2);
}

TEST_CASE("all who share a call get its error") {
  sharing_fixture f;
  f.fake->reply = [] { return fail_with(errc::bad_request, 1s); };
  auto one = f.start();
  auto two = f.start();
  f.pass(1s);
  CHECK(one->error == errc::bad_request);
  CHECK(two->error == errc::bad_request);
}

TEST_CASE("single flight can be switched off") {
  sharing_fixture f;
  f.options.single_flight = false;
  f.fake->reply = [] { return answer_with("x", 1s); };
  f.start();
  f.start();
  CHECK(f.fake->calls.size() == 2);
  f.pass(1s);
}

// -- cache --------------------------------------------------------------------------------------

TEST_CASE("an answer of temperature 0 is kept for a while") {
  sharing_fixture f;
  f.options.cache.emplace();
  f.options.cache->time_to_live = 1h;
  auto fresh = f.run();
  REQUIRE(fresh.result);
  CHECK_FALSE(fresh.result->is_cached);
  auto kept = f.run();
  REQUIRE(kept.result);
  CHECK(kept.result->text() == "fine");
  CHECK(kept.result->is_cached);
  CHECK(kept.result->attempts.empty());
  CHECK(f.fake->calls.size() == 1);
  f.time.advance(2h);
  CHECK_FALSE(f.run().result->is_cached);
}

TEST_CASE("an answer that was sampled is kept only when told to") {
  guard_fixture f;
  f.options.cache.emplace();
  auto keeps_all = GENERATE(false, true);
  f.options.cache->only_deterministic = !keeps_all;
  f.run();
  f.run();
  CHECK(f.fake->calls.size() == (keeps_all ? 1 : 2));
}

TEST_CASE("errors are not kept, nor what a fallback answered") {
  sharing_fixture f;
  f.options.cache.emplace();
  f.options.retry.max_attempts = 1;
  f.spawn_with_fallback();
  f.fake->reply = [] { return fail_with(errc::not_found); };
  f.second->reply = [] { return answer_with("second best"); };
  CHECK(f.run().result->text() == "second best");
  f.fake->reply = [] { return answer_with("best"); };
  CHECK(f.run().result->text() == "best");
}

TEST_CASE("what a store kept is not asked for again") {
  sharing_fixture f;
  auto store = std::make_shared<fake_store>();
  f.options.cache.emplace();
  f.options.store = spawn_fake_store(f.time.system, store);
  CHECK_FALSE(f.run().result->is_cached);
  CHECK(store->kept.size() == 1);
  // Another guard, as after a restart.
  caf::anon_send_exit(f.guard, caf::exit_reason::user_shutdown);
  f.time.settle();
  f.guard = nullptr;
  auto kept = f.run();
  REQUIRE(kept.result);
  CHECK(kept.result->is_cached);
  CHECK(f.fake->calls.size() == 1);
  f.run();
  CHECK(store->loads == 2); // the third came from memory
}

TEST_CASE("a store that does not answer delays a call, but does not stop it") {
  sharing_fixture f;
  auto store = std::make_shared<fake_store>();
  store->answers = false;
  f.options.cache.emplace();
  f.options.store = spawn_fake_store(f.time.system, store);
  auto begin = f.time.now();
  CHECK(f.run().result);
  CHECK(f.time.now() - begin < 2s);
}

} // namespace guard_sharing_test

#include "support/stub_llm.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/gather/gather.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <catch2/catch_test_macros.hpp>

#include <set>

namespace gather_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

using outcomes = std::vector<outcome>;

/// What a gather waits after its deadline for the chains' own errors.
constexpr auto grace = 50ms;

/// Keeps what an observer hears.
struct heard_log {
  std::vector<gather_progress> progress;
  outcomes calls;
};

observer_actor::behavior_type listen(observer_actor::pointer, std::shared_ptr<heard_log> log) {
  return {[log](finished_atom, const gather_progress& progress, const outcome& call) {
    log->progress.push_back(progress);
    log->calls.push_back(call);
  }};
}

struct fixture {
  /// The stub holds promises of actors that hold the stub.
  ~fixture() { caf::anon_send_exit(llm, caf::exit_reason::kill); }

  virtual_time time;
  std::shared_ptr<stub_log> log = std::make_shared<stub_log>();
  stub_llm_actor llm = spawn_stub_llm(time.system, log);
  chain_actor chain = spawn_llm_chain(time.system, llm, "{n}");
  gather_actor gather = spawn_gather(time.system);
  caf::actor requester;

  static std::vector<values> numbers(int count) {
    std::vector<values> result;
    for (int i = 0; i < count; ++i)
      result.push_back({{"n", i}});
    return result;
  }

  auto start(std::vector<values> inputs, gather_options options, call_context context) {
    auto result = ask<outcomes>(time, gather, &requester, gather_atom_v, chain, std::move(inputs),
        std::move(options), std::move(context));
    time.settle();
    return result;
  }

  void answer(size_t index) {
    test::answer(llm, index, "answer " + log->calls.at(index).request.prompts.front());
    time.settle();
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "outcomes come in the order of the inputs, not of the answers") {
  auto got = start(numbers(3), {}, time.context());
  REQUIRE(log->calls.size() == 3);
  answer(2);
  answer(0);
  CHECK(got->pending());
  answer(1);
  REQUIRE(got->result);
  for (size_t i = 0; i < 3; ++i) {
    CHECK((*got->result)[i].ok());
    CHECK((*got->result)[i].result == values{{"text", "answer " + std::to_string(i)}});
  }
}

TEST_CASE_METHOD(fixture, "one bad item does not cost the others") {
  auto inputs = numbers(3);
  inputs[1] = {{"wrong", 1}};
  auto got = start(inputs, {}, time.context());
  REQUIRE(log->calls.size() == 2);
  answer(0);
  answer(1);
  REQUIRE(got->result);
  CHECK((*got->result)[0].ok());
  CHECK((*got->result)[1].error == errc::missing_input);
  CHECK((*got->result)[2].result == values{{"text", "answer 2"}});
}

TEST_CASE_METHOD(fixture, "no more calls are outstanding than the cap allows") {
  gather_options options;
  options.max_in_flight = 2;
  auto got = start(numbers(5), options, time.context());
  for (size_t i = 0; i < 5; ++i) {
    CHECK(log->calls.size() == std::min<size_t>(i + 2, 5));
    answer(i);
  }
  REQUIRE(got->result);
  CHECK(got->result->size() == 5);
}

TEST_CASE_METHOD(fixture, "outcomes tell when their call went out and how long it took") {
  gather_options options;
  options.max_in_flight = 1;
  auto got = start(numbers(2), options, time.context());
  time.advance(3s);
  answer(0);
  time.advance(2s);
  answer(1);
  REQUIRE(got->result);
  CHECK((*got->result)[0].started == caf::timespan{0});
  CHECK((*got->result)[0].took == caf::timespan{3s});
  CHECK((*got->result)[1].started == caf::timespan{3s});
  CHECK((*got->result)[1].took == caf::timespan{2s});
}

TEST_CASE_METHOD(fixture, "the deadline gives partial results and cancels the rest") {
  gather_options options;
  options.max_in_flight = 2;
  auto context = time.context(10s);
  auto got = start(numbers(3), options, context);
  answer(0); // the third goes out
  REQUIRE(log->calls.size() == 3);
  time.advance(9s);
  CHECK(got->pending());
  time.advance(1s + grace);
  REQUIRE(got->result);
  CHECK((*got->result)[0].result == values{{"text", "answer 0"}});
  CHECK((*got->result)[1].error == errc::timed_out);
  CHECK((*got->result)[2].error == errc::timed_out);
  CHECK(log->cancelled == std::vector{context.id.child(1), context.id.child(2)});
  answer(1);
  CHECK(got->answers == 1);
}

TEST_CASE_METHOD(fixture, "calls that never went out are timed out at the deadline, too") {
  gather_options options;
  options.max_in_flight = 1;
  auto got = start(numbers(3), options, time.context(10s));
  time.advance(10s + grace);
  REQUIRE(got->result);
  CHECK(log->calls.size() == 1);
  for (const auto& call : *got->result)
    CHECK(call.error == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "cancel ends the gather and every call it has outstanding") {
  auto context = time.context();
  auto got = start(numbers(3), {}, context);
  answer(1);
  compat::anon_send(gather, cancel_atom_v, context.id);
  time.settle();
  REQUIRE(got->result);
  CHECK((*got->result)[0].error == errc::cancelled);
  CHECK((*got->result)[1].ok());
  CHECK((*got->result)[2].error == errc::cancelled);
  CHECK(log->cancelled == std::vector{context.id.child(0), context.id.child(2)});
}

TEST_CASE_METHOD(fixture, "a gather that is killed has its outstanding calls cancelled") {
  auto context = time.context();
  auto got = start(numbers(3), {}, context);
  answer(1);
  time.settle();
  caf::anon_send_exit(gather, caf::exit_reason::kill);
  time.settle();
  CHECK(got->answers == 1);
  CHECK(std::set(log->cancelled.begin(), log->cancelled.end()) ==
        std::set{context.id.child(0), context.id.child(2)});
}

TEST_CASE_METHOD(fixture, "cancel of one gather leaves the others alone") {
  auto context = time.context();
  auto other = context.child(7); // same root, another step
  auto first = start(numbers(1), {}, context.child(6));
  auto second = start(numbers(1), {}, other);
  compat::anon_send(gather, cancel_atom_v, call_id::make());
  compat::anon_send(gather, cancel_atom_v, context.child(6).id);
  time.settle();
  CHECK_FALSE(first->pending());
  CHECK(second->pending());
  compat::anon_send(gather, cancel_atom_v, context.id); // the root
  time.settle();
  CHECK_FALSE(second->pending());
}

TEST_CASE_METHOD(fixture, "a gather whose requester dies is cancelled") {
  auto got = start(numbers(2), {}, time.context());
  caf::anon_send_exit(requester, caf::exit_reason::kill);
  requester = nullptr;
  time.settle();
  CHECK(log->cancelled.size() == 2);
}

TEST_CASE_METHOD(fixture, "a requester's other gathers are still watched when one is over") {
  // One actor that asks twice: the monitors of its gathers must not share a fate.
  auto slow = std::make_shared<reply<outcomes>>();
  auto quick = std::make_shared<reply<outcomes>>();
  requester = time.system.spawn([=, this](caf::event_based_actor* self) {
    for (const auto& to : {slow, quick})
      compat::request(
          self, gather, gather_atom_v, chain, numbers(1), gather_options{}, time.context())
          .then([to](const outcomes& x) { to->result = x; });
  });
  time.settle();
  REQUIRE(log->calls.size() == 2);
  answer(1);
  CHECK(quick->result);
  caf::anon_send_exit(requester, caf::exit_reason::kill);
  requester = nullptr;
  time.settle();
  CHECK(log->cancelled == std::vector{log->calls[0].context.id});
}

TEST_CASE_METHOD(fixture, "a gather whose deadline has passed sends nothing") {
  auto context = time.context(1s);
  time.advance(1s);
  auto got = start(numbers(2), {}, context);
  REQUIRE(got->result);
  CHECK(log->calls.empty());
  CHECK((*got->result)[1].error == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "a gather actor made for one gather is gone when that is over") {
  gather = spawn_one_gather(time.system);
  auto got = start(numbers(1), {}, time.context());
  answer(0);
  REQUIRE(got->result);
  auto next = start(numbers(1), {}, time.context());
  CHECK(to_failure(next->error, "it") == errc::shut_down);
  gather = spawn_one_gather(time.system);
  CHECK(start({}, {}, time.context())->result);
  CHECK(to_failure(start({}, {}, time.context())->error, "it") == errc::shut_down);
}

TEST_CASE_METHOD(fixture, "calls of a gather without an ID can be cancelled all the same") {
  auto got = start(numbers(2), {}, call_context{});
  REQUIRE(log->calls.size() == 2);
  CHECK(log->calls[0].context.id);
  CHECK(log->calls[0].context.id != log->calls[1].context.id);
}

TEST_CASE_METHOD(fixture, "an observer hears of each call as it ends, with the progress") {
  auto heard = std::make_shared<heard_log>();
  gather_options options;
  options.observer = time.system.spawn(listen, heard);
  auto context = time.context(10s);
  auto got = start(numbers(3), options, context);
  answer(2);
  REQUIRE(heard->progress.size() == 1);
  CHECK(heard->progress[0].id == context.id);
  CHECK(heard->progress[0].index == 2);
  CHECK(heard->progress[0].done == 1);
  CHECK(heard->progress[0].total == 3);
  CHECK(heard->calls[0].result == values{{"text", "answer 2"}});
  time.advance(10s + grace);
  REQUIRE(heard->progress.size() == 3);
  CHECK(heard->progress[2].done == 3);
  CHECK(heard->calls[2].error == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "an observer that is gone costs nothing") {
  gather_options options;
  options.observer = time.system.spawn(listen, std::make_shared<heard_log>());
  caf::anon_send_exit(options.observer, caf::exit_reason::kill);
  auto got = start(numbers(1), options, time.context());
  answer(0);
  CHECK(got->result);
}

TEST_CASE_METHOD(fixture, "gathering nothing gives an empty list at once") {
  auto got = start({}, {}, time.context());
  REQUIRE(got->result);
  CHECK(got->result->empty());
}

TEST_CASE_METHOD(fixture, "a cap of zero and a missing chain are refused") {
  gather_options options;
  options.max_in_flight = 0;
  CHECK(start(numbers(1), options, time.context())->error == errc::invalid_input);
  chain = nullptr;
  CHECK(start(numbers(1), {}, time.context())->error == errc::invalid_input);
}

TEST_CASE_METHOD(fixture, "a chain that dies gives every call its error") {
  auto got = start(numbers(3), {}, time.context());
  caf::anon_send_exit(chain, caf::exit_reason::kill);
  time.settle();
  REQUIRE(got->result);
  for (const auto& call : *got->result)
    CHECK(call.error == errc::shut_down);
}

TEST_CASE_METHOD(fixture, "ten thousand calls at once come back, each with its own answer") {
  auto echo = spawn_scripted_llm(time.system, [](const llm_request& request) {
    return scripted_reply{request.prompts.front(), {}, 1s};
  });
  chain = spawn_llm_chain(time.system, echo, "{n}");
  auto got = start(numbers(10'000), {}, time.context());
  CHECK(got->pending());
  time.advance(1s);
  REQUIRE(got->result);
  size_t right = 0;
  for (size_t i = 0; i < 10'000; ++i)
    right += (*got->result)[i].result == values{{"text", std::to_string(i)}} ? 1 : 0;
  CHECK(right == 10'000);
}

} // namespace gather_test

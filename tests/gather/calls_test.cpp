#include "support/stub_llm.hpp"
#include "support/virtual_time.hpp"

#include <chainmail/chainmail.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// Actors in real time, for calls that block.
struct real_time {
  caf::actor_system_config config;
  caf::actor_system system{config};
};

llm_actor spawn_echo(caf::actor_system& system) {
  return spawn_scripted_llm(system, [](const llm_request& request) {
    return scripted_reply{"re: " + request.prompts.front(), {}, {}};
  });
}

llm_actor spawn_silent_llm(caf::actor_system& system) {
  return spawn_scripted_llm(system, [](const llm_request&) {
    return scripted_reply{{}, {}, caf::infinite};
  });
}

std::vector<values> two_inputs() {
  return {{{"x", 1}}, {{"x", 2}}};
}

} // namespace

TEST_CASE("from a blocking scope, calls wait and return the answer") {
  real_time real;
  auto llm = spawn_echo(real.system);
  auto chain = spawn_llm_chain(real.system, llm, "{x}");
  caf::scoped_actor self{real.system};
  CHECK(call(self, chain, {{"x", "hi"}}) == values{{"text", "re: hi"}});
  CHECK(call(self, chain, {}).error() == errc::missing_input);
  auto generated = generate(self, llm, "ho");
  REQUIRE(generated);
  CHECK(generated->text() == "re: ho");
  auto outcomes = gather(self, chain, two_inputs());
  REQUIRE(outcomes);
  CHECK(outcomes->at(0).result == values{{"text", "re: 1"}});
  CHECK(outcomes->at(1).result == values{{"text", "re: 2"}});
  gather_options none;
  none.max_in_flight = 0;
  CHECK(gather(self, chain, two_inputs(), none).error() == errc::invalid_input);
}

TEST_CASE("from a blocking scope, a call without an answer ends at its time-out") {
  real_time real;
  auto log = std::make_shared<stub_log>();
  auto deaf = spawn_stub_llm(real.system, log); // honours neither deadlines nor cancel
  auto chain = spawn_llm_chain(real.system, spawn_silent_llm(real.system), "{x}");
  caf::scoped_actor self{real.system};
  auto begin = std::chrono::steady_clock::now();
  CHECK(generate(self, deaf, "x", 50ms).error() == errc::timed_out);
  CHECK(call(self, chain, {{"x", 1}}, 50ms).error() == errc::timed_out);
  auto outcomes = gather(self, chain, two_inputs(), {}, 50ms);
  REQUIRE(outcomes);
  CHECK(outcomes->at(1).error == errc::timed_out);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  caf::anon_send_exit(deaf, caf::exit_reason::kill);
}

TEST_CASE("inside an event-based actor, calls give response handles") {
  virtual_time time;
  auto llm = spawn_echo(time.system);
  auto chain = spawn_llm_chain(time.system, llm, "{x}");
  std::vector<std::string> got;
  time.system.spawn([&](caf::event_based_actor* self) {
    call(self, chain, {{"x", "hi"}}, make_context(self, 30s)).then([&](const values& result) {
      got.push_back(*find_text(result, "text"));
    });
    llm_request request;
    request.prompts = {"ho"};
    generate(self, llm, request, make_context(self)).then([&](const llm_result& result) {
      got.push_back(result.text());
    });
    gather(self, chain, two_inputs(), {}, make_context(self, 30s))
        .then([&](const std::vector<outcome>& outcomes) {
          for (const auto& one : outcomes)
            got.push_back(*find_text(one.result, "text"));
        });
  });
  time.settle();
  std::sort(got.begin(), got.end());
  CHECK(got == std::vector{"re: 1"s, "re: 2"s, "re: hi"s, "re: ho"s});
}

TEST_CASE("a gather by way of a gather actor can be cancelled through that") {
  virtual_time time;
  auto chain = spawn_llm_chain(time.system, spawn_silent_llm(time.system), "{x}");
  auto gatherer = spawn_gather(time.system);
  std::vector<outcome> got;
  call_id id;
  time.system.spawn([&](caf::event_based_actor* self) {
    auto context = make_context(self, 30s);
    id = context.id;
    gather(self, gatherer, chain, two_inputs(), {}, context)
        .then([&](const std::vector<outcome>& outcomes) { got = outcomes; });
  });
  time.settle();
  CHECK(got.empty());
  caf::anon_send(gatherer, cancel_atom_v, id);
  time.settle();
  CHECK(got.size() == 2);
  for (const auto& one : got)
    CHECK(one.error == errc::cancelled);
}

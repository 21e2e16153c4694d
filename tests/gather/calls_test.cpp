#include "support/stub_llm.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/chainmail.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <stdexcept>
#include <thread>

namespace calls_test {

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

TEST_CASE("a run takes the one input by itself or by name, and gives the one output") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto chain = spawn_llm_chain(real.system, spawn_echo(real.system), "{x}");
  CHECK(run(self, chain, "hi") == "re: hi"s);
  CHECK(run(self, chain, {{"x", "hi"}}) == "re: hi"s);
  CHECK(run(self, chain, {{"y", "hi"}}).error() == errc::missing_input);
}

TEST_CASE("what a memory adds is no input that a run with one text has to name") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto chain = spawn_conversation_chain(
      real.system, spawn_echo(real.system), spawn_buffer_memory(real.system));
  auto response = run(self, chain, "hi");
  REQUIRE(response);
  CHECK(response->find("Human: hi\nAI:") != std::string::npos);
}

TEST_CASE("a run with one text needs a chain of one input") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto llm = spawn_echo(real.system);
  auto refused = run(self, spawn_llm_chain(real.system, llm, "{x} {y}"), "hi").error();
  CHECK(refused == errc::invalid_input);
  CHECK(sentence_of(refused) == "the chain needs 2 inputs, not one: pass them by name");
  CHECK(run(self, spawn_llm_chain(real.system, llm, "x"), "hi").error() == errc::invalid_input);
}

TEST_CASE("a run needs a chain of one output, which is text or reads as text") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto gives = [&](values outputs) {
    std::vector<std::string> keys;
    for (const auto& [key, unused] : outputs)
      keys.push_back(key);
    return spawn_transform_chain(real.system, {"x"}, keys,
        [outputs](const values&) -> caf::expected<values> { return outputs; });
  };
  CHECK(run(self, gives({{"y", 3}}), "hi") == "3"s);
  auto list = run(self, gives({{"y", std::vector<std::string>{"a"}}}), "hi").error();
  CHECK(list == errc::malformed_response);
  CHECK(sentence_of(list).find("'y'") != std::string::npos);
  CHECK(run(self, gives({{"y", 1}, {"z", 2}}), "hi").error() == errc::invalid_input);
  CHECK(run(self, gives({}), {{"x", 1}}).error() == errc::invalid_input);
}

TEST_CASE("a run of a chain that is gone is an error, not silence") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto chain = spawn_llm_chain(real.system, spawn_echo(real.system), "{x}");
  self->monitor(chain);
  caf::anon_send_exit(chain, caf::exit_reason::kill);
  self->receive([](const caf::down_msg&) {});
  CHECK(run(self, chain, "hi").error() == errc::shut_down);
}

TEST_CASE("calls wait for 600 seconds unless told otherwise") {
  virtual_time time;
  time.system.spawn([&](caf::event_based_actor* self) {
    CHECK(make_context(self).due.at == time.now() + 600s);
    CHECK(make_context(self, 5s).due.at == time.now() + 5s);
    CHECK(make_context(self, caf::infinite).due.is_never());
  });
  time.settle();
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
  compat::anon_send(gatherer, cancel_atom_v, id);
  time.settle();
  CHECK(got.size() == 2);
  for (const auto& one : got)
    CHECK(one.error == errc::cancelled);
}

// -- streams --------------------------------------------------------------------------

namespace {

/// An LLM whose streams are these words, and whose answer has more.
llm_actor spawn_speaker(caf::actor_system& system) {
  return system.spawn([](llm_actor::pointer self) -> llm_actor::behavior_type {
    return {
        [](generate_atom, const llm_request&, const call_context&) { return llm_result{}; },
        [self](stream_atom, const llm_request& request, const sink_actor& sink,
            const call_context& context) -> caf::result<llm_result> {
          auto caller = self->make_response_promise<llm_result>();
          const auto& prompt = request.prompts.front();
          for (size_t i = 0; i < prompt.size(); ++i)
            compat::request(self, sink, chunk_atom_v, context.id, uint32_t{0}, prompt.substr(i, 1))
                .then(
                    [caller, prompt, is_last = i + 1 == prompt.size()]() mutable {
                      if (!is_last)
                        return;
                      llm_result result;
                      result.completions.push_back({prompt, "stop"});
                      caller.deliver(std::move(result));
                    },
                    [caller](caf::error& why) mutable { caller.deliver(std::move(why)); });
          return caller;
        },
        [](cancel_atom, const call_id&) {},
    };
  });
}

} // namespace

TEST_CASE("from a blocking scope, the text of a stream comes to a function of this thread") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto llm = spawn_speaker(real.system);
  std::string got;
  auto here = std::this_thread::get_id();
  auto result = stream(self, llm, "hello", [&](std::string_view text) {
    got += text;
    CHECK(std::this_thread::get_id() == here);
  });
  REQUIRE(result);
  CHECK(result->text() == "hello");
  CHECK(got == "hello");
  // And once more: nothing of the first is left.
  CHECK(stream(self, llm, "again", [&](std::string_view text) { got += text; }));
  CHECK(got == "helloagain");
}

TEST_CASE("from a blocking scope, a stream that cannot be is an error") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto chain =
      spawn_transform_chain(real.system, {"x"}, {"y"}, [](const values&) -> caf::expected<values> {
        return values{{"y", 1}};
      });
  self->monitor(chain);
  caf::anon_send_exit(chain, caf::exit_reason::kill);
  self->receive([](const caf::down_msg&) {});
  CHECK(stream(self, chain, {{"x", 1}}, [](std::string_view) {}).error() == errc::shut_down);
}

TEST_CASE("from a blocking scope, a stream without an answer ends at its time-out") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto callers = std::make_shared<std::vector<caf::typed_response_promise<llm_result>>>();
  auto deaf = real.system.spawn([callers](llm_actor::pointer self_ptr) -> llm_actor::behavior_type {
    return {
        [](generate_atom, const llm_request&, const call_context&) { return llm_result{}; },
        [self_ptr, callers](stream_atom, const llm_request&, const sink_actor& sink,
            const call_context& context) -> caf::result<llm_result> {
          compat::send(self_ptr, sink, chunk_atom_v, context.id, uint32_t{0}, "a"s);
          return callers->emplace_back(self_ptr->make_response_promise<llm_result>());
        },
        [](cancel_atom, const call_id&) {},
    };
  });
  std::string got;
  auto result = stream(
      self, deaf, "x", [&](std::string_view text) { got += text; }, 50ms);
  CHECK(result.error() == errc::timed_out);
  CHECK(got == "a");
  callers->clear();
  caf::anon_send_exit(deaf, caf::exit_reason::kill);
}

TEST_CASE("what a stream's function throws ends the stream, and is thrown on") {
  real_time real;
  caf::scoped_actor self{real.system};
  auto llm = spawn_speaker(real.system);
  auto refuse = [](std::string_view) { throw std::runtime_error{"no"}; };
  CHECK_THROWS_AS(stream(self, llm, "hello", refuse), std::runtime_error);
  std::string got;
  CHECK(stream(self, llm, "fine", [&](std::string_view text) { got += text; }));
  CHECK(got == "fine");
}

TEST_CASE("inside an event-based actor, a stream's text goes to a sink") {
  virtual_time time;
  auto llm = spawn_speaker(time.system);
  std::string got;
  std::string answer;
  auto sink = spawn_sink(time.system, [&got](std::string_view text) { got += text; });
  time.system.spawn([&](caf::event_based_actor* self) {
    llm_request request;
    request.prompts = {"hello"};
    stream(self, llm, request, sink, make_context(self)).then([&](const llm_result& result) {
      answer = result.text();
    });
  });
  time.settle();
  CHECK(got == "hello");
  CHECK(answer == "hello");
}

} // namespace calls_test

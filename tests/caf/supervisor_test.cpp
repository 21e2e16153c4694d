#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/supervisor.hpp>
#include <chainmail/caf/virtual_time.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <catch2/catch_test_macros.hpp>

#include <stdexcept>

namespace supervisor_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// What the actors of one supervisor were asked, and what becomes of them.
struct ward_log {
  std::vector<llm_actor> started;
  std::vector<call_id> cancelled;
  size_t attempts = 0;
  bool cannot_start = false;
};

using log_ptr = std::shared_ptr<ward_log>;

llm_result said(const std::string& text) {
  llm_result result;
  result.completions.push_back({text, "stop"});
  return result;
}

/// Echoes; but holds "hold", throws at "throw" and quits at "quit".
llm_actor::behavior_type ward(llm_actor::pointer self, log_ptr log) {
  auto held = std::make_shared<std::vector<caf::typed_response_promise<llm_result>>>();
  return {
      [self, held](generate_atom, const llm_request& request,
          const call_context&) -> caf::result<llm_result> {
        const auto& prompt = request.prompts.front();
        if (prompt == "throw")
          throw std::runtime_error{"thrown by a test"};
        if (prompt == "quit")
          self->quit(caf::exit_reason::normal);
        if (prompt == "hold") {
          held->push_back(self->make_response_promise<llm_result>());
          return held->back();
        }
        return said(prompt);
      },
      [](stream_atom, const llm_request&, const sink_actor&,
          const call_context&) -> caf::result<llm_result> { return said("streamed"); },
      [log](cancel_atom, const call_id& id) { log->cancelled.push_back(id); },
  };
}

struct hospital : virtual_time {
  log_ptr log = std::make_shared<ward_log>();
  llm_actor llm;

  hospital() {
    llm = spawn_supervised<llm_actor>(
        system,
        [this] {
          ++log->attempts;
          if (log->cannot_start)
            throw std::runtime_error{"no file descriptor left"};
          log->started.push_back(system.spawn(ward, log));
          return log->started.back();
        },
        "the LLM client");
    settle();
  }

  ~hospital() { log->started.clear(); }

  std::shared_ptr<reply<llm_result>> says(const std::string& prompt) {
    llm_request request;
    request.prompts.push_back(prompt);
    auto result = ask<llm_result>(*this, llm, generate_atom_v, request, context());
    settle();
    return result;
  }

  /// Kills the running actor.
  void kill() {
    caf::anon_send_exit(log->started.back(), caf::exit_reason::kill);
    settle();
  }

  errc code(const std::string& prompt) {
    auto answer = says(prompt);
    REQUIRE(answer->answers == 1);
    return answer->result ? errc::none : code_of(to_failure(answer->error, "it"));
  }
};

bool is_gone(const caf::actor_addr& who) {
  return caf::actor_cast<caf::strong_actor_ptr>(who) == nullptr;
}

} // namespace

TEST_CASE("a supervised actor answers as if it stood alone") {
  hospital here;
  auto answer = here.says("hello");
  REQUIRE(answer->result);
  CHECK(answer->result->text() == "hello");
  auto streamed =
      ask<llm_result>(here, here.llm, stream_atom_v, llm_request{}, sink_actor{}, here.context());
  here.settle();
  REQUIRE(streamed->result);
  CHECK(streamed->result->text() == "streamed");
}

TEST_CASE("the answer of a supervised actor comes from itself") {
  hospital here;
  caf::actor_addr sender;
  auto asking = here.system.spawn([&, to = here.llm](caf::event_based_actor* self) {
    llm_request request;
    request.prompts.emplace_back("x");
    compat::request(self, to, generate_atom_v, request, call_context{})
        .then([&, self](const llm_result&) {
          sender = caf::actor_cast<caf::actor_addr>(self->current_sender());
        });
  });
  here.settle();
  CHECK(sender == here.log->started.front().address());
}

TEST_CASE("messages that want no answer are passed on, and dropped while nobody runs") {
  hospital here;
  auto id = call_id::make();
  compat::anon_send(here.llm, cancel_atom_v, id);
  here.settle();
  CHECK(here.log->cancelled == std::vector{id});
  here.log->cannot_start = true;
  here.kill();
  compat::anon_send(here.llm, cancel_atom_v, call_id::make());
  here.settle();
  here.log->cannot_start = false;
  here.advance(100ms);
  CHECK(here.code("x") == errc::none);
  CHECK(here.log->cancelled.size() == 1);
}

TEST_CASE("a killed actor is replaced at once, and its calls get an error") {
  hospital here;
  auto lost = here.says("hold");
  CHECK(lost->pending());
  here.kill();
  CHECK(lost->answers == 1);
  CHECK(code_of(to_failure(lost->error, "it")) == errc::shut_down);
  CHECK(here.log->attempts == 2);
  CHECK(here.code("next") == errc::none);
}

TEST_CASE(
    "an exception in a handler is a crash: its caller gets an error, the next one an answer") {
  hospital here;
  CHECK(here.code("throw") == errc::internal);
  CHECK(here.log->attempts == 2);
  CHECK(here.code("next") == errc::none);
}

TEST_CASE("requests that find no actor running are refused at once") {
  hospital here;
  here.kill();
  here.kill();
  auto refused = here.says("x");
  REQUIRE(refused->answers == 1);
  CHECK(refused->error == errc::unavailable);
  CHECK(sentence_of(refused->error).starts_with("the LLM client crashed"));
  here.advance(99ms);
  CHECK(here.code("x") == errc::unavailable);
  here.advance(1ms);
  CHECK(here.code("x") == errc::none);
}

TEST_CASE("requests that were on their way when the actor died are answered") {
  hospital here;
  caf::anon_send_exit(here.log->started.back(), caf::exit_reason::kill);
  std::vector<std::shared_ptr<reply<llm_result>>> answers;
  llm_request request;
  request.prompts.emplace_back("x");
  for (auto i = 0; i < 20; ++i)
    answers.push_back(ask<llm_result>(here, here.llm, generate_atom_v, request, call_context{}));
  here.settle();
  for (const auto& answer : answers)
    CHECK(answer->answers == 1);
}

TEST_CASE("a crash loop is slowed down, and forgotten after a calm while") {
  hospital here;
  here.kill();
  for (auto wait : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10'000ms, 10'000ms}) {
    auto before = here.log->attempts;
    here.kill();
    here.advance(wait - 1ms);
    CHECK(here.log->attempts == before);
    here.advance(1ms);
    CHECK(here.log->attempts == before + 1);
  }
  here.advance(30s);
  auto before = here.log->attempts;
  here.kill();
  CHECK(here.log->attempts == before + 1);
}

TEST_CASE("a start that fails is tried again, ever later") {
  hospital here;
  here.log->cannot_start = true;
  here.kill();
  CHECK(here.log->attempts == 2);
  CHECK(here.code("x") == errc::unavailable);
  for (auto i = 0; i < 600; ++i)
    here.advance(100ms);
  // At 0.1, 0.3, 0.7, 1.5, 3.1, 6.3 and 12.7 s, and every 10 s from then on.
  CHECK(here.log->attempts == 2 + 7 + 4);
  here.log->cannot_start = false;
  here.advance(10s);
  CHECK(here.code("x") == errc::none);
}

TEST_CASE("the first start that fails is the spawner's to know") {
  virtual_time time;
  CHECK_THROWS_AS(spawn_supervised<llm_actor>(
                      time.system, []() -> llm_actor { throw std::logic_error{"no"}; }, "it"),
      std::logic_error);
  CHECK_THROWS_AS(spawn_supervised<llm_actor>(
                      time.system, [] { return llm_actor{}; }, "it"),
      std::invalid_argument);
}

TEST_CASE("a supervisor that is told to exit takes its actor along") {
  hospital here;
  caf::anon_send_exit(here.llm, caf::exit_reason::user_shutdown);
  here.settle();
  CHECK(here.code("x") == errc::shut_down);
  here.advance(1min);
  CHECK(here.log->attempts == 1);
  auto address = here.log->started.front().address();
  here.log->started.clear();
  CHECK(is_gone(address));
}

TEST_CASE("a supervisor that is told to exit between two starts makes no other") {
  hospital here;
  here.kill();
  here.kill();
  caf::anon_send_exit(here.llm, caf::exit_reason::user_shutdown);
  here.advance(1min);
  CHECK(here.log->attempts == 2);
  CHECK(here.code("x") == errc::shut_down);
}

TEST_CASE("an actor that ends on purpose is not started again, and its supervisor ends with it") {
  hospital here;
  CHECK(here.code("quit") == errc::none);
  here.advance(1min);
  CHECK(here.log->attempts == 1);
  CHECK(here.code("x") == errc::shut_down);
}

TEST_CASE("a supervisor and its actor go when nobody has their handle") {
  hospital here;
  auto is_between_starts = false;
  SECTION("while the actor runs") {
  }
  SECTION("after a restart") {
    here.kill();
  }
  SECTION("between two starts") {
    here.kill();
    here.kill();
    is_between_starts = true;
  }
  auto supervisor = here.llm.address();
  auto actor = here.log->started.back().address();
  here.log->started.clear();
  here.settle();
  CHECK(is_gone(actor) == is_between_starts);
  here.llm = nullptr;
  here.settle();
  CHECK(is_gone(supervisor));
  CHECK(is_gone(actor));
  here.advance(1min);
  CHECK(here.log->attempts <= 2);
}

} // namespace supervisor_test

#include <chainmail/agents/agent_core.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/cluster/service_port.hpp>

#include <caf/actor_cast.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/sec.hpp>
#include <catch2/catch_test_macros.hpp>

#include <support/fake_llm.hpp>
#include <support/recording_sink.hpp>

namespace service_port_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct harbour : virtual_time {
  std::shared_ptr<fake_llm_script> script = std::make_shared<fake_llm_script>();
  std::shared_ptr<port_counters> counters = std::make_shared<port_counters>();
  caf::actor port;
  llm_actor llm;
  std::shared_ptr<sink_log> got = std::make_shared<sink_log>();
  recording_sink_actor sink = spawn_recording_sink(system, got);

  explicit harbour(uint32_t capacity = 2) {
    auto target = caf::actor_cast<caf::actor>(spawn_fake_llm(system, script));
    port = spawn_service_port(
        system, target, {.name = "llm", .kind = "llm", .capacity = capacity}, counters);
    llm = caf::actor_cast<llm_actor>(port);
  }

  ~harbour() {
    caf::anon_send_exit(port, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(sink, caf::exit_reason::kill);
    settle();
  }

  auto stream(const call_context& context, caf::actor* requester = nullptr) {
    auto result = ask<llm_result>(*this, llm, requester, stream_atom_v,
        llm_request{{"p"}, {}, {}, {}}, sink_actor{sink}, context);
    settle();
    return result;
  }

  auto generate(call_context context, caf::actor* requester = nullptr) {
    auto result = ask<llm_result>(
        *this, llm, requester, generate_atom_v, llm_request{{"p"}, {}, {}, {}}, std::move(context));
    settle();
    return result;
  }
};

} // namespace

TEST_CASE("a port passes calls and answers on, and counts them", "[service_port]") {
  harbour at;
  auto reply = at.generate(at.context());
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "fine");
  CHECK(at.counters->answered == 1);
  CHECK(at.counters->in_flight == 0);
}

TEST_CASE("a port takes no more than its capacity at once", "[service_port]") {
  harbour at{2};
  at.script->reply = [] { return scripted_reply{"late", {}, 1s}; };
  auto one = at.generate(at.context());
  auto two = at.generate(at.context());
  auto three = at.generate(at.context());
  CHECK(at.counters->in_flight == 2);
  CHECK(code_of(three->error) == errc::overloaded);
  at.advance(1s);
  CHECK(one->result);
  CHECK(two->result);
  CHECK(at.counters->refused == 1);
}

TEST_CASE("a call that is no request is not taken past the capacity", "[service_port]") {
  harbour at{2};
  at.script->reply = [] { return scripted_reply{"late", {}, 1s}; };
  auto context = at.context();
  auto sender = at.system.spawn([&at, context](caf::event_based_actor* self) {
    for (auto i = 0; i < 10; ++i)
      compat::send(self, at.llm, generate_atom_v, llm_request{{"p"}, {}, {}, {}}, context);
    compat::send(self, at.llm, cancel_atom_v, context.id);
  });
  at.settle();
  at.advance(2s);
  CHECK(at.script->calls.empty());
  CHECK(at.script->cancelled.size() == 1);
  CHECK(at.counters->refused == 10);
}

TEST_CASE("a port lets nothing through that is not for its service", "[service_port]") {
  harbour at;
  auto reply = ask<limiter_status>(at, caf::actor_cast<rate_limiter_actor>(at.port), status_atom_v);
  at.settle();
  CHECK(code_of(reply->error) == errc::unsupported);
  auto bad =
      ask<llm_result>(at, at.llm, generate_atom_v, llm_request{{"\xff"}, {}, {}, {}}, at.context());
  at.settle();
  CHECK(code_of(bad->error) == errc::invalid_input);
  CHECK(at.script->calls.empty());
  CHECK(at.counters->refused == 2);
}

TEST_CASE("a closed port finishes what it has, and refuses the rest untouched", "[service_port]") {
  harbour at;
  at.script->reply = [] { return scripted_reply{"late", {}, 1s}; };
  auto before = at.generate(at.context());
  at.counters->is_closed = true;
  auto after = at.generate(at.context());
  CHECK(after->error == caf::sec::request_receiver_down);
  CHECK(at.script->calls.size() == 1);
  at.advance(1s);
  CHECK(before->result);
}

TEST_CASE("a call that came again by another node is not cancelled", "[service_port]") {
  harbour at;
  at.script->reply = [] { return scripted_reply{"late", {}, 10s}; };
  caf::actor gone;
  auto context = at.context();
  auto lost = at.generate(context, &gone);
  auto again = at.generate(context);
  caf::anon_send_exit(gone, caf::exit_reason::kill);
  gone = nullptr;
  at.settle();
  CHECK(at.script->cancelled.empty());
  at.advance(10s);
  REQUIRE(again->result);
  CHECK(again->result->text() == "late");
}

TEST_CASE("the calls of a node that goes down are cancelled", "[service_port]") {
  harbour at;
  at.script->reply = [] { return scripted_reply{"never", {}, caf::infinite}; };
  caf::actor gone;
  auto context = at.context();
  auto lost = at.generate(context, &gone);
  auto kept = at.generate(at.context());
  caf::anon_send_exit(gone, caf::exit_reason::kill);
  gone = nullptr;
  at.settle();
  REQUIRE(at.script->cancelled.size() == 1);
  CHECK(at.script->cancelled.front() == context.id);
  CHECK(at.counters->in_flight == 1);
  CHECK(kept->pending());
  caf::anon_send_exit(at.port, caf::exit_reason::user_shutdown);
  at.settle();
  CHECK(!kept->pending());
}

TEST_CASE(
    "an error that is too large for a frame keeps its sentence's beginning", "[service_port]") {
  harbour at;
  at.script->reply = [] {
    error_detail detail;
    detail.attempts.assign(1'000, attempt{"target", errc::server_error, 500, "broken", {}, {}});
    return scripted_reply{
        {}, make_failure(errc::server_error, "it broke" + std::string(50'000, '!'), detail), {}};
  };
  auto reply = at.generate(at.context());
  CHECK(code_of(reply->error) == errc::server_error);
  CHECK(sentence_of(reply->error).starts_with("it broke!"));
  CHECK(sentence_of(reply->error).size() < 3'000);
  REQUIRE(detail_of(reply->error));
  CHECK(detail_of(reply->error)->attempts.empty());
}

TEST_CASE("an agent's steps stay on its node, where frames do not limit them", "[service_port]") {
  harbour at;
  at.script->reply = [] {
    agent_step step;
    step.observation = std::string(50'000, 'x');
    return scripted_reply{{}, with_steps(make_failure(errc::timed_out, "late"), {step}), {}};
  };
  auto reply = at.generate(at.context());
  CHECK(describe(reply->error) == "timed_out: late");
  CHECK(steps_of(reply->error).empty());
}

// -- streams ------------------------------------------------------------------------------

TEST_CASE(
    "a port passes streams on, and answers chunks when their sink has", "[service_port][stream]") {
  harbour at;
  at.script->reply = [] { return scripted_reply{"1 2 3 4 5 6"}; };
  at.got->credit = 0;
  auto context = at.context();
  auto reply = at.stream(context);
  CHECK(at.got->chunks.size() == 4);
  CHECK(reply->pending());
  grant(at.sink, 100);
  at.settle();
  REQUIRE(reply->result);
  CHECK(at.got->text(context.id) == "1 2 3 4 5 6");
  CHECK(at.counters->in_flight == 0);
}

TEST_CASE("a stream of another node needs an ID of its own", "[service_port][stream]") {
  harbour at{3};
  at.script->reply = [] { return scripted_reply{"late", {}, 1s}; };
  auto context = at.context();
  auto first = at.stream(context);
  auto same = at.stream(context);
  CHECK(same->error == errc::overloaded);
  context.id = {};
  CHECK(at.stream(context)->error == errc::invalid_input);
  CHECK(at.counters->refused == 2);
  at.advance(1s);
  CHECK(first->result);
  CHECK(at.got->text() == "late");
}

TEST_CASE("a node that answers no chunks has its stream cancelled", "[service_port][stream]") {
  harbour at;
  at.script->reply = [] { return scripted_reply{"1 2 3 4 5 6"}; };
  at.got->credit = 1;
  auto reply = at.stream(at.context());
  at.advance(119s);
  CHECK(reply->pending());
  at.advance(60s);
  CHECK(reply->error == errc::cancelled);
  CHECK(at.counters->in_flight == 0);
}

TEST_CASE("a slow sink is not a stalled one", "[service_port][stream]") {
  harbour at;
  at.script->reply = [] { return scripted_reply{"1 2 3 4 5 6 7 8"}; };
  at.got->credit = 0;
  auto reply = at.stream(at.context());
  for (auto i = 0; i < 8; ++i) {
    at.advance(100s);
    CHECK(reply->pending());
    grant(at.sink, 1);
    at.settle();
  }
  CHECK(reply->result);
}

TEST_CASE("the streams of a node that goes down are cancelled", "[service_port][stream]") {
  harbour at;
  at.script->reply = [] {
    scripted_reply endless{"1 2 3 4 5 6"};
    endless.chunk_delay = 1h;
    return endless;
  };
  caf::actor gone;
  auto context = at.context(24h);
  auto lost = at.stream(context, &gone);
  CHECK(at.got->text() == "1");
  caf::anon_send_exit(gone, caf::exit_reason::kill);
  gone = nullptr;
  at.settle();
  REQUIRE(at.script->cancelled.size() == 1);
  CHECK(at.script->cancelled.front() == context.id);
  CHECK(at.counters->in_flight == 0);
}

TEST_CASE("errors go to other nodes without the text that they have", "[service_port][stream]") {
  harbour at;
  at.script->reply = [] {
    return scripted_reply{
        {}, make_failure(errc::server_error, "broken"), {}, {}, {std::string(20'000, 'x')}};
  };
  auto reply = at.stream(at.context());
  CHECK(reply->error == errc::server_error);
  CHECK(text_so_far(reply->error).empty());
  CHECK(at.got->text().size() == 20'000);
}

} // namespace service_port_test

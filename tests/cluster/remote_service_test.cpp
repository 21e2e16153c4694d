#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/cluster/remote_service.hpp>

#include <caf/actor_cast.hpp>
#include <caf/event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <set>
#include <support/fake_llm.hpp>
#include <support/metrics_of.hpp>
#include <support/odd_error.hpp>
#include <support/recording_sink.hpp>

namespace remote_service_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// A node as the remote service sees it: an LLM that answers when told, or never.
struct far_node {
  std::string called;
  std::shared_ptr<fake_llm_script> script = std::make_shared<fake_llm_script>();
  llm_actor llm;

  far_node(virtual_time& time, std::string its_name, caf::timespan delay)
    : called(std::move(its_name)), llm(spawn_fake_llm(time.system, script)) {
    script->reply = [this, delay] { return scripted_reply{"from " + called, {}, delay}; };
  }

  void die(virtual_time& time) {
    caf::anon_send_exit(caf::actor_cast<caf::actor>(llm), caf::exit_reason::kill);
    time.settle();
  }
};

struct cluster : virtual_time {
  caf::actor service_actor;
  llm_actor llm;
  std::shared_ptr<sink_log> got = std::make_shared<sink_log>();
  recording_sink_actor sink = spawn_recording_sink(system, got);

  explicit cluster(
      remote_service_options options = {.name = "llm", .kind = "llm", .is_repeatable = true}) {
    service_actor = spawn_remote_service(system, std::move(options));
    llm = caf::actor_cast<llm_actor>(service_actor);
    settle();
  }

  ~cluster() {
    caf::anon_send_exit(service_actor, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(sink, caf::exit_reason::kill);
    settle();
  }

  auto stream(const call_context& context) {
    auto result = ask<llm_result>(
        *this, llm, stream_atom_v, llm_request{{"p"}, {}, {}, {}}, sink_actor{sink}, context);
    settle();
    return result;
  }

  void announce(const far_node& node, uint32_t capacity) {
    compat::anon_send(service_actor, announce_atom_v,
        service{"llm", "llm", capacity, false, caf::actor_cast<caf::actor>(node.llm)}, node.called);
    settle();
  }

  auto generate(const std::string& prompt, call_context context) {
    auto result = ask<llm_result>(
        *this, llm, generate_atom_v, llm_request{{prompt}, {}, {}, {}}, std::move(context));
    settle();
    return result;
  }

  auto generate(const std::string& prompt) { return generate(prompt, context()); }
};

} // namespace

TEST_CASE("a call goes to the node that uses least of its capacity", "[remote_service]") {
  cluster nodes;
  far_node small{nodes, "small", 10s};
  far_node large{nodes, "large", 10s};
  nodes.announce(small, 2);
  nodes.announce(large, 6);
  std::vector<std::shared_ptr<reply<llm_result>>> replies;
  for (auto i = 0; i < 8; ++i)
    replies.push_back(nodes.generate("p"));
  CHECK(small.script->calls.size() == 2);
  CHECK(large.script->calls.size() == 6);
  nodes.advance(11s);
  for (const auto& each : replies)
    CHECK(each->result);
}

TEST_CASE("calls beyond all capacity wait for room, the urgent ones first", "[remote_service]") {
  cluster nodes;
  far_node one{nodes, "one", 10s};
  nodes.announce(one, 1);
  auto first = nodes.generate("first");
  auto patient = nodes.generate("patient");
  auto context = nodes.context();
  context.priority = 1;
  auto urgent = nodes.generate("urgent", context);
  CHECK(one.script->calls.size() == 1);
  nodes.advance(10s);
  CHECK(first->result);
  REQUIRE(one.script->calls.size() == 2);
  CHECK(one.script->calls[1].request.prompts.front() == "urgent");
  nodes.advance(10s);
  CHECK(urgent->result);
  nodes.advance(10s);
  CHECK(patient->result);
}

TEST_CASE("a lost node's calls are made again on another one, once", "[remote_service]") {
  cluster nodes;
  far_node lost{nodes, "lost", caf::infinite};
  far_node other{nodes, "other", 1s};
  nodes.announce(lost, 10);
  std::vector<std::shared_ptr<reply<llm_result>>> replies;
  for (auto i = 0; i < 5; ++i)
    replies.push_back(nodes.generate("p"));
  nodes.announce(other, 10);
  lost.die(nodes);
  CHECK(other.script->calls.size() == 5);
  nodes.advance(2s);
  for (const auto& each : replies) {
    REQUIRE(each->result);
    CHECK(each->result->text() == "from other");
    CHECK(each->answers == 1);
    CHECK(each->result->node == "other");
    REQUIRE(each->result->attempts.size() == 1);
    CHECK(each->result->attempts.front().target == "lost");
    CHECK(each->result->attempts.front().code == errc::unavailable);
  }
}

TEST_CASE("a call that has side effects is not made again", "[remote_service]") {
  cluster nodes{{.name = "names", .kind = "llm"}};
  far_node lost{nodes, "node-2", caf::infinite};
  far_node other{nodes, "other", 1s};
  nodes.announce(lost, 10);
  auto reply = nodes.generate("p");
  nodes.announce(other, 10);
  lost.die(nodes);
  REQUIRE(!reply->pending());
  CHECK(code_of(reply->error) == errc::unavailable);
  CHECK(sentence_of(reply->error).find("node-2") != std::string::npos);
  CHECK(other.script->calls.empty());
}

TEST_CASE("a call that ends three nodes does not get a fourth", "[remote_service]") {
  cluster nodes;
  std::vector<std::unique_ptr<far_node>> all;
  for (auto i = 0; i < 4; ++i) {
    all.push_back(std::make_unique<far_node>(nodes, "node", caf::infinite));
    nodes.announce(*all.back(), 1);
  }
  auto reply = nodes.generate("poison");
  for (auto i = 0; i < 3; ++i)
    for (auto& each : all)
      if (each->script->calls.size() == 1) {
        each->script->calls.clear();
        each->die(nodes);
        break;
      }
  REQUIRE(!reply->pending());
  CHECK(code_of(reply->error) == errc::unavailable);
}

TEST_CASE("without a node, calls wait for one, but not long", "[remote_service]") {
  cluster nodes;
  auto lucky = nodes.generate("p");
  nodes.advance(700ms);
  far_node late{nodes, "late", 10ms};
  nodes.announce(late, 1);
  nodes.advance(10ms);
  CHECK(lucky->result);
  late.die(nodes);
  auto unlucky = nodes.generate("p");
  nodes.advance(700ms);
  CHECK(unlucky->pending());
  nodes.advance(100ms);
  REQUIRE(!unlucky->pending());
  CHECK(code_of(unlucky->error) == errc::unavailable);
  auto hopeless = nodes.generate("p");
  CHECK(code_of(hopeless->error) == errc::unavailable);
}

TEST_CASE("a full node's refusal is no answer: the call waits", "[remote_service]") {
  cluster nodes;
  far_node full{nodes, "full", 0s};
  auto attempts = 0;
  full.script->reply = [&attempts] {
    return ++attempts < 3 ? scripted_reply{{}, make_failure(errc::overloaded, "full"), {}}
                          : scripted_reply{"at last", {}, {}};
  };
  nodes.announce(full, 5);
  auto reply = nodes.generate("p");
  CHECK(attempts == 1);
  nodes.advance(10ms);
  nodes.advance(10ms);
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "at last");
}

TEST_CASE("a leaving node gets nothing more, and keeps what it has", "[remote_service]") {
  cluster nodes;
  far_node leaving{nodes, "leaving", 5s};
  far_node staying{nodes, "staying", 5s};
  nodes.announce(leaving, 10);
  auto before = nodes.generate("p");
  nodes.announce(staying, 10);
  nodes.announce(leaving, 0);
  auto after = nodes.generate("p");
  CHECK(leaving.script->calls.size() == 1);
  CHECK(staying.script->calls.size() == 1);
  nodes.advance(5s);
  CHECK(before->result);
  CHECK(after->result);
}

TEST_CASE("a cancel goes to the node that has the call", "[remote_service]") {
  cluster nodes;
  far_node one{nodes, "one", caf::infinite};
  far_node two{nodes, "two", caf::infinite};
  nodes.announce(one, 1);
  nodes.announce(two, 1);
  auto context = nodes.context();
  auto held = nodes.generate("p", context);
  auto other = nodes.generate("p");
  auto waiting_context = nodes.context();
  auto waiting = nodes.generate("p", waiting_context);
  compat::anon_send(nodes.llm, cancel_atom_v, call_id{context.id.root, 0});
  nodes.settle();
  CHECK(one.script->cancelled.size() + two.script->cancelled.size() == 1);
  CHECK(code_of(held->error) == errc::cancelled);
  CHECK(other->pending());
  compat::anon_send(nodes.llm, cancel_atom_v, call_id{context.id.root + 1, 0});
  nodes.settle();
  CHECK(other->pending());
  compat::anon_send(nodes.llm, cancel_atom_v, waiting_context.id);
  nodes.settle();
  CHECK(code_of(waiting->error) == errc::cancelled);
  one.die(nodes);
  two.die(nodes);
  nodes.advance(2s);
  CHECK(!other->pending());
}

TEST_CASE("a node that does not answer costs a call its deadline", "[remote_service]") {
  cluster nodes;
  far_node silent{nodes, "silent", caf::infinite};
  nodes.announce(silent, 1);
  auto sent = nodes.generate("p", nodes.context(2s));
  auto waiting = nodes.generate("p", nodes.context(1s));
  nodes.advance(1'100ms);
  CHECK(code_of(waiting->error) == errc::timed_out);
  nodes.advance(1s);
  CHECK(code_of(sent->error) == errc::timed_out);
  CHECK(silent.script->cancelled.size() == 1);
}

TEST_CASE("more calls than may wait are refused at once", "[remote_service]") {
  cluster nodes{{.name = "llm", .kind = "llm", .is_repeatable = true, .max_waiting = 2}};
  far_node one{nodes, "one", 1s};
  nodes.announce(one, 1);
  std::vector<std::shared_ptr<reply<llm_result>>> replies;
  for (auto i = 0; i < 4; ++i)
    replies.push_back(nodes.generate("p"));
  CHECK(code_of(replies[3]->error) == errc::overloaded);
  nodes.advance(3s);
  nodes.advance(3s);
  nodes.advance(3s);
  for (auto i = 0U; i < 3; ++i)
    CHECK(replies[i]->result);
}

TEST_CASE("what no node would take is refused before it is sent", "[remote_service]") {
  cluster nodes;
  far_node one{nodes, "one", 0s};
  nodes.announce(one, 1);
  auto reply = nodes.generate("\xff");
  CHECK(code_of(reply->error) == errc::invalid_input);
  auto large = nodes.generate(std::string(7'000'000, 'x'));
  CHECK(code_of(large->error) == errc::invalid_input);
  CHECK(one.script->calls.empty());
}

TEST_CASE("an answer that cannot be is not believed", "[remote_service]") {
  cluster nodes;
  far_node liar{nodes, "liar", 0s};
  nodes.announce(liar, 1);
  liar.script->like.usage.prompt_tokens = -5;
  CHECK(code_of(nodes.generate("p")->error) == errc::malformed_response);
  liar.script->like.usage.prompt_tokens = 0;
  liar.script->reply = [] { return scripted_reply{"\xff", {}, {}}; };
  CHECK(code_of(nodes.generate("p")->error) == errc::malformed_response);
  liar.script->reply = [] { return scripted_reply{std::string(7'000'000, 'x'), {}, {}}; };
  CHECK(code_of(nodes.generate("p")->error) == errc::response_too_large);
  liar.script->reply = [] {
    return scripted_reply{{}, odd_error(200, caf::type_id_v<std::string>), {}};
  };
  CHECK(code_of(nodes.generate("p")->error) == errc::internal);
}

TEST_CASE("calls of other nodes are counted, also those that a node was lost with") {
  cluster nodes;
  auto first = std::make_unique<far_node>(nodes, "first", 10s);
  nodes.announce(*first, 5);
  auto moved = nodes.generate("a");
  CHECK(series{nodes.system}["chainmail_remote_in_flight{service=\"llm\"}"] == 1);
  first->die(nodes);
  far_node second{nodes, "second", 1s};
  nodes.announce(second, 5);
  nodes.advance(1s);
  REQUIRE(moved->result);
  CHECK(nodes.generate("late", nodes.context(0s))->error == errc::timed_out);
  series counted{nodes.system};
  CHECK(counted["chainmail_remote_calls_total{service=\"llm\"}"] == 2);
  CHECK(counted["chainmail_remote_losses_total{service=\"llm\"}"] == 1);
  CHECK(counted["chainmail_remote_errors_total{code=\"timed_out\",service=\"llm\"}"] == 1);
  CHECK(counted["chainmail_remote_duration_seconds_count{service=\"llm\"}"] == 2);
  CHECK(counted["chainmail_remote_in_flight{service=\"llm\"}"] == 0);
}

// -- streams ------------------------------------------------------------------------------

namespace {

/// Says its words a second apart.
scripted_reply slowly(std::string text) {
  scripted_reply result{std::move(text)};
  result.chunk_delay = 1s;
  return result;
}

} // namespace

TEST_CASE("a stream comes from its node chunk by chunk", "[remote_service][stream]") {
  cluster nodes;
  far_node one{nodes, "one", 0s};
  one.script->reply = [] { return scripted_reply{"1 2 3 4 5 6 7 8"}; };
  nodes.announce(one, 1);
  nodes.got->credit = 0;
  auto context = nodes.context();
  auto reply = nodes.stream(context);
  CHECK(nodes.got->chunks.size() == 4);
  grant(nodes.sink, 100);
  nodes.settle();
  REQUIRE(reply->result);
  CHECK(reply->result->node == "one");
  CHECK(nodes.got->text(context.id) == "1 2 3 4 5 6 7 8");
  one.die(nodes);
}

TEST_CASE("a node that is lost in the midst of a stream ends it", "[remote_service][stream]") {
  cluster nodes;
  far_node lost{nodes, "lost", 0s};
  far_node other{nodes, "other", 0s};
  lost.script->reply = [] { return slowly("1 2 3"); };
  nodes.announce(lost, 1);
  auto reply = nodes.stream(nodes.context());
  nodes.announce(other, 1);
  nodes.advance(1s);
  lost.die(nodes);
  CHECK(reply->error == errc::unavailable);
  CHECK(text_so_far(reply->error) == "1 2");
  CHECK(sentence_of(reply->error).find("lost") != std::string::npos);
  CHECK(other.script->calls.empty());
  other.die(nodes);
}

TEST_CASE(
    "a stream of which nothing came is made again on another node", "[remote_service][stream]") {
  cluster nodes;
  far_node lost{nodes, "lost", caf::infinite};
  far_node other{nodes, "other", 0s};
  nodes.announce(lost, 1);
  auto context = nodes.context();
  auto reply = nodes.stream(context);
  nodes.announce(other, 1);
  lost.die(nodes);
  REQUIRE(reply->result);
  CHECK(nodes.got->text(context.id) == "from other");
  CHECK(reply->result->attempts.size() == 1);
  other.die(nodes);
}

TEST_CASE("a stream of what has side effects is never made again", "[remote_service][stream]") {
  cluster nodes{{.name = "names", .kind = "llm"}};
  far_node lost{nodes, "lost", caf::infinite};
  far_node other{nodes, "other", 0s};
  nodes.announce(lost, 1);
  auto reply = nodes.stream(nodes.context());
  nodes.announce(other, 1);
  lost.die(nodes);
  CHECK(reply->error == errc::unavailable);
  CHECK(other.script->calls.empty());
  other.die(nodes);
}

TEST_CASE("a stream's error has the text that its sink got", "[remote_service][stream]") {
  cluster nodes;
  far_node one{nodes, "one", 0s};
  nodes.announce(one, 1);
  one.script->reply = [] {
    return scripted_reply{{}, make_failure(errc::server_error, "broken"), {}, {}, {"1", " 2"}};
  };
  auto broken = nodes.stream(nodes.context());
  CHECK(broken->error == errc::server_error);
  CHECK(text_so_far(broken->error) == "1 2");
  one.script->reply = [] { return slowly("1 2 3"); };
  auto context = nodes.context();
  auto cancelled = nodes.stream(context);
  nodes.advance(1s);
  compat::anon_send(nodes.llm, cancel_atom_v, context.id);
  nodes.settle();
  CHECK(cancelled->error == errc::cancelled);
  CHECK(text_so_far(cancelled->error) == "1 2");
  one.script->reply = [] { return slowly("1 2 3"); };
  auto late = nodes.stream(nodes.context(1'500ms));
  nodes.advance(1s);
  nodes.advance(1s);
  CHECK(late->error == errc::timed_out);
  CHECK(text_so_far(late->error) == "1 2");
  nodes.got->credit = 1;
  nodes.got->refusal = make_failure(errc::overloaded, "enough");
  auto refused = nodes.stream(nodes.context());
  nodes.advance(2s);
  CHECK(refused->error == errc::cancelled);
  one.die(nodes);
}

TEST_CASE("chunks of calls that no node has are refused", "[remote_service][stream]") {
  cluster nodes;
  auto context = nodes.context();
  auto waiting = nodes.stream(context); // for a node
  auto border = caf::actor_cast<sink_actor>(nodes.service_actor);
  for (const auto& id : {context.id, call_id{1, 2}}) {
    caf::error refusal;
    nodes.system.spawn([&, border](caf::event_based_actor* self) {
      compat::request(self, border, chunk_atom_v, id, uint32_t{0}, "forged"s)
          .then([] {}, [&](const caf::error& why) { refusal = why; });
    });
    nodes.settle();
    CHECK(refusal == errc::cancelled);
  }
  CHECK(nodes.got->chunks.empty());
  nodes.advance(1s);
  CHECK(waiting->error == errc::unavailable);
}

TEST_CASE("a node that sends without credit is refused", "[remote_service][stream]") {
  cluster nodes;
  far_node silent{nodes, "silent", caf::infinite};
  nodes.announce(silent, 1);
  nodes.got->credit = 0;
  auto context = nodes.context();
  auto reply = nodes.stream(context);
  auto border = caf::actor_cast<sink_actor>(nodes.service_actor);
  size_t refused = 0;
  nodes.system.spawn([&, border](caf::event_based_actor* self) {
    for (auto i = 0; i < 100; ++i)
      compat::request(self, border, chunk_atom_v, context.id, uint32_t{0}, "x"s)
          .then([] {}, [&](const caf::error& why) { refused += why == errc::overloaded ? 1 : 0; });
  });
  nodes.settle();
  CHECK(refused == 36);
  CHECK(nodes.got->chunks.size() == 64);
  silent.die(nodes);
  CHECK(text_so_far(reply->error) == std::string(64, 'x'));
}

TEST_CASE("a stream without an ID gets one", "[remote_service][stream]") {
  cluster nodes;
  far_node one{nodes, "one", 0s};
  nodes.announce(one, 2);
  auto context = nodes.context();
  context.id = {};
  auto reply = nodes.stream(context);
  REQUIRE(reply->result);
  CHECK(nodes.got->text() == "from one");
  CHECK(one.script->calls.at(0).context.id);
  one.die(nodes);
}

} // namespace remote_service_test

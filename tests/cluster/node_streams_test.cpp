// Streams between nodes, over real connections.
#include <chainmail/caf/compat.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/cluster/node.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <support/http_calls.hpp>
#include <support/member.hpp>
#include <support/recording_sink.hpp>

namespace node_streams_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// What a sink got, for other threads to look at.
struct shared_text {
  std::mutex mutex;
  std::string text;
  size_t chunks = 0;
  /// Chunks that are answered; the others wait.
  std::atomic<size_t> credit = SIZE_MAX;

  std::string now() {
    std::lock_guard guard{mutex};
    return text;
  }

  size_t count() {
    std::lock_guard guard{mutex};
    return chunks;
  }
};

sink_actor spawn_sink(caf::actor_system& system, std::shared_ptr<shared_text> to) {
  using promises = std::vector<caf::typed_response_promise<void>>;
  return system.spawn([to, held = std::make_shared<promises>()](
                          sink_actor::pointer self) -> sink_actor::behavior_type {
    return {
        [=](chunk_atom, const call_id&, uint32_t, const std::string& text) -> caf::result<void> {
          std::lock_guard guard{to->mutex};
          to->text += text;
          if (to->chunks++ < to->credit)
            return caf::unit;
          held->push_back(self->make_response_promise<void>());
          return held->back();
        }};
  });
}

/// A stream under way, and its end.
template <class Result>
struct running {
  std::shared_ptr<shared_text> text = std::make_shared<shared_text>();
  sink_actor sink;
  call_context context;
  std::shared_ptr<std::promise<caf::expected<Result>>> promise =
      std::make_shared<std::promise<caf::expected<Result>>>();
  std::future<caf::expected<Result>> end = promise->get_future();

  template <class Handle, class Request>
  void start(
      caf::actor_system& system, const Handle& to, Request request, caf::timespan time = 20s) {
    sink = spawn_sink(system, text);
    context.id = call_id::make();
    context.due.at = deadline::clock::now() + time;
    system.spawn([to, request, to_sink = sink, asked = context, answer = promise](
                     caf::event_based_actor* self) {
      compat::request(self, to, stream_atom_v, request, to_sink, asked)
          .then([answer](const Result& x) { answer->set_value(x); },
              [answer](const caf::error& x) { answer->set_value(x); });
    });
  }

  caf::expected<Result> result() {
    if (end.wait_for(20s) != std::future_status::ready)
      return make_failure(errc::internal, "there was no answer");
    return end.get();
  }

  ~running() { caf::anon_send_exit(sink, caf::exit_reason::kill); }
};

std::string many_words() {
  std::string result;
  for (auto i = 0; i < 300; ++i)
    result += " w" + std::to_string(i);
  return result;
}

llm_actor spawn_talker(caf::actor_system& system, std::string text, caf::timespan between) {
  return spawn_scripted_llm(system, [text, between](const llm_request&) {
    scripted_reply result{text};
    result.chunk_delay = between;
    return result;
  });
}

/// An LLM that says one word and then waits for its cancel, which it counts.
struct waiting_llm {
  std::atomic<int> cancels = 0;

  llm_actor spawn(caf::actor_system& system) {
    auto inner = spawn_talker(system, "one two", 1h);
    return system.spawn([this, inner](llm_actor::pointer self) -> llm_actor::behavior_type {
      self->link_to(inner);
      return {
          [=](generate_atom, llm_request& request, call_context& context) {
            return compat::delegate(
                self, inner, generate_atom_v, std::move(request), std::move(context));
          },
          [=](stream_atom, llm_request& request, sink_actor& sink, call_context& context) {
            return compat::delegate(self, inner, stream_atom_v, std::move(request), std::move(sink),
                std::move(context));
          },
          [=, this](cancel_atom, const call_id& id) {
            ++cancels;
            compat::send(self, inner, cancel_atom_v, id);
          },
      };
    });
  }
};

} // namespace

TEST_CASE("a stream comes from another node, by way of a chain", "[node][stream]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  auto talker = spawn_talker(server.system, many_words(), 0s);
  server.node.offer("llm", talker);
  server.node.offer("names", spawn_llm_chain(server.system, talker, "name {x}"));
  member client{{.name = "client", .join = {server.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  running<llm_result> from_llm;
  from_llm.start(client.system, client.node.find<llm_actor>("llm"), llm_request{{"p"}});
  auto result = from_llm.result();
  REQUIRE(result);
  CHECK(result->text() == many_words());
  CHECK(result->node == "server");
  CHECK(from_llm.text->now() == many_words());
  running<values> from_chain;
  from_chain.start(client.system, client.node.find<chain_actor>("names"), values{{"x", "y"s}});
  REQUIRE(from_chain.result());
  CHECK(from_chain.text->now() == many_words());
}

TEST_CASE("a sink's credit reaches another node", "[node][stream]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  server.node.offer("llm", spawn_talker(server.system, many_words(), 0s));
  member client{{.name = "client", .join = {server.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  running<llm_result> slow;
  slow.text->credit = 10;
  slow.start(client.system, client.node.find<llm_actor>("llm"), llm_request{{"p"}}, 2s);
  REQUIRE(eventually([&] { return slow.text->count() >= 14; }));
  auto result = slow.result(); // at the deadline
  REQUIRE(!result);
  CHECK(result.error() == errc::timed_out);
  CHECK(slow.text->count() == 14);
  CHECK(text_so_far(result.error()) == slow.text->now());
}

TEST_CASE("a stream that is cancelled stops on the other node", "[node][stream]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  waiting_llm far;
  server.node.offer("llm", far.spawn(server.system));
  member client{{.name = "client", .join = {server.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = client.node.find<llm_actor>("llm");
  running<llm_result> stream;
  stream.start(client.system, llm, llm_request{{"p"}});
  REQUIRE(eventually([&] { return stream.text->now() == "one"; }));
  compat::anon_send(llm, cancel_atom_v, stream.context.id);
  auto result = stream.result();
  REQUIRE(!result);
  CHECK(result.error() == errc::cancelled);
  CHECK(text_so_far(result.error()) == "one");
  CHECK(far.cancels == 1);
}

TEST_CASE("a node that goes in the midst of a stream leaves its text", "[node][stream]") {
  std::optional<member> server;
  server.emplace(node_options{.name = "server", .listen = "127.0.0.1:0"});
  waiting_llm far;
  server->node.offer("llm", far.spawn(server->system));
  member client{{.name = "client", .join = {server->address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  running<llm_result> stream;
  stream.start(client.system, client.node.find<llm_actor>("llm"), llm_request{{"p"}});
  REQUIRE(eventually([&] { return stream.text->now() == "one"; }));
  server.reset();
  auto result = stream.result();
  REQUIRE(!result);
  INFO(describe(result.error()));
  CHECK((result.error() == errc::unavailable || result.error() == errc::cancelled));
  CHECK(text_so_far(result.error()) == "one");
}

TEST_CASE("the stream of a node that goes is cancelled where it runs", "[node][stream]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  waiting_llm far;
  server.node.offer("llm", far.spawn(server.system));
  {
    member client{{.name = "client", .join = {server.address()}}};
    REQUIRE(client.node.wait_for_peers(1, 10s));
    running<llm_result> stream;
    stream.start(client.system, client.node.find<llm_actor>("llm"), llm_request{{"p"}});
    REQUIRE(eventually([&] { return stream.text->now() == "one"; }));
    CHECK(server.node.status().services.front().in_flight == 1);
  }
  CHECK(eventually([&] { return far.cancels == 1; }));
  CHECK(eventually([&] { return server.node.status().services.front().in_flight == 0; }));
}

} // namespace node_streams_test

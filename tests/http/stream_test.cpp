// Bodies that go to a sink as they come: what it gets, what slows it, and what ends it.
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdio>
#include <deque>
#include <limits>
#include <support/http_calls.hpp>
#include <support/raw_server.hpp>
#include <zlib.h>

namespace stream_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

constexpr std::string_view chunked =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view last_chunk = "0\r\n\r\n";

std::string chunk(std::string_view text) {
  std::array<char, 20> size{};
  auto length = std::snprintf(size.data(), size.size(), "%zx\r\n", text.size());
  return std::string{size.data(), static_cast<size_t>(length)}.append(text) + "\r\n";
}

/// What a sink got, and whether it takes more.
class tray {
public:
  void put(const call_id& id, uint32_t index, std::string text) {
    std::lock_guard guard{mutex_};
    id_ = id;
    highest_index_ = std::max(highest_index_, index);
    text_ += text;
    ++chunks_;
  }

  [[nodiscard]] std::string text() const {
    std::lock_guard guard{mutex_};
    return text_;
  }

  [[nodiscard]] size_t chunks() const {
    std::lock_guard guard{mutex_};
    return chunks_;
  }

  [[nodiscard]] call_id id() const {
    std::lock_guard guard{mutex_};
    return id_;
  }

  [[nodiscard]] uint32_t highest_index() const {
    std::lock_guard guard{mutex_};
    return highest_index_;
  }

  [[nodiscard]] bool has(std::string_view text) const {
    return eventually([&] { return this->text() == text; });
  }

private:
  mutable std::mutex mutex_;
  call_id id_;
  uint32_t highest_index_ = 0;
  std::string text_;
  size_t chunks_ = 0;
};

/// The sink's interface, and the order to answer so many of the chunks that it got; everything stands
/// for those that come, too.
using tray_actor = sink_actor::extend<caf::result<void>(caf::ok_atom, uint64_t)>;

constexpr auto everything = std::numeric_limits<uint64_t>::max();

struct tray_state {
  tray_state(tray_actor::pointer self_ptr, std::shared_ptr<tray> to, bool takes)
    : self(self_ptr), content(std::move(to)), takes_all(takes) {}

  tray_actor::behavior_type make_behavior() {
    return {
        [this](
            chunk_atom, const call_id& id, uint32_t index, std::string& text) -> caf::result<void> {
          content->put(id, index, std::move(text));
          if (takes_all)
            return caf::unit;
          waiting.push_back(self->make_response_promise<void>());
          return waiting.back();
        },
        [this](caf::ok_atom, uint64_t count) {
          takes_all = count == everything;
          for (; count > 0 && !waiting.empty(); --count) {
            waiting.front().deliver();
            waiting.pop_front();
          }
        },
    };
  }

  tray_actor::pointer self;
  std::shared_ptr<tray> content;
  bool takes_all;
  std::deque<caf::typed_response_promise<void>> waiting;
};

tray_actor spawn_tray(
    caf::actor_system& system, std::shared_ptr<tray> content, bool takes_all = true) {
  return system.spawn<caf::stateful_actor<tray_state, tray_actor::impl>>(
      std::move(content), takes_all);
}

/// An engine, and a sink that takes everything.
struct fixture {
  engine_room room;
  std::shared_ptr<tray> got = std::make_shared<tray>();
  tray_actor sink = spawn_tray(room.system, got);

  explicit fixture(http_options options = {}) : room(std::move(options)) {}

  http_call stream(http_request request, call_context context = {}) {
    return room.stream(std::move(request), sink, std::move(context));
  }

  /// A sink that takes nothing unless it is told to.
  void use_holding_sink() { sink = spawn_tray(room.system, got, false); }
  void take(uint64_t chunks) { compat::anon_send(sink, caf::ok_atom_v, chunks); }
};

http_request timed(http_request request, caf::timespan first_byte, caf::timespan idle) {
  request.first_byte_timeout = first_byte;
  request.idle_timeout = idle;
  return request;
}

/// Sends the head and these chunks, then waits for the client to leave.
raw_server::script sends_and_waits(std::vector<std::string> texts, std::atomic<bool>* saw_close) {
  return [=](raw_connection& client) {
    client.read_request();
    client.send(chunked);
    for (const auto& text : texts)
      client.send(chunk(text));
    if (client.wait_for_close() && saw_close != nullptr)
      *saw_close = true;
  };
}

std::string gzipped(std::string_view text) {
  std::string result(compressBound(text.size()) + 64, '\0');
  z_stream z{};
  REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(result.data());
  z.avail_out = static_cast<uInt>(result.size());
  deflate(&z, Z_FINISH);
  result.resize(z.total_out);
  deflateEnd(&z);
  return result;
}

} // namespace

// -- what the sink gets ---------------------------------------------------------------

TEST_CASE_METHOD(
    fixture, "a stream's body goes to the sink as it comes, and its head is the answer") {
  std::atomic<bool> may_end{false};
  raw_server server{[&](raw_connection& client) {
    client.read_request();
    client.send(chunked);
    client.send(chunk("one "));
    while (!may_end && client.pause(1ms)) {
    }
    client.send(chunk("two"));
    client.send(last_chunk);
  }};
  auto context = due_in(1min);
  auto call = stream(post(server.url("/s"), "the body"), context);
  REQUIRE(got->has("one "));
  CHECK(!call.is_over());
  may_end = true;
  CHECK(call.response().status == 200);
  CHECK(call.response().header("content-type") == "text/event-stream");
  CHECK(call.response().body.empty());
  CHECK(call.response().timings.first_byte > 0s);
  CHECK(got->text() == "one two");
  CHECK(got->id() == context.id);
  CHECK(got->highest_index() == 0);
  CHECK(server.requests().at(0).body == "the body");
}

TEST_CASE_METHOD(fixture, "the body of another status is in the answer") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send("HTTP/1.1 429 Slow Down\r\nContent-Length: 4\r\n\r\nbusy");
  }};
  auto call = stream(get(server.url()));
  CHECK(call.response().status == 429);
  CHECK(call.response().body == "busy");
  CHECK(got->chunks() == 0);
}

TEST_CASE_METHOD(fixture, "an empty stream has an answer and no chunk") {
  raw_server server{[](raw_connection& client) {
    while (client.read_request())
      client.send(client.number() == 0 ? ok_reply("") : std::string{chunked} + "0\r\n\r\n");
  }};
  for (auto i = 0; i < 2; ++i)
    CHECK(stream(get(server.url())).response().status == 200);
  CHECK(got->chunks() == 0);
}

TEST_CASE_METHOD(fixture, "streams and calls take turns on one connection") {
  raw_server server{[](raw_connection& client) {
    while (auto request = client.read_request())
      client.send(ok_reply(request->target()));
  }};
  for (auto i = 0; i < 3; ++i) {
    CHECK(stream(get(server.url("/s"))).response().body.empty());
    CHECK(room.fetch(get(server.url("/f"))).response().body == "/f");
  }
  CHECK(got->text() == "/s/s/s");
  CHECK(server.connections() == 1);
}

TEST_CASE_METHOD(fixture, "a stream asks for no compression, and the next call does again") {
  raw_server server{[](raw_connection& client) {
    while (auto request = client.read_request())
      client.send(ok_reply(request->header("accept-encoding")));
  }};
  stream(get(server.url())).response();
  CHECK(got->text() == "identity");
  CHECK(room.fetch(get(server.url())).response().body == "gzip, deflate");
}

TEST_CASE_METHOD(
    fixture, "a stream that is compressed nevertheless is an error, and the next call not") {
  auto body = gzipped("some text");
  raw_server server{[&](raw_connection& client) {
    while (client.read_request())
      client.send(ok_reply(body, "Content-Encoding: gzip\r\n"));
  }};
  auto call = stream(get(server.url()));
  CHECK(call.code() == errc::malformed_response);
  CHECK(call.sentence().find("compressed") != std::string::npos);
  CHECK(got->chunks() == 0);
  CHECK(room.fetch(get(server.url())).response().body == "some text");
}

TEST_CASE_METHOD(fixture, "what one turn reads is one chunk") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    std::string all{chunked};
    for (auto i = 0; i < 100; ++i)
      all += chunk("token ");
    client.send(all.append(last_chunk));
  }};
  stream(get(server.url())).response();
  CHECK(got->text().size() == 600);
  CHECK(got->chunks() < 20);
}

TEST_CASE_METHOD(fixture, "a stream without a sink is refused") {
  auto call = room.stream(get("http://127.0.0.1:1/"), sink_actor{});
  CHECK(call.code() == errc::invalid_input);
  CHECK(eventually([&] { return room.outstanding() == 0; }));
}

TEST_CASE("many streams at once each get their own") {
  raw_server server{[](raw_connection& client) {
    auto request = client.read_request();
    client.send(chunked);
    for (auto i = 0; i < 5; ++i) {
      client.send(chunk(request->body));
      client.pause(2ms);
    }
    client.send(last_chunk);
  }};
  engine_room room;
  std::vector<std::shared_ptr<tray>> trays;
  std::vector<http_call> calls;
  for (auto i = 0; i < 100; ++i) {
    trays.push_back(std::make_shared<tray>());
    calls.push_back(room.stream(post(server.url(), std::to_string(i) + ","),
        spawn_tray(room.system, trays.back()), due_in(1min)));
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    CHECK(calls[i].response().status == 200);
    std::string wanted;
    for (auto n = 0; n < 5; ++n)
      wanted += std::to_string(i) + ",";
    CHECK(trays[i]->text() == wanted);
  }
}

// -- back-pressure --------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "the answer comes after the sink has taken everything") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send(ok_reply("text"));
  }};
  use_holding_sink();
  auto call = stream(get(server.url()));
  REQUIRE(got->has("text"));
  std::this_thread::sleep_for(50ms);
  CHECK(!call.is_over());
  take(1);
  CHECK(call.response().status == 200);
}

TEST_CASE_METHOD(fixture, "a sink that takes nothing stops the server, and loses nothing") {
  constexpr size_t total = 24 << 20U;
  std::atomic<size_t> sent{0};
  raw_server server{[&](raw_connection& client) {
    client.read_request();
    client.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(total) + "\r\n\r\n");
    std::string block(1 << 16U, 'x');
    for (size_t i = 0; i < total; i += block.size(), sent += block.size()) {
      for (size_t j = 0; j < block.size(); ++j)
        block[j] = static_cast<char>((i + j) * 7 / 251);
      if (!client.send(block))
        return;
    }
  }};
  use_holding_sink();
  auto call = stream(get(server.url()), due_in(1min));
  // What the kernel holds for the socket is all that goes beyond.
  auto seen = [&] { return std::pair{sent.load(), got->text().size()}; };
  REQUIRE(eventually([&] { return got->chunks() > 0; }));
  auto before = seen();
  REQUIRE(eventually([&] {
    std::this_thread::sleep_for(100ms);
    return std::exchange(before, seen()) == before;
  }));
  CHECK(got->text().size() <= 40 << 10U);
  CHECK(sent < total);
  CHECK(!call.is_over());
  for (auto i = 0; i < 20; ++i) {
    auto chunks = got->chunks();
    take(1);
    REQUIRE(eventually([&] { return got->chunks() > chunks; }));
  }
  CHECK(!call.is_over());
  take(everything);
  CHECK(call.response().status == 200);
  auto text = got->text();
  REQUIRE(text.size() == total);
  size_t wrong = 0;
  for (size_t i = 0; i < total; ++i)
    wrong += text[i] != static_cast<char>(i * 7 / 251) ? 1 : 0;
  CHECK(wrong == 0);
}

TEST_CASE("a stream is not larger than a response may be") {
  http_options small;
  small.max_response_bytes = 100;
  fixture here{small};
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send(chunked);
    for (auto i = 0; i < 11; ++i)
      if (!client.send(chunk("ten bytes.")) || !client.pause(1ms))
        return;
    client.wait_for_close();
  }};
  auto call = here.stream(get(server.url()), due_in(1min));
  CHECK(call.code() == errc::response_too_large);
  CHECK(here.got->text().size() <= 100);
  CHECK(here.got->text().size() >= 90);
}

// -- what ends a stream ---------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a cancel in the middle of a stream closes its connection at once") {
  std::atomic<bool> saw_close{false};
  raw_server server{sends_and_waits({"one"}, &saw_close)};
  auto context = due_in(1min);
  auto call = stream(get(server.url()), context);
  REQUIRE(got->has("one"));
  room.cancel(context.id);
  CHECK(eventually([&] { return saw_close.load(); }, 10 * promptly));
  CHECK(call.code() == errc::cancelled);
  CHECK(call.answers() == 1);
}

TEST_CASE_METHOD(fixture, "a cancel ends a stream that its sink holds") {
  std::atomic<bool> saw_close{false};
  raw_server server{
      sends_and_waits(std::vector<std::string>(40, std::string(4'000, 'x')), &saw_close)};
  use_holding_sink();
  auto context = due_in(1min);
  auto call = stream(get(server.url()), context);
  REQUIRE(eventually([&] { return got->text().size() >= 32 << 10U; }));
  room.cancel(context.id);
  CHECK(call.code() == errc::cancelled);
  CHECK(eventually([&] { return saw_close.load(); }));
  take(100); // too late, and no harm
  CHECK(eventually([&] { return room.outstanding() == 0; }));
}

TEST_CASE_METHOD(fixture, "a sink that dies ends its stream") {
  std::atomic<bool> saw_close{false};
  raw_server server{[&](raw_connection& client) {
    client.read_request();
    client.send(chunked);
    while (client.send(chunk("more ")) && !client.wait_for_close(5ms)) {
    }
    saw_close = true;
  }};
  auto call = stream(get(server.url()), due_in(1min));
  REQUIRE(eventually([&] { return got->chunks() > 2; }));
  caf::anon_send_exit(sink, caf::exit_reason::kill);
  CHECK(call.code() == errc::shut_down);
  CHECK(eventually([&] { return saw_close.load(); }));
}

TEST_CASE_METHOD(fixture, "a sink that dies with chunks it did not take ends its stream") {
  raw_server server{sends_and_waits({"one"}, nullptr)};
  use_holding_sink();
  auto call = stream(get(server.url()), due_in(1min));
  REQUIRE(got->has("one"));
  caf::anon_send_exit(sink, caf::exit_reason::kill);
  CHECK(call.code() == errc::shut_down);
}

TEST_CASE_METHOD(fixture, "a stream that breaks is an error, after the sink has taken what came") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send(chunked);
    client.send(chunk("one"));
    client.pause(20ms);
    client.close();
  }};
  use_holding_sink();
  auto call = stream(get(server.url()), due_in(1min));
  REQUIRE(got->has("one"));
  std::this_thread::sleep_for(50ms);
  CHECK(!call.is_over());
  take(1);
  CHECK(call.code() == errc::malformed_response);
  CHECK(call.sentence().find("broke off after 3 bytes") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "an engine that exits ends its streams") {
  raw_server server{sends_and_waits({"one"}, nullptr)};
  auto call = stream(get(server.url()), due_in(1min));
  REQUIRE(got->has("one"));
  room.exit();
  CHECK(call.code() == errc::shut_down);
}

// -- time -----------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a stream whose first byte does not come in time is given up") {
  std::atomic<bool> saw_close{false};
  raw_server server{sends_and_waits({}, &saw_close)};
  auto call = stream(timed(get(server.url()), 100ms, 1min), due_in(1min));
  CHECK(call.code() == errc::timed_out);
  CHECK(call.sentence().find("no first byte") != std::string::npos);
  CHECK(call.took() >= 100ms);
  CHECK(call.took() < 10s);
  CHECK(eventually([&] { return saw_close.load(); }));
}

TEST_CASE_METHOD(fixture, "a stream that stalls is given up") {
  raw_server server{sends_and_waits({"one", " two"}, nullptr)};
  auto call = stream(timed(get(server.url()), 1min, 100ms), due_in(1min));
  CHECK(call.code() == errc::timed_out);
  CHECK(call.sentence().find("after 7 bytes") != std::string::npos);
  CHECK(call.took() >= 100ms);
  CHECK(call.took() < 10s);
  CHECK(got->text() == "one two");
}

TEST_CASE_METHOD(fixture, "the deadline of a call ends its stream, whatever flows") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send(chunked);
    while (client.send(chunk("more ")) && client.pause(5ms)) {
    }
  }};
  auto call = stream(timed(get(server.url()), 1min, 1min), due_in(200ms));
  CHECK(call.code() == errc::timed_out);
  CHECK(call.took() >= 200ms);
  CHECK(call.took() < 10s);
  CHECK(got->chunks() > 1);
}

TEST_CASE("a stream may last longer than a call, as long as it flows") {
  http_options brief;
  brief.max_call_time = 600ms;
  fixture here{brief};
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send(chunked);
    for (auto i = 0; i < 20; ++i)
      if (!client.send(chunk("more ")) || !client.pause(50ms))
        return;
    client.send(last_chunk);
    client.read_request();
    client.send(chunked);
    client.wait_for_close();
  }};
  auto call = here.stream(get(server.url()));
  CHECK(call.response().status == 200);
  CHECK(call.took() > 900ms);
  auto silent = here.stream(get(server.url()));
  CHECK(silent.code() == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "the time that a sink holds a stream is not the server's") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    std::string all{chunked};
    for (auto i = 0; i < 30; ++i)
      all += chunk(std::string(4'000, 'x'));
    client.send(all.append(last_chunk));
    client.wait_for_close();
  }};
  use_holding_sink();
  auto call = stream(timed(get(server.url()), 1min, 100ms), due_in(1min));
  REQUIRE(eventually([&] { return got->text().size() >= 32 << 10U; }));
  std::this_thread::sleep_for(400ms);
  CHECK(!call.is_over());
  take(everything);
  CHECK(call.response().status == 200);
  CHECK(got->text().size() == 120'000);
}

TEST_CASE("a sink that takes nothing for longer than a call may last ends its stream") {
  http_options brief;
  brief.max_call_time = 200ms;
  fixture here{brief};
  here.use_holding_sink();
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send(ok_reply("text"));
  }};
  auto call = here.stream(get(server.url()));
  CHECK(call.code() == errc::timed_out);
  CHECK(call.sentence().find("the sink took nothing") != std::string::npos);
}

} // namespace stream_test

// Exchanges with servers that are not there, or do not keep to the rules.
#include <chainmail/llm/openai_client.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <support/http_calls.hpp>
#include <support/raw_server.hpp>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

namespace hostile_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

/// A server that reads a request and then does this, to each of its connections.
raw_server after_request(std::function<void(raw_connection&)> what) {
  return raw_server{[what = std::move(what)](raw_connection& client) {
    if (client.read_request())
      what(client);
  }};
}

raw_server answering(std::string text) {
  return after_request([text = std::move(text)](raw_connection& client) { client.send(text); });
}

/// What every error of an exchange must and must not say.
void check_error(const http_call& call, const std::string& endpoint) {
  auto sentence = call.sentence();
  INFO(sentence);
  CHECK(sentence.find(endpoint) != std::string::npos);
  CHECK(sentence.find("s3cret") == std::string::npos);
  CHECK(call.detail().endpoint == endpoint);
}

/// A POST that carries a secret wherever one can be.
http_request full_of_secrets(const std::string& host_and_port) {
  auto request = post("http://me:s3cret@" + host_and_port + "/v1/x?key=s3cret#s3cret", "s3cret",
      {{"X-Open", "s3cret"}});
  request.secrets = secret_headers{{"Authorization: Bearer s3cret"}};
  return request;
}

/// The outcome of one such POST, which must not take long.
http_call outcome_of(const raw_server& server) {
  engine_room room;
  auto place = "127.0.0.1:" + std::to_string(server.port());
  auto call = room.fetch(full_of_secrets(place), due_in(5s * slowness));
  if (call.code() != errc::none)
    check_error(call, "http://" + place + "/v1/x");
  return call;
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  constexpr auto gzip_format = 15 + 16;
  REQUIRE(deflateInit2(
              &stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzip_format, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string result(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

std::string chunked(std::string_view body, size_t chunk) {
  std::string result = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (; !body.empty(); body.remove_prefix(std::min(chunk, body.size()))) {
    char length[32];
    (void)std::snprintf(length, sizeof length, "%zx\r\n", std::min(chunk, body.size()));
    result.append(length).append(body.substr(0, chunk)).append("\r\n");
  }
  return result + "0\r\n\r\n";
}

http_options at_most(size_t bytes) {
  http_options result;
  result.max_response_bytes = bytes;
  return result;
}

/// A port of 127.0.0.1 where nobody listens, and nobody will.
class closed_port {
public:
  closed_port() {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    auto* address = reinterpret_cast<sockaddr*>(&where);
    REQUIRE(bind(fd_, address, size) == 0);
    REQUIRE(getsockname(fd_, address, &size) == 0);
    number = ntohs(where.sin_port);
  }
  closed_port(const closed_port&) = delete;
  closed_port& operator=(const closed_port&) = delete;
  ~closed_port() { close(fd_); }

  int number = 0;

private:
  int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

/// A port of 127.0.0.1 that lets nobody in: its backlog is full, so the kernel drops what asks.
class full_port {
public:
  full_port() {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    auto* address = reinterpret_cast<sockaddr*>(&where);
    fds_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(bind(fds_[0], address, size) == 0);
    REQUIRE(listen(fds_[0], 0) == 0);
    REQUIRE(getsockname(fds_[0], address, &size) == 0);
    number = ntohs(where.sin_port);
    for (auto i = 0; i < 4; ++i) {
      fds_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)connect(fds_.back(), address, size);
    }
  }
  full_port(const full_port&) = delete;
  full_port& operator=(const full_port&) = delete;
  ~full_port() {
    for (auto fd : fds_)
      close(fd);
  }

  int number = 0;

private:
  std::vector<int> fds_;
};

} // namespace

// -- the size of a response -----------------------------------------------------------

TEST_CASE("a body that is exactly as large as allowed arrives") {
  std::string body(10'000, 'x');
  auto reply = GENERATE_COPY(ok_reply(body), chunked(body, 777), "HTTP/1.1 200 OK\r\n\r\n" + body,
      ok_reply(gzip(body), "Content-Encoding: gzip\r\n"));
  auto server = answering(reply);
  engine_room room{at_most(10'000)};
  CHECK((room.fetch(get(server.url())).response().body == body));
}

TEST_CASE("a body that is larger than allowed by a byte is refused") {
  std::string body(10'001, 'x');
  auto reply = GENERATE_COPY(ok_reply(body), chunked(body, 777), chunked(body, 1'000'000),
      "HTTP/1.1 200 OK\r\n\r\n" + body, ok_reply(gzip(body), "Content-Encoding: gzip\r\n"));
  auto server = answering(reply);
  engine_room room{at_most(10'000)};
  auto call = room.fetch(get(server.url("/x")));
  CHECK(call.code() == errc::response_too_large);
  check_error(call, server.url("/x"));
  CHECK(call.sentence().find("10000") != std::string::npos);
  CHECK(call.detail().http_status == 200);
}

TEST_CASE("a length that is larger than allowed is refused before the body comes") {
  auto length = GENERATE(as<std::string>{}, "33554433", "99999999999999999999999");
  auto server = after_request([&](raw_connection& client) {
    client.send("HTTP/1.1 200 OK\r\nContent-Length: " + length + "\r\n\r\n");
    client.wait_for_close();
  });
  engine_room room;
  auto call = room.fetch(get(server.url()));
  CHECK(call.code() == errc::response_too_large);
  CHECK(call.took() < promptly);
  CHECK(eventually([&] { return server.open_connections() == 0; }));
}

TEST_CASE("a body without end is cut off at the limit") {
  auto chunks = GENERATE(true, false);
  auto server = after_request([chunks](raw_connection& client) {
    client.send(chunks ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       : "HTTP/1.1 200 OK\r\n\r\n");
    auto piece = chunks ? "4000\r\n" + std::string(0x4000, 'x') + "\r\n" : std::string(0x4000, 'x');
    while (client.send(piece)) {
    }
  });
  engine_room room{at_most(1 << 20U)};
  CHECK(room.fetch(get(server.url())).code() == errc::response_too_large);
  CHECK(eventually([&] { return server.open_connections() == 0; }));
}

TEST_CASE("ten kilobytes that unfold into ten megabytes are refused") {
  auto bomb = gzip(std::string(10 << 20U, '\0'));
  REQUIRE(bomb.size() < 20'000);
  auto server = answering(ok_reply(bomb, "Content-Encoding: gzip\r\n"));
  engine_room small{at_most(1 << 20U)};
  CHECK(small.fetch(get(server.url())).code() == errc::response_too_large);
  engine_room large;
  CHECK(large.fetch(get(server.url())).response().body.size() == 10U << 20U);
}

TEST_CASE("nothing of a reply that failed is left for the next one") {
  raw_server server{[](raw_connection& client) {
    while (auto request = client.read_request()) {
      auto target = request->target();
      if (target == "/large") {
        client.send(chunked(std::string(2'000, 'l'), 300));
      } else if (target == "/fine") {
        client.send(ok_reply(std::string(500, 'f')));
      } else {
        client.send("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + std::string(400, 'b'));
        if (target == "/late")
          client.wait_for_close();
        return;
      }
    }
  }};
  engine_room room{at_most(1'000)};
  for (auto i = 0; i < 3; ++i) {
    CHECK(room.fetch(get(server.url("/large"))).code() == errc::response_too_large);
    CHECK(room.fetch(get(server.url("/broken"))).code() == errc::malformed_response);
    CHECK((room.fetch(get(server.url("/fine"))).response().body == std::string(500, 'f')));
    CHECK(room.fetch(get(server.url("/late")), due_in(50ms)).code() == errc::timed_out);
    CHECK((room.fetch(get(server.url("/fine"))).response().body == std::string(500, 'f')));
  }
}

TEST_CASE("a gzip body is decoded, whatever the pieces it comes in") {
  std::string body;
  for (auto i = 0; i < 5'000; ++i)
    body += std::to_string(i * i);
  auto packed = gzip(body);
  auto server = after_request([&](raw_connection& client) {
    client.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " +
                std::to_string(packed.size()) + "\r\n\r\n");
    for (std::string_view rest = packed; !rest.empty();
         rest.remove_prefix(std::min<size_t>(rest.size(), 3'001)))
      client.send(rest.substr(0, 3'001));
  });
  engine_room room;
  CHECK((room.fetch(get(server.url())).response().body == body));
}

// -- nobody there ---------------------------------------------------------------------

TEST_CASE("a refused connection is named, and what to whom") {
  closed_port closed;
  engine_room room;
  auto place = "127.0.0.1:" + std::to_string(closed.number);
  auto call = room.fetch(full_of_secrets(place));
  CHECK(call.code() == errc::connection_failed);
  check_error(call, "http://" + place + "/v1/x");
  CHECK(call.detail().http_status == 0);
}

TEST_CASE("an error tells nothing of the response before it") {
  closed_port closed;
  auto server = answering("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
  engine_room room;
  CHECK(room.fetch(get(server.url())).response().status == 503);
  auto call = room.fetch(get("http://127.0.0.1:" + std::to_string(closed.number)));
  CHECK(call.code() == errc::connection_failed);
  CHECK(call.detail().http_status == 0);
  CHECK(call.sentence().find("nothing accepts connections") != std::string::npos);
}

TEST_CASE("a host that does not let anybody in is given up after the connect time-out") {
  full_port full;
  http_options options;
  options.connect_timeout = 200ms;
  engine_room room{options};
  auto place = "127.0.0.1:" + std::to_string(full.number);
  auto call = room.fetch(full_of_secrets(place));
  CHECK(call.code() == errc::connection_failed);
  CHECK(call.sentence().find("connect time-out") != std::string::npos);
  check_error(call, "http://" + place + "/v1/x");
  CHECK(call.took() >= 200ms);
  CHECK(call.took() < 200ms + promptly);
}

TEST_CASE("a deadline before the connect time-out goes first") {
  full_port full;
  engine_room room;
  auto context = due_in(100ms);
  auto call = room.fetch(get("http://127.0.0.1:" + std::to_string(full.number)), context);
  CHECK(call.code() == errc::timed_out);
  CHECK(call.over_at() < context.due.at + promptly);
}

// -- no HTTP, or half of it -----------------------------------------------------------

TEST_CASE("what is no HTTP is a malformed response") {
  auto text = GENERATE(as<std::string>{}, "garbage\r\n\r\n", "<html>HTTP/0.9 has no head</html>",
      "SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/1.1\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n",
      "HTTP/1.1 abc OK\r\n\r\n", std::string{"\0\0\0\0\0\0\0\0", 8},
      std::string{"\x15\x03\x01\0\x02\x02\x46", 7} /* an alert of TLS */);
  auto server = answering(text);
  auto call = outcome_of(server);
  INFO(text << " " << call.sentence());
  CHECK(call.code() == errc::malformed_response);
}

TEST_CASE("a connection that ends without a reply has failed") {
  auto hard = GENERATE(false, true);
  auto server =
      after_request([hard](raw_connection& client) { hard ? client.reset() : client.close(); });
  auto call = outcome_of(server);
  CHECK(call.code() == errc::connection_failed);
  CHECK(call.detail().http_status == 0);
  // A fresh connection: libcurl has no reason to send the request again.
  CHECK(server.request_count() == 1);
}

TEST_CASE("a connection that is reset before the request has failed") {
  raw_server server{[](raw_connection& client) { client.reset(); }};
  CHECK(outcome_of(server).code() == errc::connection_failed);
}

TEST_CASE("a reply that breaks off is malformed") {
  auto start = GENERATE(as<std::string>{}, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf");
  auto hard = GENERATE(false, true);
  auto server = after_request([&](raw_connection& client) {
    client.send(start);
    // Time to be read: a reset throws away what the peer has not read yet.
    client.pause(20ms);
    hard ? client.reset() : client.close();
  });
  auto call = outcome_of(server);
  INFO(start << (hard ? " reset: " : " closed: ") << call.sentence());
  CHECK(call.code() == errc::malformed_response);
  CHECK(call.detail().http_status == 200);
}

TEST_CASE("a head that breaks off is no response") {
  auto start = GENERATE(
      as<std::string>{}, "HTT", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nA: b\r\n");
  auto server = answering(start);
  auto call = outcome_of(server);
  INFO(start << ": " << call.sentence());
  CHECK((call.code() == errc::malformed_response || call.code() == errc::connection_failed));
}

TEST_CASE("chunks that are none are a malformed response") {
  auto body = GENERATE(as<std::string>{}, "xyz\r\nabc\r\n", "-1\r\nabc\r\n",
      "ffffffffffffffffffff\r\nabc\r\n", "3\r\nabcdef\r\n0\r\n\r\n");
  auto server = answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
  auto call = outcome_of(server);
  INFO(body << ": " << call.sentence());
  CHECK(call.code() == errc::malformed_response);
}

TEST_CASE("a length that is none is a malformed response") {
  auto length = GENERATE(as<std::string>{}, "-5", "abc");
  auto server = answering("HTTP/1.1 200 OK\r\nContent-Length: " + length + "\r\n\r\nabcde");
  auto call = outcome_of(server);
  INFO(length << ": " << call.sentence());
  CHECK(call.code() == errc::malformed_response);
}

TEST_CASE("a body in a coding that cannot be read is a malformed response") {
  auto packed = gzip(std::string(5'000, 'x') + "the end");
  auto broken = packed;
  for (size_t i = 10; i < 30; ++i)
    broken[i] = static_cast<char>(~broken[i]);
  auto reply = GENERATE_COPY(ok_reply("this is no gzip", "Content-Encoding: gzip\r\n"),
      ok_reply(broken, "Content-Encoding: gzip\r\n"),
      ok_reply("x", "Content-Encoding: shrunk\r\n"));
  auto server = answering(reply);
  auto call = outcome_of(server);
  INFO(call.sentence());
  CHECK(call.code() == errc::malformed_response);
}

TEST_CASE("a head without end is cut off") {
  auto line = GENERATE(as<std::string>{}, "X-Another: " + std::string(1'000, 'x') + "\r\n",
      "Endless-" + std::string(1'000, 'x'), "A: b\r\n");
  auto server = after_request([&](raw_connection& client) {
    client.send("HTTP/1.1 200 OK\r\n");
    if (line.starts_with("Endless-"))
      client.send("X-Endless: ");
    while (client.send(line)) {
    }
  });
  auto call = outcome_of(server);
  INFO(call.sentence());
  CHECK(call.code() == errc::malformed_response);
  CHECK(call.took() < 4s * slowness);
}

TEST_CASE("interim responses are skipped") {
  auto server =
      answering("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
                ok_reply("final", "X-Final: yes\r\n"));
  engine_room room;
  auto call = room.fetch(post(server.url(), "x"));
  CHECK(call.response().status == 200);
  CHECK(call.response().body == "final");
  CHECK(call.response().header("x-final") == "yes");
  CHECK(call.response().header("link").empty());
}

TEST_CASE("interim responses without end do not outlive the deadline or hold others up") {
  raw_server server{[](raw_connection& client) {
    auto request = client.read_request();
    if (request && request->target() == "/fine")
      client.send(ok_reply("fine"));
    else
      while (client.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")) {
      }
  }};
  engine_room room;
  auto context = due_in(300ms * slowness);
  auto endless = room.fetch(get(server.url("/endless")), context);
  REQUIRE(eventually([&] { return server.request_count() == 1; }));
  CHECK(room.fetch(get(server.url("/fine"))).response().body == "fine");
  CHECK(endless.code() != errc::none);
  CHECK(endless.over_at() < context.due.at + promptly);
  CHECK(eventually([&] { return server.open_connections() == 0; }));
}

TEST_CASE("a server that says nothing is left at the deadline") {
  raw_server server{[](raw_connection& client) { client.wait_for_close(); }};
  engine_room room;
  auto context = due_in(100ms);
  auto call = room.fetch(post(server.url(), "x"), context);
  CHECK(call.code() == errc::timed_out);
  CHECK(call.over_at() < context.due.at + promptly);
}

TEST_CASE("a server that does not read is left at the deadline") {
  raw_server server{[](raw_connection& client) { client.pause(10s); }};
  engine_room room;
  auto context = due_in(100ms * slowness);
  auto call = room.fetch(post(server.url(), std::string(30 << 20U, 'x')), context);
  CHECK(call.code() == errc::timed_out);
  CHECK(call.over_at() < context.due.at + promptly);
}

TEST_CASE("bytes after a reply are not taken for the next one's") {
  raw_server server{[](raw_connection& client) {
    while (client.read_request())
      client.send(ok_reply("mine") + ok_reply("smuggled"));
  }};
  engine_room room;
  for (auto i = 0; i < 5; ++i)
    CHECK(room.fetch(post(server.url(), "x")).response().body == "mine");
}

// -- what libcurl does by itself ------------------------------------------------------

TEST_CASE("a POST that libcurl sends again carries the same Idempotency-Key") {
  raw_server server{[](raw_connection& client) {
    auto reply = ok_reply(R"({"id":"x","object":"text_completion","created":1,"model":"m",)"
                          R"("choices":[{"text":"Sock","index":0,"finish_reason":"stop"}]})");
    if (client.read_request())
      client.send(reply);
    // The first connection is closed when it is used again: no reply, not a byte.
    if (client.read_request() && client.number() > 0)
      client.send(reply);
  }};
  engine_room room;
  openai_options options;
  options.base_url = server.url("/v1");
  options.key = api_key{"k3y"};
  auto client = spawn_openai_client(room.system, room.http, options);
  caf::scoped_actor self{room.system};
  llm_request request;
  request.prompts = {"name a company"};
  for (auto i = 0; i < 2; ++i) {
    auto error = caf::error{};
    compat::request(self.operator->(), client, generate_atom_v, request, due_in(10s))
        .receive([](const llm_result&) {}, [&](const caf::error& x) { error = x; });
    CHECK(describe(error).empty());
  }
  auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(server.connections() == 2);
  auto key = [&](size_t i) { return requests[i].header("Idempotency-Key"); };
  CHECK(!key(0).empty());
  CHECK(key(1) == key(2));
  CHECK(key(0) != key(1));
  CHECK(requests[1].body == requests[2].body);
}

TEST_CASE("a server that drops every kept connection is given up, not asked for ever") {
  raw_server server{[](raw_connection& client) {
    if (client.number() == 0 && client.read_request())
      client.send(ok_reply("x"));
    client.read_request();
  }};
  engine_room room;
  CHECK(room.fetch(post(server.url(), "x")).response().status == 200);
  CHECK(room.fetch(post(server.url(), "x"), due_in(5s)).code() == errc::connection_failed);
  CHECK(server.request_count() <= 7);
}

} // namespace hostile_test

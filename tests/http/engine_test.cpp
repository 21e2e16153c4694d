// Exchanges with servers that behave: what goes out, what comes back, and over which connections.
#include <chainmail/caf/compat.hpp>

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/byte_buffer.hpp>
#include <caf/deep_to_string.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <ctime>
#include <support/http_calls.hpp>
#include <support/raw_server.hpp>

namespace engine_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

/// Answers each request with its own body.
void echo(raw_connection& client) {
  while (auto request = client.read_request())
    client.send(ok_reply(request->body));
}

http_request with_secrets(http_request request, std::vector<std::string> lines) {
  request.secrets = secret_headers{std::move(lines)};
  return request;
}

caf::byte_buffer bytes_of(const http_request& request) {
  caf::byte_buffer bytes;
  auto out = compat::writer_to(bytes);
  REQUIRE(out.apply(request));
  return bytes;
}

/// What arrives on another node.
http_request over_the_wire(const http_request& request) {
  auto bytes = bytes_of(request);
  http_request result;
  auto in = compat::reader_of(bytes);
  REQUIRE(in.apply(result));
  return result;
}

/// Every byte value, zero among them, at places that no period of two explains.
std::string binary(size_t size) {
  std::string result(size, '\0');
  for (size_t i = 0; i < size; ++i)
    result[i] = static_cast<char>((i * 7 + i / 251) % 256);
  return result;
}

} // namespace

// -- what goes out, what comes back ---------------------------------------------------

TEST_CASE("a POST arrives as it was sent") {
  raw_server server{echo};
  engine_room room;
  auto call = room.fetch(
      post(server.url("/a/b?c=d"), "the body", {{"X-One", "1"}, {"Content-Type", "text/plain"}}));
  CHECK(call.response().body == "the body");
  auto request = server.requests().at(0);
  CHECK(request.first_line() == "POST /a/b?c=d HTTP/1.1");
  CHECK(request.header("host") == "127.0.0.1:" + std::to_string(server.port()));
  CHECK(request.header("x-one") == "1");
  CHECK(request.header("content-type") == "text/plain");
  CHECK(request.header("content-length") == "8");
  CHECK(request.header("user-agent").starts_with("chainmail/"));
  CHECK(request.header("accept-encoding").find("gzip") != std::string::npos);
  CHECK(request.header("expect").empty());
  CHECK(request.body == "the body");
}

TEST_CASE("a large POST does not wait for 100 Continue") {
  raw_server server{echo};
  engine_room room;
  auto call = room.fetch(post(server.url(), std::string(2 << 20U, 'x')));
  CHECK(call.response().status == 200);
  CHECK(server.requests().at(0).header("expect").empty());
  CHECK(call.took() < 900ms * slowness);
}

TEST_CASE("a response keeps its header fields in order, with names in lower case") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send("HTTP/1.1 200 Fine\r\nX-MIXED-Case: Value  \r\nset-cookie: a\r\nSet-Cookie: b\r\n"
                "Empty:\r\nContent-Length: 2\r\n\r\nok");
  }};
  engine_room room;
  auto call = room.fetch(get(server.url()));
  const auto& response = call.response();
  CHECK(response.status == 200);
  CHECK(response.body == "ok");
  std::vector<std::string> fields;
  for (const auto& [name, content] : response.headers)
    fields.push_back(name + "=" + content);
  CHECK(fields == std::vector<std::string>{"x-mixed-case=Value", "set-cookie=a", "set-cookie=b",
                      "empty=", "content-length=2"});
}

TEST_CASE("a response of any status is a result") {
  auto status = GENERATE(201, 204, 304, 400, 401, 404, 429, 500, 503, 599);
  auto bodyless = status == 204 || status == 304;
  raw_server server{[&](raw_connection& client) {
    client.read_request();
    client.send("HTTP/1.1 " + std::to_string(status) + " Whatever\r\n" +
                (bodyless ? "\r\n" : "Content-Length: 4\r\n\r\nbody"));
  }};
  engine_room room;
  auto call = room.fetch(post(server.url(), "x"));
  CHECK(call.response().status == status);
  CHECK(call.response().body == (bodyless ? "" : "body"));
}

TEST_CASE("GET and POST take turns on one connection") {
  raw_server server{echo};
  engine_room room;
  for (auto i = 0; i < 3; ++i) {
    room.fetch(get(server.url("/get"))).response();
    room.fetch(post(server.url("/post"), "body " + std::to_string(i))).response();
    room.fetch(post(server.url("/empty"), "")).response();
  }
  auto requests = server.requests();
  REQUIRE(requests.size() == 9);
  for (size_t i = 0; i < 9; i += 3) {
    CHECK(requests[i].first_line() == "GET /get HTTP/1.1");
    CHECK(requests[i].header("content-length").empty());
    CHECK(requests[i + 1].first_line() == "POST /post HTTP/1.1");
    CHECK(requests[i + 1].body == "body " + std::to_string(i / 3));
    CHECK(requests[i + 2].first_line() == "POST /empty HTTP/1.1");
    CHECK(requests[i + 2].header("content-length") == "0");
  }
  CHECK(server.connections() == 1);
}

TEST_CASE("header fields of one call are not sent with the next") {
  raw_server server{echo};
  engine_room room;
  room.fetch(with_secrets(get(server.url(), {{"X-Once", "1"}}), {"X-Secret: 1"})).response();
  room.fetch(get(server.url())).response();
  CHECK(server.requests().at(0).header("x-once") == "1");
  CHECK(server.requests().at(0).header("x-secret") == "1");
  CHECK(server.requests().at(1).header("x-once").empty());
  CHECK(server.requests().at(1).header("x-secret").empty());
}

TEST_CASE("a header field with an empty value is sent") {
  raw_server server{echo};
  engine_room room;
  room.fetch(get(server.url(), {{"X-Empty", ""}})).response();
  CHECK(server.requests().at(0).head.find("\r\nX-Empty:") != std::string::npos);
}

TEST_CASE("8 MiB of every byte value pass both ways") {
  raw_server server{echo};
  engine_room room;
  auto body = binary(8 << 20U);
  auto call = room.fetch(post(server.url(), body));
  CHECK((call.response().body == body));
  CHECK((server.requests().at(0).body == body));
}

TEST_CASE("a chunked body without a length arrives whole") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const auto* chunk :
        {"3\r\nabc\r\n", "4;extension=1\r\nde\0f\r\n", "0\r\nTrailer: x\r\n\r\n"})
      client.send(chunk[0] == '4' ? std::string_view{"4;extension=1\r\nde\0f\r\n", 21} : chunk);
  }};
  engine_room room;
  using namespace std::string_literals;
  CHECK(room.fetch(get(server.url())).response().body == "abcde\0f"s);
}

TEST_CASE("an early refusal of a large POST is a result") {
  raw_server server{[](raw_connection& client) {
    client.read_some();
    client.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!");
    client.wait_for_close();
  }};
  engine_room room;
  auto call = room.fetch(post(server.url(), std::string(8 << 20U, 'x')), due_in(5s * slowness));
  CHECK(call.response().status == 413);
  CHECK(call.response().body == "no!");
}

// -- secrets --------------------------------------------------------------------------

TEST_CASE("secret header lines are sent") {
  raw_server server{echo};
  engine_room room;
  room.fetch(with_secrets(post(server.url(), "x", {{"X-Open", "1"}}),
                 {"Authorization: Bearer sesame", "X-Key: two"}))
      .response();
  auto request = server.requests().at(0);
  CHECK(request.header("authorization") == "Bearer sesame");
  CHECK(request.header("x-key") == "two");
  CHECK(request.header("x-open") == "1");
}

TEST_CASE("a request shows its secrets neither in text nor on the wire") {
  auto request = with_secrets(post("http://a.test/", "body"), {"Authorization: Bearer sesame"});
  CHECK(caf::deep_to_string(request).find("sesame") == std::string::npos);
  auto message = caf::make_message(fetch_atom_v, request, call_context{});
  CHECK(caf::to_string(message).find("sesame") == std::string::npos);
  CHECK(caf::to_string(message).find("body") != std::string::npos);
  auto bytes = bytes_of(request);
  std::string text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  CHECK(text.find("sesame") == std::string::npos);
  CHECK(text.find("body") != std::string::npos);
}

TEST_CASE("a request whose secrets stayed on another node is refused") {
  raw_server server{echo};
  engine_room room;
  auto request = over_the_wire(with_secrets(post(server.url(), "x"), {"Authorization: Bearer k"}));
  auto call = room.fetch(request);
  CHECK(call.code() == errc::authentication);
  CHECK(call.sentence().find("another node") != std::string::npos);
  // And it stays so on the node after the next.
  CHECK(room.fetch(over_the_wire(request)).code() == errc::authentication);
  CHECK(server.connections() == 0);
}

TEST_CASE("a request without secrets may come from another node") {
  raw_server server{echo};
  engine_room room;
  auto request = over_the_wire(post(server.url("/p"), "from afar", {{"X-One", "1"}}));
  CHECK(room.fetch(request).response().body == "from afar");
  CHECK(server.requests().at(0).header("x-one") == "1");
}

// -- what is refused ------------------------------------------------------------------

TEST_CASE("only http and https URLs are fetched") {
  auto url = GENERATE("ftp://127.0.0.1/x", "file:///etc/hostname", "gopher://127.0.0.1/", "", "x",
      "127.0.0.1", "//127.0.0.1/", "javascript:http://127.0.0.1/");
  engine_room room;
  auto call = room.fetch(get(url));
  INFO(url);
  CHECK(call.code() == errc::invalid_input);
  CHECK(call.sentence().find("http") != std::string::npos);
}

TEST_CASE("a URL that is none is refused") {
  auto url = GENERATE("http://", "http://127.0.0.1:99999/", "http://127.0.0.1:http/", "http://a b/",
      "http://127.0.0.1/\r\nX: y");
  engine_room room;
  auto call = room.fetch(get(url));
  INFO(url << ": " << call.sentence());
  CHECK(call.code() == errc::invalid_input);
}

TEST_CASE("each request goes where it says, whatever the one before it said") {
  auto answer_with_target = [](raw_connection& client) {
    while (auto request = client.read_request())
      client.send(ok_reply(request->target()));
  };
  raw_server one{answer_with_target};
  raw_server two{answer_with_target};
  engine_room room;
  for (auto i = 0; i < 2; ++i) {
    CHECK(room.fetch(get(one.url("/a?b=c%20d"))).response().body == "/a?b=c%20d");
    CHECK(room.fetch(get(one.url("/a?b=c%20d"))).response().body == "/a?b=c%20d");
    CHECK(room.fetch(get("http://a b/")).code() == errc::invalid_input);
    CHECK(room.fetch(get(two.url("/../x"))).response().body == "/x");
    CHECK(room.fetch(get("http://127.0.0.1:99999/")).code() == errc::invalid_input);
  }
  CHECK(one.connections() == 1);
  CHECK(two.connections() == 1);
}

TEST_CASE("a connection that ends between calls costs nothing while another call waits") {
  raw_server server{[](raw_connection& client) {
    while (auto request = client.read_request()) {
      if (request->target() == "/slow")
        client.pause(500ms);
      client.send(ok_reply("x"));
      if (request->target() == "/ends")
        return;
    }
  }};
  engine_room room;
  auto begin = std::clock();
  auto calls = room.fetch_all({{get(server.url("/slow")), {}}, {get(server.url("/ends")), {}}});
  for (const auto& call : calls)
    CHECK(call.response().body == "x");
  CHECK(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC < 0.25);
}

TEST_CASE("a method other than GET and POST is refused") {
  auto method = GENERATE("", "get", "PUT", "HEAD", "GET /x HTTP/1.1\r\nX: y");
  raw_server server{echo};
  engine_room room;
  auto call = room.fetch({method, server.url(), {}, {}, {}});
  CHECK(call.code() == errc::invalid_input);
  CHECK(server.connections() == 0);
}

TEST_CASE("a header field that breaks out of its line is refused") {
  auto field = GENERATE(http_header{"X-One", "1\r\nX-Two: 2"}, http_header{"X-One", "1\nX-Two: 2"},
      http_header{"X-One", "1\r"}, http_header{"X-One\r\nX-Two", "2"}, http_header{"X-One: 1", "2"},
      http_header{"", "1"});
  raw_server server{echo};
  engine_room room;
  auto call = room.fetch(post(server.url(), "x", {{"X-Fine", "1"}, field}));
  CHECK(call.code() == errc::invalid_input);
  CHECK(call.sentence().find('\n') == std::string::npos);
  CHECK(server.connections() == 0);
}

TEST_CASE("a secret header line that breaks out is refused without being shown") {
  auto line = GENERATE("Authorization: Bearer k3y\r\nX-Two: 2", "Authorization: k3y\n");
  raw_server server{echo};
  engine_room room;
  auto call = room.fetch(with_secrets(post(server.url(), "x"), {"X-Fine: 1", line}));
  CHECK(call.code() == errc::invalid_input);
  CHECK(call.sentence().find("k3y") == std::string::npos);
  CHECK(server.connections() == 0);
}

// -- connections ----------------------------------------------------------------------

TEST_CASE("calls in sequence share one connection") {
  simulator::server server;
  engine_room room;
  for (auto i = 0; i < 20; ++i)
    CHECK(room.fetch(prompt_for(server)).response().status == 200);
  CHECK(server.snapshot().connections_accepted == 1);
  CHECK(server.snapshot().requests == 20);
}

TEST_CASE("a thousand calls, 64 at once, use at most 64 connections") {
  simulator::server server;
  http_options options;
  options.max_in_flight = 64;
  engine_room room{options};
  std::vector<http_job> jobs(1'000, {prompt_for(server), {}});
  for (auto& call : room.fetch_all(jobs))
    CHECK(call.response().status == 200);
  auto stats = server.snapshot();
  CHECK(stats.requests == 1'000);
  CHECK(stats.connections_accepted <= 64);
  CHECK(stats.connections_accepted > 1);
}

TEST_CASE("connections are kept through a quiet time") {
  simulator::options slow;
  slow.latency = 20ms; // so that all are needed
  simulator::server server{slow};
  engine_room room;
  for (auto round = 0; round < 3; ++round) {
    for (auto& call : room.fetch_all(std::vector<http_job>(64, {prompt_for(server), {}})))
      CHECK(call.response().status == 200);
    for (auto i = 0; i < 3; ++i)
      CHECK(room.fetch(prompt_for(server)).response().status == 200);
  }
  CHECK(server.snapshot().connections_accepted == 64);
}

TEST_CASE("idle connections to one host make room for busy ones to another") {
  simulator::server idle;
  simulator::options slow;
  slow.latency = 100ms;
  simulator::server busy{slow};
  http_options options;
  options.max_in_flight = 20;
  engine_room room{options};
  for (auto round = 0; round < 2; ++round) {
    for (auto& call : room.fetch_all(std::vector<http_job>(60, {prompt_for(idle), {}})))
      CHECK(call.response().status == 200);
    auto calls = room.fetch_all(std::vector<http_job>(20, {prompt_for(busy), {}}));
    REQUIRE(eventually([&] { return busy.snapshot().in_flight == 20; }));
    CHECK(eventually([&] { return idle.snapshot().connections_open == 0; }, 50ms * slowness));
    for (auto& call : calls)
      CHECK(call.response().status == 200);
  }
}

TEST_CASE("a slow call holds nobody up") {
  raw_server server{[](raw_connection& client) {
    while (auto request = client.read_request()) {
      if (request->target() == "/slow")
        client.wait_for_close();
      client.send(ok_reply("fast"));
    }
  }};
  engine_room room;
  auto slow = room.fetch(get(server.url("/slow")));
  REQUIRE(eventually([&] { return server.request_count() == 1; }));
  for (auto i = 0; i < 20; ++i)
    CHECK(room.fetch(get(server.url("/fast"))).response().body == "fast");
  CHECK(!slow.is_over());
  CHECK(server.connections() == 2);
}

TEST_CASE("a connection that the server closes after its reply is replaced") {
  raw_server server{[](raw_connection& client) {
    if (client.read_request())
      client.send(ok_reply("x", client.number() % 2 == 0 ? "Connection: close\r\n" : ""));
  }};
  engine_room room;
  for (size_t i = 0; i < 6; ++i) {
    CHECK(room.fetch(post(server.url(), "x")).response().body == "x");
    // It must be gone before the next call, or that one might meet it half closed.
    REQUIRE(eventually([&] { return server.open_connections() == 0; }));
  }
  CHECK(server.connections() == 6);
  CHECK(server.request_count() == 6);
}

// -- timings --------------------------------------------------------------------------

TEST_CASE("timings come in order and hold the server's latency") {
  simulator::options slow;
  slow.latency = 100ms;
  simulator::server server{slow};
  engine_room room;
  auto first = room.fetch(prompt_for(server)).response().timings;
  CHECK(first.queued >= 0s);
  CHECK(first.connected > first.queued);
  CHECK(first.first_byte >= first.connected);
  CHECK(first.first_byte >= 100ms);
  CHECK(first.total >= first.first_byte);
  CHECK(first.total < 100ms + promptly);
  auto second = room.fetch(prompt_for(server)).response().timings;
  REQUIRE(server.snapshot().connections_accepted == 1);
  CHECK(second.connected == second.queued);
  CHECK(second.first_byte >= 100ms);
  CHECK(second.total >= second.first_byte);
}

TEST_CASE("the time in the queue is part of the timings") {
  simulator::options slow;
  slow.latency = 50ms;
  simulator::server server{slow};
  http_options options;
  options.max_in_flight = 1;
  engine_room room{options};
  auto calls = room.fetch_all(std::vector<http_job>(3, {prompt_for(server), {}}));
  for (size_t i = 0; i < calls.size(); ++i) {
    auto timings = calls[i].response().timings;
    CHECK(timings.queued >= 50ms * i);
    CHECK(timings.first_byte >= timings.queued + 50ms);
    CHECK(timings.total >= timings.first_byte);
  }
}

} // namespace engine_test

// Which servers the engine believes.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <filesystem>
#include <fstream>
#include <support/http_calls.hpp>
#include <support/raw_server.hpp>
#include <unistd.h>

namespace tls_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

void echo(raw_connection& client) {
  while (auto request = client.read_request())
    client.send(ok_reply(request->body));
}

http_options trusting(const certificate& authority) {
  http_options result;
  result.ca_file = authority.file();
  return result;
}

void check_distrusted(const http_call& call, const raw_server& server, const std::string& url) {
  INFO(call.sentence());
  CHECK(call.code() == errc::connection_failed);
  CHECK(call.sentence().find("certificate") != std::string::npos);
  CHECK(call.sentence().find(url) != std::string::npos);
  CHECK(call.detail().endpoint == url);
  CHECK(server.request_count() == 0);
}

} // namespace

TEST_CASE("a certificate of nobody known is not believed") {
  certificate identity;
  raw_server server{echo, identity};
  engine_room room;
  auto call = room.fetch(post(server.url("/x"), "x"));
  check_distrusted(call, server, server.url("/x"));
  CHECK(call.sentence().find("ca_file") != std::string::npos);
}

TEST_CASE("a certificate of ca_file is believed, and the connection kept") {
  certificate identity;
  raw_server server{echo, identity};
  engine_room room{trusting(identity)};
  for (const auto* host : {"127.0.0.1", "localhost"}) {
    auto url = std::string{"https://"} + host + ":" + std::to_string(server.port()) + "/";
    for (auto i = 0; i < 3; ++i)
      CHECK(room.fetch(post(url, "hello")).response().body == "hello");
  }
  CHECK(server.connections() == 2);
}

TEST_CASE("ca_file stands instead of the system's authorities, not beside them") {
  certificate identity;
  certificate other;
  raw_server server{echo, identity};
  engine_room room{trusting(other)};
  check_distrusted(room.fetch(post(server.url(), "x")), server, server.url());
}

TEST_CASE("a certificate for another name is not believed") {
  auto names = GENERATE(certificate::names{"DNS:example.org"}, certificate::names{"DNS:127.0.0.1"},
      certificate::names{"IP:127.0.0.2"}, certificate::names{"DNS:*"});
  certificate identity{names};
  raw_server server{echo, identity};
  engine_room room{trusting(identity)};
  check_distrusted(room.fetch(post(server.url("/x"), "x")), server, server.url("/x"));
}

TEST_CASE("a certificate whose time is over is not believed") {
  certificate identity{{"IP:127.0.0.1"}, -24h};
  raw_server server{echo, identity};
  engine_room room{trusting(identity)};
  check_distrusted(room.fetch(post(server.url("/x"), "x")), server, server.url("/x"));
}

TEST_CASE("a certificate whose time has not come is not believed") {
  certificate identity{{"IP:127.0.0.1"}, 24h * 4};
  raw_server server{echo, identity};
  engine_room room{trusting(identity)};
  check_distrusted(room.fetch(post(server.url("/x"), "x")), server, server.url("/x"));
}

TEST_CASE("a distrusted server is distrusted the second time, too") {
  certificate identity{{"DNS:example.org"}};
  raw_server server{echo, identity};
  engine_room room{trusting(identity)};
  for (auto i = 0; i < 3; ++i)
    check_distrusted(room.fetch(post(server.url(), "x")), server, server.url());
}

TEST_CASE("a file of authorities that holds none is named") {
  auto path = std::string{"/tmp/chainmail-test-"} + std::to_string(getpid()) + "-no.pem";
  { std::ofstream{path} << "this is no certificate\n"; }
  http_options options;
  options.ca_file = path;
  engine_room room{options};
  auto call = room.fetch(get("https://127.0.0.1:1/"));
  certificate identity;
  raw_server server{echo, identity};
  call = room.fetch(get(server.url()));
  INFO(call.sentence());
  CHECK(call.code() == errc::connection_failed);
  CHECK(call.sentence().find("ca_file") != std::string::npos);
  std::filesystem::remove(path);
}

TEST_CASE("a server that answers TLS in plain text has no TLS connection") {
  raw_server server{[](raw_connection& client) {
    client.read_some();
    client.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    client.wait_for_close();
  }};
  engine_room room;
  auto url = "https://127.0.0.1:" + std::to_string(server.port()) + "/";
  auto call = room.fetch(post(url, "x"), due_in(5s));
  INFO(call.sentence());
  CHECK(call.code() == errc::connection_failed);
  CHECK(call.sentence().find("TLS") != std::string::npos);
}

TEST_CASE("a server that says nothing to a TLS client is given up after the connect time-out") {
  raw_server server{[](raw_connection& client) { client.wait_for_close(); }};
  http_options options;
  options.connect_timeout = 200ms;
  engine_room room{options};
  auto call = room.fetch(post("https://127.0.0.1:" + std::to_string(server.port()) + "/", "x"));
  CHECK(call.code() == errc::connection_failed);
  CHECK(call.sentence().find("connect time-out") != std::string::npos);
  CHECK(call.took() < 200ms + promptly);
}

TEST_CASE("a TLS connection that is reset or cut short has no response") {
  auto hard = GENERATE(false, true);
  auto start = GENERATE(as<std::string>{}, "", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
  certificate identity;
  raw_server server{[&](raw_connection& client) {
                      client.read_request();
                      client.send(start);
                      client.pause(20ms);
                      hard ? client.reset() : client.close();
                    },
      identity};
  engine_room room{trusting(identity)};
  auto call = room.fetch(post(server.url(), "x"), due_in(5s * slowness));
  INFO(start << ": " << call.sentence());
  CHECK(call.code() == (start.empty() ? errc::connection_failed : errc::malformed_response));
}

TEST_CASE("a large upload to a TLS server that leaves raises no signal") {
  certificate identity;
  raw_server server{[](raw_connection& client) {
                      client.read_some();
                      client.reset();
                    },
      identity};
  engine_room room{trusting(identity)};
  auto call = room.fetch(post(server.url(), std::string(8 << 20U, 'x')), due_in(5s * slowness));
  CHECK(call.code() == errc::connection_failed);
}

TEST_CASE("a megabyte passes through TLS both ways") {
  certificate identity;
  raw_server server{echo, identity};
  engine_room room{trusting(identity)};
  std::string body(1 << 20U, 'x');
  CHECK((room.fetch(post(server.url(), body)).response().body == body));
}

TEST_CASE("the time of a TLS handshake is part of the time to connect") {
  certificate identity;
  raw_server server{[](raw_connection& client) {
                      client.pause(100ms); // before the handshake, which the first read begins
                      echo(client);
                    },
      identity};
  engine_room room{trusting(identity)};
  auto timings = room.fetch(post(server.url(), "x")).response().timings;
  CHECK(timings.connected >= timings.queued + 100ms);
  CHECK(timings.first_byte >= timings.connected);
}

} // namespace tls_test

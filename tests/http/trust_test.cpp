// Whom the engine lets in between: redirects, proxies, and the environment.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <filesystem>
#include <fstream>
#include <support/http_calls.hpp>
#include <support/process.hpp>
#include <support/raw_server.hpp>

namespace trust_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

void answer(raw_connection& client, const std::string& body) {
  while (client.read_request())
    client.send(ok_reply(body));
}

} // namespace

TEST_CASE("a redirect is a result: nobody else is told the key") {
  auto status = GENERATE(301, 302, 303, 307, 308);
  raw_server other{[](raw_connection& client) { answer(client, "other"); }};
  raw_server server{[&](raw_connection& client) {
    client.read_request();
    client.send("HTTP/1.1 " + std::to_string(status) + " Go\r\nLocation: " + other.url("/there") +
                "\r\nContent-Length: 0\r\n\r\n");
  }};
  engine_room room;
  auto request = post(server.url(), "x");
  request.secrets = secret_headers{{"Authorization: Bearer k3y", "api-key: k3y"}};
  auto call = room.fetch(request);
  CHECK(call.response().status == status);
  CHECK(call.response().header("location") == other.url("/there"));
  CHECK(other.connections() == 0);
}

TEST_CASE("a proxy of the environment is not used") {
  raw_server proxy{[](raw_connection& client) { answer(client, "proxy"); }};
  raw_server server{[](raw_connection& client) { answer(client, "server"); }};
  environment_variable a{"http_proxy", proxy.url()};
  environment_variable b{"all_proxy", proxy.url()};
  environment_variable c{"ALL_PROXY", proxy.url()};
  environment_variable d{"no_proxy", ""};
  environment_variable e{"NO_PROXY", ""};
  engine_room room;
  CHECK(room.fetch(get(server.url())).response().body == "server");
  CHECK(proxy.connections() == 0);
}

TEST_CASE("a proxy of the options is used, whatever the environment excepts") {
  raw_server proxy{[](raw_connection& client) { answer(client, "proxy"); }};
  environment_variable a{"no_proxy", "*"};
  environment_variable b{"NO_PROXY", "*"};
  http_options options;
  options.proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
  engine_room room{options};
  // The proxy resolves the name, nobody here does.
  auto call = room.fetch(post("http://elsewhere.invalid/v1?a=b", "x"));
  CHECK(call.response().body == "proxy");
  CHECK(proxy.requests().at(0).first_line() == "POST http://elsewhere.invalid/v1?a=b HTTP/1.1");
  CHECK(room.fetch(get("http://127.0.0.1:9/")).response().body == "proxy");
}

TEST_CASE("a proxy that is not there is a failed connection") {
  http_options options;
  options.proxy = "http://no-such-proxy.invalid:3128";
  engine_room room{options};
  auto call = room.fetch(get("http://127.0.0.1/"));
  CHECK(call.code() == errc::connection_failed);
  CHECK(call.detail().endpoint == "http://127.0.0.1/");
}

TEST_CASE("passwords of ~/.netrc are not sent") {
  raw_server server{[](raw_connection& client) { answer(client, "x"); }};
  auto home =
      std::filesystem::temp_directory_path() / ("chainmail-home-" + std::to_string(getpid()));
  std::filesystem::create_directory(home);
  std::ofstream{home / ".netrc"} << "machine 127.0.0.1 login me password k3y\n";
  environment_variable a{"HOME", home};
  engine_room room;
  room.fetch(get(server.url())).response();
  CHECK(server.requests().at(0).header("authorization").empty());
  std::filesystem::remove_all(home);
}

TEST_CASE("cookies of one response are not sent with the next request") {
  raw_server server{[](raw_connection& client) {
    while (client.read_request())
      client.send(ok_reply("x", "Set-Cookie: a=b\r\n"));
  }};
  engine_room room;
  room.fetch(get(server.url())).response();
  room.fetch(get(server.url())).response();
  CHECK(server.requests().at(1).header("cookie").empty());
}

} // namespace trust_test

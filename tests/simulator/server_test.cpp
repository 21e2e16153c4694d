// The simulator over real sockets: libcurl where a client behaves, raw sockets where it does not.

#include "clients.hpp"
#include "simulator/simulator.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <rapidjson/document.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace server_test {

using namespace chainmail::simulator;
using namespace chainmail::simulator::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using steady_clock = std::chrono::steady_clock;

namespace {

const std::string completion = R"({"model":"m","prompt":"What is a good name for a company?"})";

template <class Condition>
bool eventually(Condition holds) {
  auto deadline = steady_clock::now() + 2s;
  while (!holds()) {
    if (steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

options scripted(std::string_view script) {
  options result;
  result.script = parse_script(script);
  return result;
}

bool is_json(const std::string& text) {
  return !rapidjson::Document().Parse(text.c_str()).HasParseError();
}

std::string error_code(const response& what) {
  rapidjson::Document json;
  json.Parse(what.body.c_str());
  REQUIRE(json.IsObject());
  const auto& code = json["error"]["code"];
  return code.IsString() ? code.GetString() : "";
}

} // namespace

// -- answers ------------------------------------------------------------------

TEST_CASE("every answer says that it is simulated, errors too", "[simulator]") {
  server sim(scripted("ok,429,500"));
  client user;
  for (long status : {200, 429, 500, 400}) {
    auto got = user.post(sim.base_url() + "/completions", status == 400 ? "{" : completion);
    CHECK(got.status == status);
    CHECK(got.fields["x-chainmail-simulation"] == "true");
    CHECK(got.fields["server"] == "chainmail-simulator");
    CHECK(got.fields["content-type"] == "application/json");
    CHECK(is_json(got.body));
  }
}

TEST_CASE("a connection serves request after request", "[simulator]") {
  server sim;
  client user;
  CHECK(user.post(sim.base_url() + "/completions", completion).new_connections == 1);
  CHECK(user.post(sim.base_url() + "/completions", completion).new_connections == 0);
  CHECK(user.post(sim.base_url() + "/nowhere", completion).new_connections == 0);
  CHECK(sim.snapshot().connections_accepted == 1);
}

TEST_CASE("a client that asks for it has its connection closed", "[simulator]") {
  server sim;
  raw_client user(sim);
  user.send_post(completion, "Connection: close\r\n");
  CHECK(user.receive_until_closed() == 0);
  CHECK_THAT(user.received, StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(user.received, ContainsSubstring("Connection: close\r\n"));
}

TEST_CASE("requests sent ahead are answered in their order", "[simulator]") {
  options opts;
  opts.latency = 5ms;
  server sim(opts);
  raw_client user(sim);
  user.send_post(R"({"model":"first","prompt":"a"})");
  user.send_post(R"({"model":"second","prompt":"a"})");
  REQUIRE(user.receive_answers(2) == 2);
  CHECK(user.received.find("simulated-first") < user.received.find("simulated-second"));
  CHECK(sim.snapshot().aborted == 0);
}

TEST_CASE("a body may come in chunks, in pieces and late", "[simulator]") {
  server sim;
  raw_client user(sim);
  user.send(
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"mod");
  user.send("\r\n19\r\nel\":\"m\",\"prompt\":\"hello\"}\r\n0\r\n\r\n");
  REQUIRE(user.receive_answers(1) == 1);
  CHECK_THAT(user.received, StartsWith("HTTP/1.1 200"));
}

TEST_CASE("a client that waits for leave to send a long body gets it", "[simulator]") {
  server sim;
  auto body = R"({"model":"m","prompt":")" + std::string(4U << 20U, 'a') + "\"}";
  auto start = steady_clock::now();
  auto got = client().post(sim.base_url() + "/completions", body, {"Expect: 100-continue"});
  CHECK(got.status == 200);
  CHECK(steady_clock::now() - start < 900ms); // without leave, libcurl sends after a second
}

TEST_CASE("a body beyond 64 MiB is refused before it is sent", "[simulator]") {
  server sim;
  raw_client user(sim);
  user.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n");
  CHECK(user.receive_until_closed() == 0);
  CHECK_THAT(user.received, StartsWith("HTTP/1.1 413 "));
  CHECK_THAT(user.received, ContainsSubstring("64 MiB"));
}

TEST_CASE("what is not HTTP gets one error and a closed connection", "[simulator]") {
  server sim;
  raw_client user(sim);
  user.send("\x16\x03\x01 hello\r\n\r\n");
  CHECK(user.receive_until_closed() == 0);
  CHECK_THAT(user.received, StartsWith("HTTP/1.1 400 "));
  CHECK(sim.snapshot().refused == 1);
}

// -- refusals -----------------------------------------------------------------

TEST_CASE("a key, once set, is asked for in either header", "[simulator]") {
  options opts;
  opts.api_key = "sk-right";
  server sim(opts);
  auto url = sim.base_url() + "/completions";
  client user;
  CHECK(user.post(url, completion).status == 401);
  auto refused = user.post(url, completion, {"Authorization: Bearer sk-wrong"});
  CHECK(refused.status == 401);
  CHECK(error_code(refused) == "invalid_api_key");
  CHECK_THAT(refused.body, !ContainsSubstring("sk-"));
  CHECK(user.post(url, completion, {"Authorization: Bearer sk-right"}).status == 200);
  CHECK(user.post(url, completion, {"api-key: sk-right"}).status == 200);
}

TEST_CASE("unknown models, paths and methods are refused in OpenAI's shape", "[simulator]") {
  options opts;
  opts.models = {"gpt-4"};
  server sim(opts);
  client user;
  auto model = user.post(sim.base_url() + "/completions", completion);
  CHECK(model.status == 404);
  CHECK(error_code(model) == "model_not_found");
  auto path = user.post(sim.base_url() + "/images/generations", "{}");
  CHECK(path.status == 404);
  CHECK(error_code(path) == "unknown_url");
  auto method = client().get(sim.base_url() + "/completions");
  CHECK(method.status == 405);
  CHECK(method.fields["allow"] == "POST");
  CHECK(client().get(sim.base_url() + "/models").status == 200);
  CHECK(sim.snapshot().refused == 3);
}

// -- faults -------------------------------------------------------------------

TEST_CASE("a script is followed request by request, then all is well", "[simulator]") {
  auto opts = scripted("429,500,503,ok");
  opts.retry_after = 7s;
  server sim(opts);
  client user;
  auto url = sim.base_url() + "/completions";
  auto limited = user.post(url, completion);
  CHECK(limited.status == 429);
  CHECK(limited.fields["retry-after"] == "7");
  CHECK(error_code(limited) == "rate_limit_exceeded");
  for (long status : {500, 503, 200, 200})
    CHECK(user.post(url, completion).status == status);
  auto counted = sim.snapshot();
  CHECK(counted.answered_with(fault::rate_limited) == 1);
  CHECK(counted.answered_with(fault::ok) == 2);
  CHECK(counted.requests == 5);
}

TEST_CASE("a reset ends the connection without an answer", "[simulator]") {
  server sim(scripted("reset"));
  raw_client user(sim);
  user.send_post(completion);
  CHECK(user.receive_until_closed() == -ECONNRESET);
  CHECK(user.received.empty());
  CHECK(sim.snapshot().answered_with(fault::reset) == 1);
}

TEST_CASE("a truncated answer ends before its announced length", "[simulator]") {
  server sim(scripted("truncated"));
  auto got = client().post(sim.base_url() + "/completions", completion);
  CHECK(got.code == CURLE_PARTIAL_FILE);
  CHECK(got.status == 200);
  CHECK_FALSE(got.body.empty());
}

TEST_CASE("an invalid JSON answer is complete HTTP", "[simulator]") {
  server sim(scripted("invalid_json"));
  auto got = client().post(sim.base_url() + "/completions", completion);
  CHECK(got.code == CURLE_OK);
  CHECK(got.status == 200);
  CHECK_THAT(got.body, StartsWith("{\"id\""));
  CHECK_FALSE(is_json(got.body));
}

TEST_CASE("a dripping answer arrives whole, piece by piece", "[simulator]") {
  server sim(scripted("drip"));
  auto start = steady_clock::now();
  auto got = client().post(sim.base_url() + "/completions", completion);
  CHECK(got.code == CURLE_OK);
  CHECK(is_json(got.body));
  CHECK(got.pieces >= 4);
  CHECK(steady_clock::now() - start >= 50ms * got.pieces);
}

TEST_CASE("a hanging request is aborted when its client leaves", "[simulator]") {
  server sim(scripted("hang"));
  raw_client user(sim);
  user.send_post(completion);
  REQUIRE(eventually([&] { return sim.snapshot().in_flight == 1; }));
  user.leave();
  CHECK(eventually([&] { return sim.snapshot().aborted == 1; }));
  CHECK(sim.snapshot().in_flight == 0);
  CHECK(eventually([&] { return sim.snapshot().connections_open == 0; }));
}

TEST_CASE("a client that leaves is noticed long before its answer is due", "[simulator]") {
  options opts;
  opts.latency = 1h;
  server sim(opts);
  raw_client user(sim);
  user.send_post(completion);
  REQUIRE(eventually([&] { return sim.snapshot().in_flight == 1; }));
  user.leave();
  CHECK(eventually([&] { return sim.snapshot().aborted == 1; }));
}

TEST_CASE("a client that leaves during its second request is noticed too", "[simulator]") {
  auto opts = scripted("ok,hang");
  opts.latency = 1ms;
  server sim(opts);
  raw_client user(sim);
  user.send_post(completion);
  REQUIRE(user.receive_answers(1) == 1);
  user.send_post(completion);
  REQUIRE(eventually([&] { return sim.snapshot().in_flight == 1; }));
  user.leave();
  CHECK(eventually([&] { return sim.snapshot().aborted == 1; }));
}

// -- the server ---------------------------------------------------------------

TEST_CASE("fifty clients at once take the time of one", "[simulator][timing]") {
  options opts;
  opts.latency = 200ms;
  server sim(opts);
  std::vector<std::unique_ptr<raw_client>> users;
  for (int i = 0; i < 50; ++i)
    users.push_back(std::make_unique<raw_client>(sim));
  auto start = steady_clock::now();
  for (auto& user : users)
    user->send_post(completion);
  for (auto& user : users)
    CHECK(user->receive_answers(1) == 1);
  auto passed = steady_clock::now() - start;
  CHECK(passed >= 200ms);
  CHECK(passed < 400ms);
  auto counted = sim.snapshot();
  CHECK(counted.most_in_flight == 50);
  CHECK(counted.most_connections_open == 50);
  CHECK(counted.in_flight == 0);
}

TEST_CASE("the statistics can be read over HTTP and do not count themselves", "[simulator]") {
  server sim(scripted("503"));
  client().post(sim.base_url() + "/completions", completion);
  auto root = sim.base_url().substr(0, sim.base_url().size() - 3);
  auto got = client().get(root + "/stats");
  CHECK_THAT(got.body, ContainsSubstring(R"("requests":1,)"));
  CHECK_THAT(got.body, ContainsSubstring(R"("503":1,)"));
  CHECK(sim.snapshot().requests == 1);
}

TEST_CASE("stopping closes every connection, and the counts stay", "[simulator]") {
  server sim(scripted("ok,hang"));
  raw_client idle(sim);
  idle.send_post(completion);
  REQUIRE(idle.receive_answers(1) == 1);
  raw_client hanging(sim);
  hanging.send_post(completion);
  REQUIRE(eventually([&] { return sim.snapshot().in_flight == 1; }));
  sim.stop();
  sim.stop();
  CHECK(idle.receive_until_closed() == 0);
  CHECK(hanging.receive_until_closed() == 0);
  CHECK(sim.snapshot().requests == 2);
  CHECK(sim.snapshot().connections_open == 0);
}

TEST_CASE("a taken port and an address beyond loopback are refused in plain words", "[simulator]") {
  server sim;
  options taken;
  taken.port = sim.port();
  CHECK_THROWS_MATCHES(
      server(taken), std::runtime_error, MessageMatches(ContainsSubstring("the port is taken")));
  options open;
  open.host = "0.0.0.0";
  CHECK_THROWS_MATCHES(server(open), std::runtime_error,
      MessageMatches(ContainsSubstring("loopback addresses only")));
}

} // namespace server_test

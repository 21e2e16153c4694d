// Streams of the simulator: the events that OpenAI sends, their times, and what goes wrong in the
// middle.

#include "clients.hpp"
#include "simulator/endpoint.hpp"
#include "simulator/replies.hpp"
#include "simulator/simulator.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
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

namespace streams_test {

using namespace chainmail::simulator;
using namespace chainmail::simulator::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using steady_clock = std::chrono::steady_clock;

namespace {

const std::string hello =
    R"({"model":"m","stream":true,"messages":[{"role":"user","content":"Hello, \"you\""}]})";

std::string chat_url(const server& sim) {
  return sim.base_url() + "/chat/completions";
}

std::string chat_request(const std::string& fields) {
  return R"({"model":"m","stream":true,"messages":[{"role":"user","content":"Hello!"}],)" + fields +
         "}";
}

template <class Condition>
bool eventually(Condition holds) {
  auto deadline = steady_clock::now() + 4s;
  while (!holds()) {
    if (steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// The texts after "data: ".
std::vector<std::string> data_of(std::string_view events) {
  std::vector<std::string> result;
  while (!events.empty()) {
    auto end = events.find("\n\n");
    REQUIRE(end != std::string_view::npos);
    REQUIRE(events.starts_with("data: "));
    result.emplace_back(events.substr(6, end - 6));
    events.remove_prefix(end + 2);
  }
  return result;
}

rapidjson::Document parsed(const std::string& text) {
  rapidjson::Document json;
  json.Parse<rapidjson::kParseValidateEncodingFlag>(text.c_str());
  CAPTURE(text);
  REQUIRE_FALSE(json.HasParseError());
  return json;
}

std::string all_events(answer what) {
  REQUIRE(what.status == 200);
  REQUIRE(what.stream != nullptr);
  std::string events;
  while (!what.stream->is_over())
    what.stream->next(events);
  return events;
}

/// What a client makes of a chat's stream: one text a choice, and the reasons.
struct streamed {
  std::vector<std::string> texts = std::vector<std::string>(8);
  std::vector<std::string> reasons = std::vector<std::string>(8);
  int deltas = 0;
};

streamed read_chat_events(std::string_view events) {
  streamed result;
  auto data = data_of(events);
  REQUIRE(data.back() == "[DONE]");
  data.pop_back();
  for (const auto& text : data) {
    auto json = parsed(text);
    CHECK(json["object"] == "chat.completion.chunk");
    CHECK(json["model"] == "simulated-m");
    for (const auto& choice : json["choices"].GetArray()) {
      auto index = choice["index"].GetUint();
      const auto& delta = choice["delta"];
      if (delta.HasMember("content"))
        result.texts.at(index) += delta["content"].GetString();
      result.deltas += delta.HasMember("content") && !delta.HasMember("role") ? 1 : 0;
      if (choice["finish_reason"].IsString())
        result.reasons.at(index) = choice["finish_reason"].GetString();
    }
  }
  return result;
}

std::string text_of_whole(const std::string& request) {
  auto whole = parsed(responder().chat(request).body);
  return whole["choices"][0]["message"]["content"].GetString();
}

options scripted(std::string_view script) {
  options result;
  result.script = parse_script(script);
  return result;
}

} // namespace

// -- tokens -------------------------------------------------------------------

TEST_CASE("the tokens of a text are as many as estimated and make it up", "[simulator]") {
  auto text = GENERATE(as<std::string>{}, "", "a", "abcd", "abcde", "naïve café",
      "\xF0\x9F\xA7\xA6\xF0\x9F\xA7\xA6 socks", "東京と大阪の靴下", "x東y京z");
  std::string joined;
  auto count = static_cast<std::size_t>(estimated_tokens(text));
  for (std::size_t i = 0; i < count; ++i) {
    auto token = token_of(text, i);
    CHECK_FALSE(token.empty());
    CHECK((static_cast<unsigned char>(token.front()) & 0xC0U) != 0x80U);
    joined += token;
  }
  CHECK(joined == text);
  CHECK(token_of(text, count).empty());
}

// -- events -------------------------------------------------------------------

TEST_CASE(
    "a chat's stream opens with the role, ends with the reason, and says the same", "[simulator]") {
  auto events = all_events(responder().chat(hello));
  auto data = data_of(events);
  auto first = parsed(data.front());
  CHECK(first["choices"][0]["delta"]["role"] == "assistant");
  CHECK(first["choices"][0]["delta"]["content"] == "");
  CHECK(first["choices"][0]["finish_reason"].IsNull());
  auto last = parsed(data.at(data.size() - 2));
  CHECK(last["choices"][0]["delta"].ObjectEmpty());
  CHECK(last["choices"][0]["finish_reason"] == "stop");
  auto got = read_chat_events(events);
  auto whole = hello;
  whole.replace(whole.find("true"), 4, "false");
  CHECK(got.texts[0] == text_of_whole(whole));
  CHECK_THAT(got.texts[0], ContainsSubstring(R"("Hello, "you"")"));
  CHECK(got.deltas == static_cast<int>(estimated_tokens(got.texts[0])));
}

TEST_CASE("a completion's stream has texts in place of deltas", "[simulator]") {
  auto data = data_of(all_events(responder().complete(
      R"({"model":"m","stream":true,"max_tokens":3,"prompt":"What is a fjord?"})")));
  REQUIRE(data.size() == 5);
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) {
    auto json = parsed(data[i]);
    CHECK(json["object"] == "text_completion");
    text += json["choices"][0]["text"].GetString();
  }
  CHECK(text == "\n\nThis is a ");
  CHECK(parsed(data[3])["choices"][0]["finish_reason"] == "length");
  CHECK(data[4] == "[DONE]");
}

TEST_CASE("the usage comes last, when it was asked for", "[simulator]") {
  auto data = data_of(
      all_events(responder().chat(chat_request(R"("stream_options":{"include_usage":true})"))));
  auto usage = parsed(data.at(data.size() - 2));
  CHECK(usage["choices"].Empty());
  CHECK(usage["usage"]["prompt_tokens"].GetUint() == 2);
  CHECK(usage["usage"]["total_tokens"].GetUint() ==
        2 + usage["usage"]["completion_tokens"].GetUint());
  CHECK(parsed(data.front())["usage"].IsNull());
  auto without = data_of(all_events(responder().chat(hello)));
  CHECK_FALSE(parsed(without.front()).HasMember("usage"));
}

TEST_CASE("the choices of a stream take turns", "[simulator]") {
  auto request = chat_request(R"("n":3)");
  request.replace(request.find("Hello!"), 6, "What is a good name for a sock company?");
  auto events = all_events(responder().chat(request));
  auto got = read_chat_events(events);
  CHECK_FALSE(got.texts[2].empty());
  CHECK(got.texts[0] != got.texts[1]);
  CHECK(got.reasons[2] == "stop");
  auto second_begins = events.find(R"("index":1,"delta":{"content")");
  CHECK(second_begins < events.find(R"("finish_reason":"stop")"));
}

TEST_CASE("stream options that make no sense are refused", "[simulator]") {
  auto refused = responder().chat(
      R"({"model":"m","stream_options":{"include_usage":true},"messages":[{"role":"user","content":"a"}]})");
  CHECK(refused.status == 400);
  CHECK_THAT(refused.body, ContainsSubstring(R"("param":"stream_options")"));
  CHECK(responder().chat(chat_request(R"("stream_options":{"include_usage":1})")).status == 400);
}

TEST_CASE("a reply is as long as the options say, unless something is known", "[simulator]") {
  auto length = [](const std::string& request) {
    auto json = parsed(responder(0, {}, 200).chat(request).body);
    return json["usage"]["completion_tokens"].GetUint();
  };
  CHECK(length(R"({"model":"m","messages":[{"role":"user","content":"Hello"}]})") == 200);
  CHECK(
      length(R"({"model":"m","messages":[{"role":"user","content":"Name a company of socks"}]})") <
      10);
}

// -- the pace -----------------------------------------------------------------

TEST_CASE("gaps between tokens follow the rate and the jitter", "[simulator]") {
  token_pace steady(50, 0, 1);
  CHECK(steady.next_gap() == 20ms);
  token_pace varied(50, 0.2, 1);
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    auto gap = varied.next_gap();
    CHECK(gap >= 16ms);
    CHECK(gap <= 24ms);
    sum += static_cast<double>(gap.count());
  }
  CHECK(sum / 1000 == Catch::Approx(20e6).epsilon(0.02));
  CHECK(token_pace().next_gap() == 0ns);
  options wrong;
  wrong.token_jitter = 1.1;
  CHECK_THROWS_AS(behaviour(wrong), std::invalid_argument);
}

// -- over sockets -------------------------------------------------------------

TEST_CASE("a stream comes in chunks, token by token, and keeps its connection", "[simulator]") {
  options opts;
  opts.latency = 20ms;
  opts.token_rate = 500;
  opts.token_jitter = 0.5;
  server sim(opts);
  client user;
  auto start = steady_clock::now();
  auto got = user.post(chat_url(sim), hello);
  auto passed = steady_clock::now() - start;
  CHECK(got.code == CURLE_OK);
  CHECK(got.fields["content-type"] == "text/event-stream; charset=utf-8");
  CHECK(got.fields["transfer-encoding"] == "chunked");
  CHECK(got.fields["x-chainmail-simulation"] == "true");
  auto read = read_chat_events(got.body);
  CHECK(read.deltas > 10);
  CHECK(got.pieces > 3); // fewer than tokens when this process gets no time
  CHECK(passed > 20ms + (read.deltas - 1) * 1ms);
  CHECK(user.post(chat_url(sim), hello).new_connections == 0);
  auto counted = sim.snapshot();
  CHECK(counted.streams == 2);
  CHECK(counted.streams_open == 0);
  CHECK(counted.streams_closed_early == 0);
  CHECK(counted.tokens_streamed == 2 * static_cast<std::uint64_t>(read.deltas));
  CHECK(counted.answered_with(fault::ok) == 2);
}

TEST_CASE("a client that leaves a stream is noticed at once", "[simulator]") {
  options opts;
  opts.token_rate = 0.1; // the second token is ten seconds away
  server sim(opts);
  raw_client user(sim);
  user.send_post(hello, {}, "/v1/chat/completions");
  while (user.received.find("\"content\":\"This\"") == std::string::npos)
    REQUIRE(user.receive() > 0);
  CHECK(sim.snapshot().streams_open == 1);
  user.leave();
  auto left = std::chrono::system_clock::now().time_since_epoch();
  CHECK(eventually([&] { return sim.snapshot().streams_closed_early == 1; }));
  auto counted = sim.snapshot();
  CHECK(counted.streams_open == 0);
  CHECK(counted.aborted == 1);
  CHECK(counted.in_flight == 0);
  CHECK(counted.last_closed_early_after == 1);
  auto noticed = std::chrono::milliseconds(counted.last_closed_early_at);
  CHECK(noticed > left - 100ms);
  CHECK(noticed < left + 5s);
}

TEST_CASE("a client that does not read holds up nobody else, nor its own leaving", "[simulator]") {
  options opts;
  opts.reply_tokens = 1'000'000; // some 200 MB of events
  server sim(opts);
  raw_client lazy(sim);
  lazy.send_post(hello, {}, "/v1/chat/completions");
  REQUIRE(eventually([&] { return sim.snapshot().streams_open == 1; }));
  auto stands_still = [&] {
    auto before = sim.snapshot().tokens_streamed;
    std::this_thread::sleep_for(50ms);
    return sim.snapshot().tokens_streamed == before;
  };
  REQUIRE(eventually(stands_still));
  CHECK(client()
            .post(sim.base_url() + "/completions", R"({"model":"m","prompt":"Name a bakery"})")
            .status == 200);
  lazy.leave();
  CHECK(eventually([&] { return sim.snapshot().streams_closed_early == 1; }));
}

TEST_CASE("hundreds of streams flow at the same time", "[simulator]") {
  options opts;
  opts.token_rate = 50;
  opts.reply_tokens = 10;
  server sim(opts);
  std::vector<std::unique_ptr<raw_client>> users;
  auto start = steady_clock::now();
  for (int i = 0; i < 200; ++i) {
    users.push_back(std::make_unique<raw_client>(sim));
    users.back()->send_post(hello, "Connection: close\r\n", "/v1/chat/completions");
  }
  for (auto& user : users) {
    CHECK(user->receive_until_closed() == 0);
    CHECK_THAT(user->received, EndsWith("data: [DONE]\n\n\r\n0\r\n\r\n"));
  }
  CHECK(steady_clock::now() - start < 12s); // one after the other takes 36 s
  CHECK(sim.snapshot().tokens_streamed == 2000);
}

// -- faults -------------------------------------------------------------------

TEST_CASE("a stream breaks after as many tokens as were asked for", "[simulator]") {
  auto opts = scripted("break");
  opts.fault_after = 2;
  server sim(opts);
  raw_client user(sim);
  user.send_post(hello, {}, "/v1/chat/completions");
  CHECK(user.receive_until_closed() == -ECONNRESET);
  CHECK_THAT(user.received, ContainsSubstring(R"("content":"This")"));
  CHECK_THAT(user.received, ContainsSubstring(R"("content":" is ")"));
  CHECK_THAT(user.received, !ContainsSubstring(R"("content":"a si")"));
  CHECK(sim.snapshot().answered_with(fault::stream_break) == 1);
  CHECK(sim.snapshot().streams_closed_early == 0);
}

TEST_CASE("a truncated stream ends without its last chunk", "[simulator]") {
  server sim(scripted("truncated"));
  auto got = client().post(chat_url(sim), hello);
  CHECK(got.code == CURLE_PARTIAL_FILE);
  CHECK_THAT(got.body, ContainsSubstring("This"));
  CHECK_THAT(got.body, !ContainsSubstring("[DONE]"));
}

TEST_CASE("a stalled stream stays open until its client leaves", "[simulator]") {
  server sim(scripted("stall"));
  raw_client user(sim);
  user.send_post(hello, {}, "/v1/chat/completions");
  while (user.received.find("\"content\":\"a si\"") == std::string::npos)
    REQUIRE(user.receive() > 0);
  std::this_thread::sleep_for(20ms);
  CHECK(sim.snapshot().streams_open == 1);
  CHECK(sim.snapshot().tokens_streamed == 3);
  user.leave();
  CHECK(eventually([&] { return sim.snapshot().streams_closed_early == 1; }));
}

TEST_CASE("an error in a stream is an event, and the stream's last", "[simulator]") {
  server sim(scripted("error,ok"));
  client user;
  auto got = user.post(chat_url(sim), hello);
  CHECK(got.code == CURLE_OK);
  auto data = data_of(got.body);
  REQUIRE(data.size() == 5); // the role, three tokens, the error
  CHECK(parsed(data.back())["error"]["type"] == "server_error");
  CHECK(user.post(chat_url(sim), hello).new_connections == 0);
}

TEST_CASE("invalid JSON in a stream is one event cut in half", "[simulator]") {
  server sim(scripted("invalid_json"));
  auto data = data_of(client().post(chat_url(sim), hello).body);
  REQUIRE(data.size() == 5);
  CHECK(rapidjson::Document().Parse(data.back().c_str()).HasParseError());
}

TEST_CASE("a dripping stream arrives whole, cut anywhere", "[simulator]") {
  server sim(scripted("drip"));
  auto request = chat_request(R"("max_tokens":2)");
  auto got = client().post(chat_url(sim), request);
  CHECK(got.code == CURLE_OK);
  CHECK(got.pieces >= 8);
  CHECK(read_chat_events(got.body).texts[0] == "This is ");
}

TEST_CASE("what is no stream has its own kind of break, stall and error", "[simulator]") {
  server sim(scripted("break,error,stall"));
  auto request = R"({"model":"m","messages":[{"role":"user","content":"a"}]})";
  CHECK(client().post(chat_url(sim), request).code == CURLE_RECV_ERROR);
  CHECK(client().post(chat_url(sim), request).status == 500);
  raw_client user(sim);
  user.send_post(request, {}, "/v1/chat/completions");
  REQUIRE(eventually([&] { return sim.snapshot().in_flight == 1; }));
  user.leave();
  CHECK(eventually([&] { return sim.snapshot().aborted == 1; }));
}

TEST_CASE("a fault before the first token is as without a stream", "[simulator]") {
  server sim(scripted("429,500,ok"));
  client user;
  CHECK(user.post(chat_url(sim), hello).status == 429);
  CHECK(user.post(chat_url(sim), hello).status == 500);
  CHECK_THAT(user.post(chat_url(sim), hello).body, EndsWith("data: [DONE]\n\n"));
  CHECK(sim.snapshot().streams == 1);
}

} // namespace streams_test

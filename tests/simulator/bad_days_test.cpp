// What the simulator does on bad days: outages, slow shares, calls made again, and limits over
// sockets.

#include "clients.hpp"
#include "simulator/call_keys.hpp"
#include "simulator/endpoint.hpp"
#include "simulator/simulator.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace bad_days_test {

using namespace chainmail::simulator;
using namespace chainmail::simulator::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

const std::string completion = R"({"model":"m","prompt":"What is a good name for a company?"})";

plan post(endpoint& to, std::chrono::nanoseconds after_start) {
  request_view request{.method = "POST", .target = "/v1/completions"};
  request.body = completion;
  request.received = std::chrono::steady_clock::time_point(1000h) + after_start;
  return to.decide(request, {});
}

bool holds_soon(const server& sim, bool (*holds)(const stats&)) {
  auto deadline = std::chrono::steady_clock::now() + 2s;
  while (!holds(sim.snapshot()))
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    else
      std::this_thread::yield();
  return true;
}

std::uint64_t accounted(const stats& s) {
  return s.all_answered() + s.refused + s.rate_limited + s.outage + s.aborted + s.in_flight;
}

} // namespace

// -- outages ------------------------------------------------------------------

TEST_CASE("an outage lasts from and to its times after the first request", "[simulator]") {
  options opts;
  opts.outage = parse_outage("5s..25s");
  opts.latency = 1s;
  endpoint failing(opts);
  CHECK(post(failing, 100s).becomes == outcome::answered);
  CHECK(post(failing, 105s - 1ns).becomes == outcome::answered);
  auto first = post(failing, 105s);
  CHECK(first.becomes == outcome::outage);
  CHECK(first.kind == fault::unavailable);
  CHECK(first.latency == 0ns);
  CHECK(post(failing, 125s - 1ns).becomes == outcome::outage);
  CHECK(post(failing, 125s).becomes == outcome::answered);
}

TEST_CASE("an outage uses up neither the script nor the limits", "[simulator]") {
  options opts;
  opts.script = parse_script("500");
  opts.requests_per_minute = 1;
  endpoint failing(opts);
  failing.set_outage(true);
  CHECK(post(failing, 0s).becomes == outcome::outage);
  CHECK(post(failing, 1s).becomes == outcome::outage);
  failing.set_outage(false);
  CHECK(post(failing, 2s).kind == fault::server_error);
}

TEST_CASE("an outage of resets resets at once, whatever the latency", "[simulator]") {
  options opts;
  opts.outage = parse_outage("0s..1min");
  opts.outage_resets = true;
  opts.latency = 1h;
  server sim(opts);
  raw_client user(sim);
  user.send_post(completion);
  CHECK(user.receive_until_closed() == -ECONNRESET);
  CHECK(sim.snapshot().outage == 1);
  CHECK(sim.snapshot().all_answered() == 0);
}

TEST_CASE("an outage by hand begins and ends when told", "[simulator]") {
  server sim;
  client user;
  auto url = sim.base_url() + "/completions";
  CHECK(user.post(url, completion).status == 200);
  sim.set_outage(true);
  CHECK(user.post(url, completion).status == 503);
  CHECK(client().get(sim.base_url() + "/models").status == 200);
  sim.set_outage(false);
  CHECK(user.post(url, completion).status == 200);
  auto counted = sim.snapshot();
  CHECK(counted.outage == 1);
  CHECK(counted.answered_with(fault::unavailable) == 0);
  CHECK(counted.requests == 4);
  CHECK(accounted(counted) == 4);
}

TEST_CASE("a wrong outage says what is wrong with it", "[simulator]") {
  for (auto text : {"", "5s", "5s..", "..5s", "5s..5s", "6s..5s", "5..6", "-1s..5s", "1s..2days",
           "1s..nans", "1s..1e300s"})
    CHECK_THROWS_MATCHES(
        parse_outage(text), std::invalid_argument, MessageMatches(ContainsSubstring("FROM..TO")));
  auto read = parse_outage("250ms..1.5min");
  CHECK(read.from == 250ms);
  CHECK(read.until == 90s);
}

// -- the slow share -----------------------------------------------------------

TEST_CASE("the slow share takes its factor of the latency, the others none", "[simulator]") {
  options opts;
  opts.latency = 10ms;
  opts.slow = parse_slow_share("0.05:20");
  behaviour draws(opts);
  behaviour same(opts);
  int slow = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto drawn = draws.next_latency();
    REQUIRE((drawn == 10ms || drawn == 200ms));
    REQUIRE(drawn == same.next_latency());
    slow += drawn == 200ms ? 1 : 0;
  }
  CHECK(slow == Catch::Approx(500).margin(120));
}

TEST_CASE("a slow share that makes no sense is refused", "[simulator]") {
  for (auto text : {"", "0.5", "0.5:", ":2", "1.5:2", "-1:2", "nan:2", "0.5:0.5", "0.5:inf", "x:2"})
    CHECK_THROWS_AS(parse_slow_share(text), std::invalid_argument);
  options without_latency;
  without_latency.slow = {.share = 0.1, .factor = 2};
  CHECK_THROWS_MATCHES(behaviour(without_latency), std::invalid_argument,
      MessageMatches(ContainsSubstring("needs a latency")));
}

// -- calls made again ---------------------------------------------------------

TEST_CASE("calls are told apart by their Idempotency-Key", "[simulator]") {
  options opts;
  opts.script = parse_script("500,ok,ok");
  server sim(opts);
  client user;
  auto url = sim.base_url() + "/completions";
  user.post(url, completion, {"Idempotency-Key: first"});
  user.post(url, completion, {"Idempotency-Key: first"});
  user.post(url, completion, {"idempotency-key: second"});
  user.post(url, completion);
  CHECK(sim.snapshot().distinct_calls == 2);
  CHECK(sim.snapshot().repeated_calls == 1);
}

TEST_CASE("no more than a million calls are remembered", "[simulator]") {
  call_keys keys;
  std::size_t first = 0;
  for (std::size_t i = 0; i < call_keys::most_known; ++i)
    first += keys.see(std::to_string(i)) == call_novelty::first ? 1 : 0;
  CHECK(first == call_keys::most_known);
  CHECK(keys.see("one too many") == call_novelty::unknown);
  CHECK(keys.see("one too many") == call_novelty::unknown);
  CHECK(keys.see("0") == call_novelty::repeated);
}

// -- limits over sockets ------------------------------------------------------

TEST_CASE("requests are accepted when they were told to, however many are refused", "[simulator]") {
  options opts;
  opts.requests_per_minute = 2;
  opts.rate_window = 150ms;
  server sim(opts);
  client user;
  auto url = sim.base_url() + "/completions";
  user.post(url, completion);
  CHECK(user.post(url, completion).fields["x-ratelimit-remaining-requests"] == "0");
  auto start = std::chrono::steady_clock::now();
  auto over = user.post(url, completion);
  CHECK(over.status == 429);
  CHECK(over.fields["retry-after"] == "1");
  auto wait = std::chrono::milliseconds(std::stol(over.fields["retry-after-ms"]));
  CHECK(wait <= 150ms);
  std::uint64_t refused = 1;
  while (user.post(url, completion).status == 429)
    ++refused;
  auto passed = std::chrono::steady_clock::now() - start;
  CHECK(passed >= wait - 1ms); // which was rounded up
  CHECK(passed < 2s);
  auto counted = sim.snapshot();
  CHECK(counted.rate_limited == refused);
  CHECK(counted.answered_with(fault::ok) == 3);
  CHECK(counted.answered_with(fault::rate_limited) == 0);
  CHECK(accounted(counted) == counted.requests);
  auto root = sim.base_url().substr(0, sim.base_url().size() - 3);
  CHECK_THAT(client().get(root + "/stats").body,
      ContainsSubstring("\"rate_limited\":" + std::to_string(refused) + ",\"outage\":0,"));
}

TEST_CASE("a Retry-After may be a date, and then comes without milliseconds", "[simulator]") {
  options opts;
  opts.retry_after = 30s;
  opts.retry_after_as_date = true;
  opts.requests_per_minute = 1;
  opts.script = parse_script("429,ok");
  server sim(opts);
  client user;
  auto url = sim.base_url() + "/completions";
  auto seconds_left = [](response what) {
    CHECK(what.status == 429);
    CHECK(what.fields.count("retry-after-ms") == 0);
    return curl_getdate(what.fields["retry-after"].c_str(), nullptr) - std::time(nullptr);
  };
  auto injected = seconds_left(user.post(url, completion));
  CHECK(injected >= 29);
  CHECK(injected <= 31);
  CHECK(user.post(url, completion).status == 200);
  auto limited = seconds_left(user.post(url, completion));
  CHECK(limited >= 55);
  CHECK(limited <= 61);
}

// -- clients that leave -------------------------------------------------------

TEST_CASE("clients that leave during waits and hangs are counted at once", "[simulator][timing]") {
  options opts;
  opts.latency = 1h;
  opts.script = parse_script("ok,hang,500,ok");
  server sim(opts);
  std::vector<std::unique_ptr<raw_client>> users;
  for (int i = 0; i < 4; ++i) {
    users.push_back(std::make_unique<raw_client>(sim));
    users.back()->send_post(completion);
  }
  REQUIRE(holds_soon(sim, [](const stats& s) { return s.in_flight == 4; }));
  auto start = std::chrono::steady_clock::now();
  users.clear();
  REQUIRE(holds_soon(sim, [](const stats& s) { return s.aborted == 4; }));
  CHECK(std::chrono::steady_clock::now() - start < 250ms);
  CHECK(sim.snapshot().in_flight == 0);
}

} // namespace bad_days_test

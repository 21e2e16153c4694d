// The simulator's rate limits without sockets: windows, what their headers say, and which requests
// count.

#include "simulator/endpoint.hpp"
#include "simulator/limits.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstdint>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace limits_test {

using namespace chainmail::simulator;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

using time_point = sliding_window::time_point;

constexpr time_point start{1000h};

/// 6 of the prompt, 5 of the completion.
const std::string eleven_tokens =
    R"({"model":"m","max_tokens":5,"prompt":"sixteen letters and 4"})";

options limited(std::uint64_t requests, std::uint64_t tokens) {
  options result;
  result.requests_per_minute = requests;
  result.tokens_per_minute = tokens;
  return result;
}

plan post(endpoint& to, time_point when, std::string_view body = eleven_tokens,
    std::string_view path = "/v1/completions") {
  request_view request{.method = "POST", .target = path};
  request.body = body;
  request.received = when;
  return to.decide(request, {});
}

std::string field(const plan& decided, const std::string& name) {
  auto at = decided.text.find("\r\n" + name + ": ");
  if (at == std::string::npos)
    return "none";
  at += name.size() + 4;
  return decided.text.substr(at, decided.text.find("\r\n", at) - at);
}

} // namespace

// -- one window ---------------------------------------------------------------

TEST_CASE("what was added leaves a window exactly its length later", "[simulator]") {
  sliding_window window(10, 60s);
  window.add(6, start);
  window.add(4, start + 10s);
  CHECK(window.used(start + 10s) == 10);
  CHECK(window.time_until_fits(6, start + 20s) == 40s);
  CHECK(window.time_until_fits(7, start + 20s) == 50s);
  CHECK(window.time_until_empty(start + 20s) == 50s);
  CHECK(window.time_until_fits(1, start + 60s - 1ns) == 1ns);
  CHECK(window.time_until_fits(6, start + 60s) == 0ns);
  CHECK(window.used(start + 60s) == 4);
  CHECK(window.used(start + 70s) == 0);
  CHECK(window.time_until_empty(start + 70s) == 0ns);
}

TEST_CASE("more than the limit never fits a window", "[simulator]") {
  sliding_window window(10, 60s);
  CHECK(window.time_until_fits(10, start) == 0ns);
  CHECK_FALSE(window.time_until_fits(11, start));
}

TEST_CASE("no stretch of time holds more than the limit, nor is room refused", "[simulator]") {
  constexpr std::uint64_t limit = 50;
  constexpr auto length = 1000ns;
  std::mt19937 random(7);
  sliding_window window(limit, length);
  std::vector<std::pair<time_point, std::uint64_t>> accepted;
  auto in_window = [&](time_point now) {
    return std::accumulate(
        accepted.begin(), accepted.end(), std::uint64_t{0}, [&](auto sum, const auto& one) {
          return now - one.first < length ? sum + one.second : sum;
        });
  };
  auto now = start;
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    now += std::chrono::nanoseconds(random() % 60);
    auto amount = std::uint64_t{1 + random() % 9};
    auto wait = window.time_until_fits(amount, now);
    REQUIRE(wait);
    REQUIRE((*wait == 0ns) == (in_window(now) + amount <= limit));
    if (*wait == 0ns) {
      window.add(amount, now);
      accepted.emplace_back(now, amount);
    } else {
      ++refused;
      REQUIRE(in_window(now + *wait) + amount <= limit);
      REQUIRE(in_window(now + *wait - 1ns) + amount > limit);
    }
    REQUIRE(window.used(now) == in_window(now));
  }
  CHECK(refused > 100);
  CHECK(accepted.size() > 100);
}

TEST_CASE("the additions in a window have a bound, whatever its limit", "[simulator]") {
  sliding_window window(UINT64_MAX, 60s);
  for (std::size_t i = 0; i + 1 < sliding_window::most_additions; ++i)
    window.add(1, start);
  CHECK(window.time_until_fits(1, start + 1s) == 0ns);
  window.add(1, start + 1s);
  CHECK(window.time_until_fits(1, start + 1s) == 59s);
}

// -- texts --------------------------------------------------------------------

TEST_CASE("durations are written as OpenAI writes them, never too short", "[simulator]") {
  for (const auto& [time, text] : std::vector<std::pair<std::chrono::nanoseconds, const char*>>{
           {0s, "0s"}, {1ns, "1ms"}, {12ms, "12ms"}, {999'000'001ns, "1s"}, {1s, "1s"},
           {1500ms, "1.5s"}, {8640ms, "8.64s"}, {1007ms, "1.007s"}, {20s, "20s"},
           {86'400ms, "1m26.4s"}, {6min, "6m0s"}, {1h, "1h0m0s"}, {25h + 30s, "25h0m30s"}})
    CHECK(duration_text(time) == text);
}

TEST_CASE("HTTP dates are those of the RFC, never too early", "[simulator]") {
  using std::chrono::system_clock;
  auto example = system_clock::from_time_t(784'111'777);
  CHECK(http_date(example) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(http_date(example + 1ms) == "Sun, 06 Nov 1994 08:49:38 GMT");
  CHECK(http_date(system_clock::from_time_t(1'709'251'199)) == "Thu, 29 Feb 2024 23:59:59 GMT");
}

// -- the endpoint -------------------------------------------------------------

TEST_CASE("a request over the limit of requests learns when to come back", "[simulator]") {
  endpoint strict(limited(2, 0));
  CHECK(post(strict, start).becomes == outcome::answered);
  CHECK(post(strict, start + 10s).becomes == outcome::answered);
  auto over = post(strict, start + 20'500ms);
  CHECK(over.becomes == outcome::rate_limited);
  CHECK(over.latency == 0ns);
  CHECK_THAT(over.text, StartsWith("HTTP/1.1 429 "));
  CHECK_THAT(over.text, ContainsSubstring(R"("type":"requests","param":null,)"
                                          R"("code":"rate_limit_exceeded")"));
  CHECK(field(over, "Retry-After") == "40");
  CHECK(field(over, "retry-after-ms") == "39500");
  CHECK(post(strict, start + 60s - 1ns).becomes == outcome::rate_limited);
  CHECK(post(strict, start + 60s).becomes == outcome::answered);
  CHECK(post(strict, start + 60s).becomes == outcome::rate_limited);
}

TEST_CASE("a wait of milliseconds is a Retry-After of a second", "[simulator]") {
  auto opts = limited(1, 0);
  opts.rate_window = 100ms;
  endpoint strict(opts);
  post(strict, start);
  auto over = post(strict, start + 50ms);
  CHECK(field(over, "Retry-After") == "1");
  CHECK(field(over, "retry-after-ms") == "50");
  CHECK(post(strict, start + 100ms).becomes == outcome::answered);
}

TEST_CASE("tokens count as the usage of the reply reports them", "[simulator]") {
  endpoint strict(limited(0, 25));
  auto first = post(strict, start);
  CHECK_THAT(first.text, ContainsSubstring(R"("total_tokens":11)"));
  CHECK(field(first, "x-ratelimit-remaining-tokens") == "14");
  CHECK(post(strict, start).becomes == outcome::answered);
  auto over = post(strict, start + 1s);
  CHECK(over.becomes == outcome::rate_limited);
  CHECK_THAT(over.text, ContainsSubstring(R"("type":"tokens")"));
  CHECK(field(over, "Retry-After") == "59");
  CHECK(field(over, "x-ratelimit-remaining-tokens") == "3");
  CHECK(field(over, "x-ratelimit-limit-requests") == "none");
}

TEST_CASE("a request that can never fit is told not to come back", "[simulator]") {
  endpoint strict(limited(0, 10));
  auto over = post(strict, start);
  CHECK(over.becomes == outcome::rate_limited);
  CHECK_THAT(over.text, ContainsSubstring("Request too large"));
  CHECK(field(over, "x-should-retry") == "false");
  CHECK(field(over, "Retry-After") == "none");
}

TEST_CASE("a request refused for its tokens counts as no request", "[simulator]") {
  endpoint strict(limited(2, 15));
  post(strict, start);
  for (int i = 0; i < 5; ++i)
    CHECK_THAT(post(strict, start + 1s).text, ContainsSubstring(R"("type":"tokens")"));
  CHECK(field(post(strict, start + 1s), "x-ratelimit-remaining-requests") == "1");
}

TEST_CASE("every answer tells the limits, what remains and when all is back", "[simulator]") {
  endpoint strict(limited(3, 100));
  post(strict, start);
  auto second = post(strict, start + 20s);
  CHECK(field(second, "x-ratelimit-limit-requests") == "3");
  CHECK(field(second, "x-ratelimit-remaining-requests") == "1");
  CHECK(field(second, "x-ratelimit-reset-requests") == "1m0s");
  CHECK(field(second, "x-ratelimit-limit-tokens") == "100");
  CHECK(field(second, "x-ratelimit-remaining-tokens") == "78");
  CHECK(field(second, "x-ratelimit-reset-tokens") == "1m0s");
  auto invalid = post(strict, start + 30s, "{");
  CHECK(invalid.becomes == outcome::refused);
  CHECK(field(invalid, "x-ratelimit-remaining-requests") == "1");
  CHECK(field(invalid, "x-ratelimit-reset-requests") == "50s");
  endpoint unlimited({});
  CHECK_THAT(post(unlimited, start).text, !ContainsSubstring("x-ratelimit"));
}

TEST_CASE("embeddings count against the limits", "[simulator]") {
  endpoint strict(limited(1, 100));
  auto embed = [&] {
    return post(strict, start, R"({"model":"m","input":"words"})", "/embeddings");
  };
  CHECK(field(embed(), "x-ratelimit-remaining-tokens") == "98");
  CHECK(embed().becomes == outcome::rate_limited);
}

TEST_CASE("a fault counts against the limits unless the endpoint is too busy", "[simulator]") {
  auto opts = limited(3, 0);
  opts.script = parse_script("429,503,500,hang,reset,500,ok");
  endpoint strict(opts);
  std::string remaining;
  for (int i = 0; i < 3; ++i)
    remaining += field(post(strict, start), "x-ratelimit-remaining-requests");
  CHECK(remaining == "332");
  CHECK(post(strict, start).kind == fault::hang);
  CHECK(post(strict, start).kind == fault::reset);
  auto over = post(strict, start);
  CHECK(over.kind == fault::ok);
  CHECK(over.becomes == outcome::rate_limited);
}

TEST_CASE("a wrong key and a wrong path use nothing up", "[simulator]") {
  auto opts = limited(1, 0);
  opts.api_key = "sk-right";
  endpoint strict(opts);
  CHECK_THAT(post(strict, start).text, StartsWith("HTTP/1.1 401 "));
  auto lost = post(strict, start, "{}", "/nowhere");
  CHECK_THAT(lost.text, StartsWith("HTTP/1.1 404 "));
  CHECK(field(lost, "x-ratelimit-remaining-requests") == "1");
}

TEST_CASE("a window of no length is refused", "[simulator]") {
  auto opts = limited(1, 0);
  opts.rate_window = 0ms;
  CHECK_THROWS_AS(endpoint(opts), std::invalid_argument);
}

} // namespace limits_test

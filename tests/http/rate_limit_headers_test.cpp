#include <chainmail/http/rate_limit_headers.hpp>

#include <catch2/catch_test_macros.hpp>

namespace rate_limit_headers_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using headers = std::vector<http_header>;

std::optional<provider_limits> limits_in(headers of) {
  http_response response;
  response.headers = std::move(of);
  return rate_limits_in(response);
}

std::optional<caf::timespan> reset(std::string text) {
  auto limits = limits_in({{"x-ratelimit-reset-tokens", std::move(text)}});
  return limits ? limits->tokens_reset : std::nullopt;
}

std::optional<int64_t> left(std::string text) {
  auto limits = limits_in({{"x-ratelimit-remaining-requests", std::move(text)}});
  return limits ? limits->requests_left : std::nullopt;
}

} // namespace

TEST_CASE("all six rate-limit headers are read, wherever they stand") {
  auto limits =
      limits_in({{"content-type", "application/json"}, {"x-ratelimit-limit-requests", "600"},
          {"x-ratelimit-remaining-requests", "599"}, {"x-ratelimit-reset-requests", "120ms"},
          {"date", "now"}, {"x-ratelimit-limit-tokens", "60000"},
          {"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "6m0s"}});
  REQUIRE(limits);
  CHECK(limits->request_limit == 600);
  CHECK(limits->requests_left == 599);
  CHECK(limits->requests_reset == caf::timespan{120ms});
  CHECK(limits->token_limit == 60'000);
  CHECK(limits->tokens_left == 0);
  CHECK(limits->tokens_reset == caf::timespan{6min});
}

TEST_CASE("what the rate-limit headers do not say is not set") {
  auto limits = limits_in({{"x-ratelimit-remaining-tokens", "7"}});
  REQUIRE(limits);
  CHECK(limits->tokens_left == 7);
  CHECK_FALSE(limits->token_limit);
  CHECK_FALSE(limits->tokens_reset);
  CHECK_FALSE(limits->requests_left);
}

TEST_CASE("a response without rate-limit headers has no limits") {
  CHECK_FALSE(limits_in({}));
  CHECK_FALSE(limits_in({{"content-type", "text/plain"}, {"x-ratelimit-policy", "3"},
      {"my-x-ratelimit-limit-requests", "3"}, {"x-ratelimit-", "3"}, {"retry-after", "3"}}));
}

TEST_CASE("resets are durations or seconds") {
  CHECK(reset("12ms") == caf::timespan{12ms});
  CHECK(reset("1s") == caf::timespan{1s});
  CHECK(reset("6m0s") == caf::timespan{6min});
  CHECK(reset("1h2m3.5s") == caf::timespan{1h + 2min + 3500ms});
  CHECK(reset("2m59.56s") == caf::timespan{2min + 59560ms});
  CHECK(reset("890us") == caf::timespan{890us});
  CHECK(reset("890.5\xc2\xb5s") == caf::timespan{890500ns});
  CHECK(reset("5ns") == caf::timespan{5ns});
  CHECK(reset("1d") == caf::timespan{24h});
  CHECK(reset("20") == caf::timespan{20s});
  CHECK(reset("0.25") == caf::timespan{250ms});
  CHECK(reset("0s") == caf::timespan{0s});
}

TEST_CASE("a reset that cannot be read, or is more than a day off, is as if absent") {
  for (auto text : {"", "soon", "s", "-1s", "1s-1s", "+1s", "1x", "1s ", " 1s", "1s2", "1m 2s",
           "nan", "inf", "1e3", "1e3s", "0x10", "24h1ns", "86401", "1700000000",
           "2026-01-01T00:00:00Z", "5M", "1.2.3s"}) {
    CAPTURE(text);
    CHECK_FALSE(reset(text));
  }
  CHECK_FALSE(reset(std::string(100'000, '9')));
  std::string parts;
  for (auto i = 0; i < 100'000; ++i)
    parts += "1h";
  CHECK_FALSE(reset(parts));
}

TEST_CASE("a count that cannot be read, is negative or beyond all reason is as if absent") {
  CHECK(left("0") == 0);
  CHECK(left("1000000000000") == 1'000'000'000'000);
  for (auto text : {"", "-1", "many", "1.5", "12x", "+3", "1000000000001", "9223372036854775807",
           "99999999999999999999", " 3"}) {
    CAPTURE(text);
    CHECK_FALSE(left(text));
  }
}

TEST_CASE("the IETF's draft headers stand for requests where the usual ones say nothing") {
  auto limits = limits_in({{"ratelimit-limit", "100, 100;w=60"}, {"ratelimit-remaining", "50"},
      {"ratelimit-reset", "30"}, {"x-ratelimit-remaining-requests", "49"}});
  REQUIRE(limits);
  CHECK(limits->request_limit == 100);
  CHECK(limits->requests_left == 49);
  CHECK(limits->requests_reset == caf::timespan{30s});
  CHECK_FALSE(limits->token_limit);
}

TEST_CASE("Anthropic's limits are read, with resets counted from the date of the response") {
  auto limits = limits_in(
      {{"date", "Sat, 31 Jan 2026 12:00:00 GMT"}, {"anthropic-ratelimit-requests-limit", "50"},
          {"anthropic-ratelimit-requests-remaining", "49"},
          {"anthropic-ratelimit-requests-reset", "2026-01-31T12:00:30Z"},
          {"anthropic-ratelimit-tokens-limit", "40000"},
          {"anthropic-ratelimit-tokens-remaining", "39000"},
          {"anthropic-ratelimit-tokens-reset", "2026-01-31T11:59:59Z"},
          {"anthropic-ratelimit-input-tokens-limit", "7"},
          {"anthropic-ratelimit-output-tokens-limit", "8"}});
  REQUIRE(limits);
  CHECK(limits->request_limit == 50);
  CHECK(limits->requests_left == 49);
  CHECK(limits->requests_reset == caf::timespan{30s});
  CHECK(limits->token_limit == 40'000);
  CHECK(limits->tokens_left == 39'000);
  CHECK(limits->tokens_reset == caf::timespan{0s});
}

TEST_CASE("Anthropic's input tokens stand in for tokens, and odd times for none") {
  auto limits = limits_in(
      {{"date", "Sat, 31 Jan 2026 12:00:00 GMT"}, {"anthropic-ratelimit-input-tokens-limit", "7"},
          {"anthropic-ratelimit-input-tokens-remaining", "6"},
          {"anthropic-ratelimit-input-tokens-reset", "2026-13-31T12:00:00Z"},
          {"anthropic-ratelimit-requests-reset", "2026-02-28T12:00:00Z"}});
  REQUIRE(limits);
  CHECK(limits->token_limit == 7);
  CHECK(limits->tokens_left == 6);
  CHECK_FALSE(limits->tokens_reset);
  CHECK_FALSE(limits->requests_reset);
  CHECK_FALSE(limits_in({{"anthropic-ratelimit-requests-reset", "2026-01-31T12:00:30Z"}}));
}

} // namespace rate_limit_headers_test

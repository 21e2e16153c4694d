// What users are promised of limits and failures, through the whole stack.
#include "e2e/program.hpp"

#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

namespace bad_days_test {

using namespace chainmail::test;
using namespace std::literals;

namespace {

struct bench_run {
  program_result result;
  rapidjson::Document counts;

  bench_run(const std::string& scenario, std::vector<std::string> arguments = {},
      std::chrono::seconds timeout = 60s) {
    arguments.insert(arguments.begin(), "--scenario=" + scenario);
    result = run_program("chainmail-bench", std::move(arguments), {}, timeout);
    counts.Parse(result.out.c_str());
    INFO(result.said());
    REQUIRE(counts.IsObject());
    CHECK(number("answered_twice") == 0);
    CHECK(number("unanswered") == 0);
    CHECK(number("wrong") == 0);
  }

  [[nodiscard]] double number(const char* name) const {
    INFO(name);
    REQUIRE(counts.HasMember(name));
    REQUIRE(counts[name].IsNumber());
    return counts[name].GetDouble();
  }
};

void check_chaos(const bench_run& run, double calls) {
  INFO(run.result.said());
  CHECK(run.number("right") + run.number("errors") == calls);
  CHECK(run.number("right") >= 0.999 * calls);
  CHECK(run.number("distinct_calls") == calls);
  CHECK(run.number("requests") > calls);
  // So that it was tested at all.
  CHECK(run.number("broken") > 0.2 * run.number("requests"));
  for (const auto& fault : run.counts["faults"].GetObject()) {
    INFO(fault.name.GetString());
    CHECK(fault.value.GetInt() > 0);
  }
  for (auto* left :
      {"permits_left", "waiting_left", "exchanges_left", "server_in_flight_left", "sockets_left"}) {
    INFO(left);
    CHECK(run.number(left) == 0);
  }
  CHECK(run.result.status == 0);
}

void check_limits(const bench_run& run, double calls) {
  INFO(run.result.said());
  CHECK(run.number("right") == calls);
  CHECK(std::max(run.number("requests_held"), run.number("tokens_held")) >= 0.95);
  CHECK(run.number("rate_limited") < 0.01 * run.number("requests"));
  CHECK(run.result.status == 0);
}

void check_outage(const bench_run& run) {
  INFO(run.result.said());
  CHECK(run.number("calls_in_outage") > 490 * run.number("outage_s"));
  CHECK(run.number("requests_in_outage") > 0);
  CHECK(run.number("requests_in_outage") <= 1.2 * run.number("calls_in_outage"));
  CHECK(run.number("recovery_s") >= 0);
  CHECK(run.number("recovery_s") <= 2);
  CHECK(run.number("failed_outside") == 0);
  CHECK(run.result.status == 0);
}

void check_hedging(const bench_run& run, double calls) {
  INFO(run.result.said());
  CHECK(run.number("right") == calls);
  CHECK(run.number("p99_ms_without") >= 5 * run.number("p99_ms"));
  CHECK(run.number("requests") <= 1.1 * calls);
  CHECK(run.number("requests") > calls);
  CHECK(run.result.status == 0);
}

} // namespace

TEST_CASE("with three replies in ten broken, every call is answered, and nothing leaks") {
  temporary_folder folder;
  bench_run run{"chaos", {"--calls=100", "--json=" + folder.path("chaos.json")}};
  check_chaos(run, 100);
  CHECK(read_file(folder.path("chaos.json")) == run.result.out);
}

TEST_CASE("configured limits are used, and not exceeded") {
  // The endpoint would take them all at once: it is the limiter that spreads them over the minute.
  bench_run run{
      "limits", {"--calls=800", "--requests-per-minute=12000", "--tokens-per-minute=2000000"}};
  check_limits(run, 800);
  CHECK(run.number("wall_s") >= (800 - 120) / 200.0); // the burst is a hundredth of the limit
}

TEST_CASE("limits that nobody configured are learned from the first answer") {
  bench_run run{"limits",
      {"--learn", "--calls=800", "--requests-per-minute=12000", "--tokens-per-minute=2000000"}};
  check_limits(run, 800);
  CHECK(run.number("wall_s") >= (800 - 120) / 200.0);
}

TEST_CASE("two 429s with Retry-After 1 are answered within 2.3 s") {
  bench_run run{"two_429s"};
  INFO(run.result.said());
  CHECK(run.number("requests") == 3);
  CHECK(run.number("wall_s") >= 2);
  CHECK(run.number("wall_s") <= 2.3);
  CHECK(run.result.status == 0);
}

TEST_CASE("an endpoint in an outage is left alone, and used again when it is back") {
  check_outage(bench_run{"outage", {"--outage=1s"}});
}

TEST_CASE("hedging shortens the longest waits, for few more requests") {
  check_hedging(bench_run{"hedging"}, 5'000);
}

TEST_CASE("a scenario that simulates its endpoint takes no other") {
  auto result =
      run_program("chainmail-bench", {"--scenario=chaos", "--base-url=http://127.0.0.1:1/v1"});
  CHECK(result.status == 2);
  CHECK(result.err.find("error: ") == 0);
}

TEST_CASE("with three replies in ten broken, five thousand calls are answered", "[long]") {
  check_chaos(bench_run{"chaos", {}, 300s}, 5'000);
}

TEST_CASE("two thousand calls keep to 600 requests and 60,000 tokens a minute", "[long]") {
  check_limits(bench_run{"limits", {}, 400s}, 2'000);
}

TEST_CASE("two thousand calls keep to limits that were learned", "[long]") {
  check_limits(bench_run{"limits", {"--learn"}, 400s}, 2'000);
}

TEST_CASE("an outage of 20 s under 500 calls a second does not spread", "[long]") {
  check_outage(bench_run{"outage", {}, 120s});
}

} // namespace bad_days_test

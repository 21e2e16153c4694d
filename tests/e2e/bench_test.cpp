#include "e2e/program.hpp"

#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

using namespace chainmail::test;
using namespace std::literals;

namespace {

rapidjson::Document parsed(const std::string& text) {
  rapidjson::Document result;
  result.Parse(text.c_str());
  REQUIRE(result.IsObject());
  return result;
}

} // namespace

TEST_CASE("fanout prints and writes its figures, and they add up") {
  temporary_folder folder;
  simulator_process simulator{{"--latency=50ms"}};
  auto result = run_program(
      "chainmail-bench", {"--scenario=fanout", "--base-url=" + simulator.base_url(), "--calls=400",
                             "--in-flight=200", "--warm-up=10", "--json=" + folder.path("f.json")});
  INFO(result.said());
  REQUIRE(result.status == 0);
  CHECK(result.out == read_file(folder.path("f.json")));
  auto figures = parsed(result.out);
  CHECK(figures["calls"].GetInt() == 400);
  CHECK(figures["errors"].GetInt() == 0);
  auto wall = figures["wall_s"].GetDouble();
  CHECK(wall >= 0.1); // two rounds of 200
  CHECK(wall < 5);
  CHECK(std::abs(figures["rps"].GetDouble() * wall - 400) < 4);
  auto cpu = figures["cpu_s"].GetDouble();
  CHECK(cpu > 0);
  CHECK(std::abs(figures["cpu_us_per_call"].GetDouble() - cpu / 400 * 1e6) < 1);
  CHECK(figures["p50_ms"].GetDouble() >= 50);
  CHECK(figures["p99_ms"].GetDouble() >= figures["p50_ms"].GetDouble());
  CHECK(figures["peak_rss_kib"].GetInt() > 1'000);
}

TEST_CASE("the bench counts failed calls, names the first reason and fails itself") {
  simulator_process simulator{{"--script=ok,503,503"}};
  auto result = run_program("chainmail-bench",
      {"--base-url=" + simulator.base_url(), "--calls=5", "--in-flight=1", "--llm.attempts=1"});
  INFO(result.said());
  CHECK(result.status == 1);
  CHECK(parsed(result.out)["errors"].GetInt() == 2);
  CHECK(result.err.find("server_error") != std::string::npos);
}

TEST_CASE("the bench refuses what it cannot run") {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"--scenario=nonsense"},
           {"--calls=0", "--base-url=http://127.0.0.1:1/v1"}, {}, {"--base-url=127.0.0.1"}}) {
    auto result = run_program("chainmail-bench", arguments);
    INFO(result.said());
    CHECK(result.status == 2);
    CHECK(result.err.find("error: ") == 0);
  }
}

TEST_CASE("the simulator says what it is, and leaves in order when it is told to") {
  simulator_process simulator{{"--port=0"}};
  CHECK(simulator.program().first_line().find("simulated") != std::string::npos);
  auto result = simulator.program().terminate();
  CHECK(result.status == 0);
  CHECK(result.out.find("stopped after 0 requests") != std::string::npos);
}

TEST_CASE("ten thousand calls in flight at one second are all answered", "[long]") {
  simulator_process simulator{{"--latency=1s"}};
  auto result = run_program(
      "chainmail-bench", {"--base-url=" + simulator.base_url(), "--calls=10000"}, {}, 60s);
  INFO(result.said());
  CHECK(result.status == 0);
  auto figures = parsed(result.out);
  CHECK(figures["errors"].GetInt() == 0);
  CHECK(figures["peak_rss_kib"].GetInt() <= 260 * 1024);
}

TEST_CASE("remote measures another process, and every answer is right") {
  auto result = run_program("chainmail-bench", {"--scenario=remote", "--calls=4000"});
  INFO(result.said());
  auto figures = parsed(result.out);
  CHECK(figures["calls"].GetInt() == 20'000);
  CHECK(figures["in_flight"].GetInt() == 256);
  CHECK(figures["wrong"].GetInt() == 0);
  CHECK(figures["calls_per_s"].GetDouble() > 1'000);
  auto added = figures["remote_p50_ms"].GetDouble() - figures["local_p50_ms"].GetDouble();
  CHECK(std::abs(figures["added_p50_ms"].GetDouble() - added) < 0.001);
  CHECK(added > 0);
}

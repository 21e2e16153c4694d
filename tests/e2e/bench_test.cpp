#include "e2e/program.hpp"

#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

namespace bench_test {

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

TEST_CASE("chain_only needs no endpoint, and counts its calls") {
  auto result = run_program("chainmail-bench",
      {"--scenario=chain_only", "--calls=5000", "--in-flight=100", "--warm-up=100"});
  INFO(result.said());
  REQUIRE(result.status == 0);
  auto figures = parsed(result.out);
  CHECK(figures["calls"].GetInt() == 5'000);
  CHECK(figures["errors"].GetInt() == 0);
  CHECK(figures["rps"].GetDouble() > 1'000);
  CHECK(figures["cpu_us_per_call"].GetDouble() > 0.1);
}

TEST_CASE("the engine alone makes the same exchanges") {
  simulator_process simulator{{"--latency=20ms"}};
  auto result =
      run_program("chainmail-bench", {"--scenario=engine", "--base-url=" + simulator.base_url(),
                                         "--calls=200", "--in-flight=50", "--warm-up=50"});
  INFO(result.said());
  REQUIRE(result.status == 0);
  auto figures = parsed(result.out);
  CHECK(figures["calls"].GetInt() == 200);
  CHECK(figures["errors"].GetInt() == 0);
  CHECK(figures["wall_s"].GetDouble() >= 0.08); // four rounds of 50
  CHECK(figures["p50_ms"].GetDouble() >= 20);
}

TEST_CASE("the engine alone counts the exchanges that failed") {
  simulator_process simulator{{"--script=ok,503,ok"}};
  auto result = run_program("chainmail-bench",
      {"--scenario=engine", "--base-url=" + simulator.base_url(), "--calls=3", "--in-flight=1"});
  INFO(result.said());
  CHECK(result.status == 1);
  CHECK(parsed(result.out)["errors"].GetInt() == 1);
}

TEST_CASE("a constant rate is held, by chainmail and by libcurl alone") {
  simulator_process simulator{{"--latency=20ms"}};
  for (const auto* scenario : {"rate", "plain_curl"}) {
    auto result = run_program(
        "chainmail-bench", {"--scenario="s + scenario, "--base-url=" + simulator.base_url(),
                               "--calls=100", "--warm-up=20", "--rate=100"});
    INFO(result.said());
    REQUIRE(result.status == 0);
    auto figures = parsed(result.out);
    CHECK(figures["scenario"] == scenario);
    CHECK(figures["calls"].GetInt() == 100);
    CHECK(figures["errors"].GetInt() == 0);
    CHECK(figures["wall_s"].GetDouble() >= 0.5); // less than a second when the first call came late
    CHECK(figures["rps"].GetDouble() > 10);
    CHECK(figures["rps"].GetDouble() <= 200);
    CHECK(figures["from_call_p50_ms"].GetDouble() >= 20);
    CHECK(figures["p50_ms"].GetDouble() >= figures["from_call_p50_ms"].GetDouble() * 0.98);
    CHECK(figures["p99_ms"].GetDouble() >= figures["p90_ms"].GetDouble());
    CHECK(figures["max_ms"].GetDouble() >= figures["p99_ms"].GetDouble());
  }
}

TEST_CASE("without a rate, libcurl alone keeps so many calls in flight") {
  simulator_process simulator{{"--latency=50ms"}};
  auto result =
      run_program("chainmail-bench", {"--scenario=plain_curl", "--base-url=" + simulator.base_url(),
                                         "--calls=40", "--rate=0", "--in-flight=20"});
  INFO(result.said());
  REQUIRE(result.status == 0);
  auto figures = parsed(result.out);
  CHECK(figures["errors"].GetInt() == 0);
  CHECK(figures["wall_s"].GetDouble() >= 0.1); // two rounds
  CHECK(figures["p50_ms"].GetDouble() >= 50);
}

TEST_CASE("plain_curl counts failed calls") {
  simulator_process simulator{{"--script=ok,500"}};
  auto result =
      run_program("chainmail-bench", {"--scenario=plain_curl", "--base-url=" + simulator.base_url(),
                                         "--calls=3", "--rate=0", "--in-flight=1"});
  INFO(result.said());
  CHECK(result.status == 1);
  CHECK(parsed(result.out)["errors"].GetInt() == 1);
  CHECK(result.err.find("first error: the status was 500") != std::string::npos);
}

TEST_CASE("every caller of a crowded limiter gets its permit") {
  auto result =
      run_program("chainmail-bench", {"--scenario=limiter", "--calls=3000", "--in-flight=1000"});
  INFO(result.said());
  REQUIRE(result.status == 0);
  auto figures = parsed(result.out);
  CHECK(figures["calls"].GetInt() == 3'000);
  CHECK(figures["errors"].GetInt() == 0);
}

TEST_CASE("waiting compares the same calls alone and beside those that wait") {
  auto result =
      run_program("chainmail-bench", {"--scenario=waiting", "--calls=100", "--in-flight=100"});
  INFO(result.said());
  auto figures = parsed(result.out);
  CHECK(figures["calls"].GetInt() == 500);
  CHECK(figures["errors"].GetInt() == 0);
  CHECK(figures["waiting"].GetInt() == 100);
  CHECK(figures["alone_cpu_us_per_call"].GetDouble() > 0);
  CHECK(figures["ratio"].GetDouble() >= figures["least_ratio"].GetDouble());
  CHECK(figures["ratio"].GetDouble() <= figures["most_ratio"].GetDouble());
  CHECK(figures["held"].GetBool() == (result.status == 0));
}

TEST_CASE("a soak leaves nothing behind, and says how memory went") {
  auto result = run_program(
      "chainmail-bench", {"--scenario=soak", "--duration=2s", "--rate=100", "--latency=1ms"});
  INFO(result.said());
  auto figures = parsed(result.out);
  CHECK(figures["calls"].GetInt() == 200);
  CHECK(figures["errors"].GetInt() == 0);
  CHECK(figures["permits_left"].GetInt() == 0);
  CHECK(figures["sockets_left"].GetInt() == 0);
  CHECK(figures["rss_kib"].GetArray().Size() >= 1);
  CHECK(figures["rss_mean_kib"].GetDouble() >= 0);
}

TEST_CASE("start_up runs programs that make one call") {
  auto result = run_program("chainmail-bench", {"--scenario=start_up", "--calls=2"});
  INFO(result.said());
  auto figures = parsed(result.out);
  CHECK(figures["calls"].GetInt() == 2);
  CHECK(figures["errors"].GetInt() == 0);
  CHECK(figures["min_ms"].GetDouble() > 0.1);
  CHECK(figures["max_ms"].GetDouble() >= figures["p50_ms"].GetDouble());
}

TEST_CASE("a report runs everything and is one page") {
  temporary_folder folder;
  auto result = run_program(
      "chainmail-bench", {"--report=" + folder.path("r.html"), "--pairs=1", "--quick"}, {}, 110s);
  INFO(result.said());
  REQUIRE(result.status == 0);
  CHECK(result.err.find("pair 1, chainmail: fanout 100") != std::string::npos);
  auto page = read_file(folder.path("r.html"));
  for (const auto* part : {"<!doctype html>", "</html>", "A quick run", "CPU time a call", "<svg",
           "Latency frontier", "curl_multi: there is no curl_multi.c", "libcurl/"})
    CHECK(page.find(part) != std::string::npos);
  CHECK(page.find("Runs that failed") == std::string::npos);
}

TEST_CASE("a report that cannot be written or made is refused") {
  auto result = run_program("chainmail-bench", {"--report=/nowhere/r.html", "--quick"});
  CHECK(result.status == 1);
  CHECK(result.err.find("/nowhere/r.html cannot be written") != std::string::npos);
  for (const auto* wrong : {"--pairs=0", "--peers=/nowhere"}) {
    temporary_folder folder;
    result = run_program("chainmail-bench", {"--report=" + folder.path("r.html"), wrong});
    INFO(result.said());
    CHECK(result.status == 2);
    CHECK(result.err.find("error: ") == 0);
  }
}

// Without a network, so that nothing depends on when things happen. Slow machines, other compilers and
// such without valgrind have nothing to compare, and skip it.
TEST_CASE("a call takes no more instructions than it did") {
  auto result = run_program("chainmail-bench",
      {"--check=chain_only", "--counts=" CHAINMAIL_SOURCE_DIR "/apps/bench/instructions.tsv"}, {},
      110s);
  INFO(result.said());
  if (result.status == 77)
    SKIP(result.err);
  CHECK(result.status == 0);
}

TEST_CASE("a check that cannot be made says why") {
  temporary_folder folder;
  auto result = run_program("chainmail-bench", {"--check", "--counts=/nowhere/counts"});
  CHECK(result.status == 2);
  CHECK(result.err.find("--check=update writes it") != std::string::npos);
  write_file(folder.path("other.tsv"), "another compiler\tchain_only\t8000\n");
  result = run_program("chainmail-bench", {"--check", "--counts=" + folder.path("other.tsv")});
  CHECK(result.status == 77);
  CHECK(result.err.find("nothing to compare: ") == 0);
  write_file(folder.path("broken.tsv"), "8000\n");
  result = run_program("chainmail-bench", {"--check", "--counts=" + folder.path("broken.tsv")});
  CHECK(result.status == 2);
  CHECK(result.err.find("line 1 is not a build") != std::string::npos);
  result = run_program("chainmail-bench", {"--check=nonsense"});
  CHECK(result.status == 2);
}

} // namespace bench_test

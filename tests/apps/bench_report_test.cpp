// The report of the bench: what is read, compared, drawn and written.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <bench/instructions.hpp>
#include <bench/peers.hpp>
#include <bench/plots.hpp>
#include <bench/report_page.hpp>
#include <stdexcept>

namespace bench_report_test {

using namespace chainmail::bench;
using Catch::Approx;

namespace {

const row& find_row(
    const std::vector<row>& rows, const std::string& what, const std::string& peer) {
  auto found = std::ranges::find_if(
      rows, [&](const row& each) { return each.what == what && each.peer == peer; });
  if (found == rows.end())
    throw std::runtime_error{"there is no row " + what};
  return *found;
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t result = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++result;
  return result;
}

} // namespace

// -- figures ------------------------------------------------------------------------------

TEST_CASE("the numbers of a line of JSON are read, and nothing else") {
  auto figures = figures_in(R"({"scenario":"rate","calls":5,"p50_ms":0.25,"held":true,"x":[1]})");
  CHECK(figures == run_figures{{"calls", 5}, {"p50_ms", 0.25}});
  CHECK(figures_in("error: no").empty());
  CHECK(figures_in("").empty());
}

TEST_CASE("the median of an even number of values lies between the two in the middle") {
  CHECK_FALSE(spread_of(std::vector<double>{}));
  auto odd = spread_of(std::vector<double>{9, 1, 4});
  CHECK(odd->median == 4);
  CHECK(odd->least == 1);
  CHECK(odd->most == 9);
  CHECK(spread_of(std::vector<double>{4, 1, 9, 5})->median == 4.5);
}

TEST_CASE("runs are compared within their pair, and a pair that misses one is left out") {
  run_log log;
  log.add("a", 0, {{"x", 10}});
  log.add("a", 1, {{"x", 30}});
  log.add("a", 2, {{"y", 1}});
  log.add("b", 1, {{"x", 20}});
  log.add("b", 2, {{"x", 20}});
  auto ratios =
      combine(log.values("a", "x"), log.values("b", "x"), [](double a, double b) { return a / b; });
  CHECK(ratios == std::map<size_t, double>{{1, 1.5}});
  CHECK_FALSE(log.summary("c", "x"));
}

// -- peers --------------------------------------------------------------------------------

TEST_CASE("what peers print is read in our words") {
  auto curl = read_curl_multi(
      R"({"client":"libcurl-multi","n":10,"bad":0,"wall_s":0.5,"cpu_us_per_req":25.5,"peak_rss_kib":9000})"
      "\n");
  CHECK(curl["cpu_us_per_call"] == 25.5);
  CHECK(curl["errors"] == 0);
  CHECK(curl["wall_s"] == 0.5);
  CHECK(read_curl_multi(R"({"client":"x","bad":3})")["errors"] == 3);
  CHECK(read_curl_multi("curl_multi: not found").empty());

  std::string sharded =
      "  wave 1: wall 1.700 s cpu 0.500 s (50.0 us/req: user 20.0 sys 30.0) conns_opened 10 rss 1 "
      "KB\n"
      "  wave 2: wall 1.400 s cpu 0.400 s (40.0 us/req: user 20.0 sys 20.0) conns_opened 10 rss 1 "
      "KB\n"
      "socket h2=no conc=10 | wall 3.1 s  3 req/s | engine cpu 45.00 us/req (user 1 sys 1) util 9% "
      "| conns 10 err 0 | p50 1 p99 2 max 3 ms | rss base 1 inflight 2 peak 200000 KB | ctl/req "
      "1\n";
  auto cold = read_sharded_curl(sharded, true);
  auto warm = read_sharded_curl(sharded, false);
  CHECK(cold["wall_s"] == 1.7);
  CHECK(warm["wall_s"] == 1.4);
  CHECK(warm["cpu_us_per_call"] == 40);
  CHECK(warm["cpu_s"] == Approx(0.4));
  CHECK(warm["peak_rss_kib"] == 200'000);
  CHECK(warm["errors"] == 0);
  CHECK(read_sharded_curl("err rc=7\n", false).empty());

  auto chains = read_langchain_nonet("LLMChain.invoke, no network: 90.0 us wall, 95.0 us cpu\n"
                                     "pipe.invoke, no network: 70.0 us wall, 75.0 us cpu\n"
                                     "LLMChain.invoke, no network: 50.0 us wall, 55.0 us cpu\n");
  CHECK(chains["rps"] == Approx(20'000));
  CHECK(chains["cpu_us_per_call"] == 55);
}

TEST_CASE("peers that are not there are named") {
  peers none{{}, {}};
  CHECK_FALSE(none.has("curl_multi"));
  CHECK(none.absent().size() == 5);
}

// -- verdicts -----------------------------------------------------------------------------

TEST_CASE("a bound holds for the median of the pairs") {
  run_log log;
  for (size_t pair = 0; pair < 3; ++pair) {
    log.add("curl_multi 100", pair, {{"cpu_us_per_call", 20}});
    log.add("LangChain.js gather", pair, {{"cpu_us_per_call", 1'000}});
  }
  log.add("fanout 100", 0, {{"cpu_us_per_call", 20}, {"server_share", 0.9}});
  log.add("fanout 100", 1, {{"cpu_us_per_call", 27}, {"server_share", 0.95}});
  log.add("fanout 100", 2, {{"cpu_us_per_call", 90}, {"server_share", 0.2}});
  auto rows = judge(log);
  const auto& against_curl = find_row(rows, "CPU time a call", "curl_multi");
  CHECK(against_curl.comparison->median == Approx(1.35));
  CHECK(against_curl.comparison->most == Approx(4.5));
  CHECK(against_curl.bound == "at most 1.4");
  CHECK(against_curl.held == verdict::held);
  CHECK(against_curl.server_share == Approx(0.9));
  const auto& against_langchain = find_row(rows, "CPU time a call", "LangChain.js");
  CHECK(against_langchain.comparison->median == Approx(1'000.0 / 27));
  CHECK(against_langchain.held == verdict::missed);
  CHECK(find_row(rows, "CPU time a call", "raw epoll").held == verdict::unmeasured);
  CHECK(find_row(rows, "wall time, cold", "sharded_curl").held == verdict::unmeasured);
}

TEST_CASE("added latency is a difference, and the best number of threads counts") {
  run_log log;
  log.add("rate 1000", 0, {{"p50_ms", 0.2}, {"p99_ms", 3}});
  log.add("plain_curl 1000", 0, {{"p50_ms", 0.15}, {"p99_ms", 1}});
  log.add("chain_only", 0, {{"rps", 400'000}});
  log.add("chain_only 1 thread", 0, {{"rps", 600'000}});
  auto rows = judge(log);
  const auto& median = find_row(rows, "latency, median, from when calls were due", "libcurl alone");
  CHECK(median.comparison->median == Approx(50));
  CHECK(median.held == verdict::held);
  const auto& tail =
      find_row(rows, "latency, 99th percentile, from when calls were due", "libcurl alone");
  CHECK(tail.comparison->median == Approx(2'000));
  CHECK(tail.held == verdict::missed);
  const auto& best = find_row(rows, "chain calls a second, the best number of threads", "");
  CHECK(best.ours->median == 600'000);
  CHECK(best.held == verdict::held);
}

TEST_CASE("every row belongs to a heading") {
  for (const auto& each : judge({}))
    CHECK(each.heading < headings().size());
}

TEST_CASE("the frontier is the highest rate that keeps within a tail") {
  run_log log;
  auto add = [&](int rate, double p99_ms) {
    log.add("f " + std::to_string(rate), 0, {{"p99_ms", p99_ms}});
  };
  add(1'000, 0.5);
  add(2'000, 4);
  add(3'000, 20);
  add(4'000, 120);
  auto found = frontier(log, "f", {1'000, 2'000, 3'000, 4'000, 5'000});
  CHECK(found ==
        std::map<double, double>{{1, 1'000}, {5, 2'000}, {10, 2'000}, {50, 3'000}, {100, 3'000}});
  CHECK(frontier(log, "g", {1'000}).empty());
}

// -- plots --------------------------------------------------------------------------------

TEST_CASE("axes have a handful of round ticks that hold all values") {
  auto decades = scale_for({"", true, false}, {1, 10'000});
  CHECK(decades.ticks == std::vector<double>{1, 10, 100, 1'000, 10'000});
  CHECK(decades.place_of(1) == Approx(0));
  CHECK(decades.place_of(100) == Approx(0.5));
  CHECK(decades.place_of(10'000) == Approx(1));
  auto near = scale_for({"", true, false}, {17, 42});
  CHECK(near.ticks == std::vector<double>{10, 20, 50});
  for (auto most : {0.003, 0.9, 7.0, 23'000.0, 1e6}) {
    auto linear = scale_for({""}, {most, most / 3});
    CHECK(linear.ticks.size() >= 3);
    CHECK(linear.ticks.size() <= 9);
    CHECK(linear.begin == 0);
    CHECK(linear.end >= most);
  }
  CHECK(scale_for({"", false, true}, {900, 1'000}).begin >= 880);
  CHECK(scale_for({"", true, false}, {0, -1}).ticks.size() > 1); // nothing that has a logarithm
  CHECK(scale_for({"", true, false}, {5, 5}).begin < scale_for({"", true, false}, {5, 5}).end);
}

TEST_CASE("numbers on axes are short") {
  CHECK(short_number(0.02) == "0.02");
  CHECK(short_number(999) == "999");
  CHECK(short_number(1'000) == "1k");
  CHECK(short_number(10'000) == "10k");
  CHECK(short_number(250'000) == "250k");
  CHECK(short_number(2'500'000) == "2.5M");
}

TEST_CASE("a plot has a line and a name for each series that has points") {
  auto svg = draw_plot({"x", true, false}, {"y"},
      {{"ours", 0, {{1, 5, 4, 6}, {10, 7, 7, 7}}}, {"<peer>", 1, {{1, 9, 9, 9}}},
          {"absent", 2, {}}});
  CHECK(count_of(svg, "<path") == 2);
  CHECK(count_of(svg, "class=\"range\"") == 1);
  CHECK(svg.find("&lt;peer&gt;") != std::string::npos);
  CHECK(svg.find("absent") == std::string::npos);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(draw_plot({"x"}, {"y"}, {{"absent", 2, {}}}).empty());
}

// -- the page -----------------------------------------------------------------------------

TEST_CASE("the page needs nothing else, and tells what was not there") {
  report_content content;
  content.log.add("fanout 100", 0, {{"cpu_us_per_call", 20}, {"server_share", 0.97}});
  content.log.add("curl_multi 100", 0, {{"cpu_us_per_call", 25}});
  content.log.add("growth 1", 0, {{"cpu_us_per_call", 50}, {"peak_rss_kib", 9'000}});
  content.in_flight = {1};
  content.rows = judge(content.log);
  content.machine = {{"cores", "2 <big> ones"}};
  content.absent = {"LangChain.js: its packages are not installed"};
  content.failed = {"remote, pair 1: no port"};
  content.pairs = 1;
  auto html = to_html(content);
  CHECK(html.find("http://") == std::string::npos);
  CHECK(html.find("https://") == std::string::npos);
  CHECK(html.find("2 &lt;big&gt; ones") != std::string::npos);
  CHECK(html.find("LangChain.js: its packages") != std::string::npos);
  CHECK(html.find("remote, pair 1: no port") != std::string::npos);
  CHECK(html.find("the server was the limit: 97 % of a core") != std::string::npos);
  CHECK(html.find("held") != std::string::npos);
  CHECK(count_of(html, "<svg") == 2);
}

// -- instructions -------------------------------------------------------------------------

TEST_CASE("instructions of chainmail and CAF are counted, those of libraries and callees are not") {
  constexpr auto output = "events: Ir\n"
                          "\n"
                          "ob=(1) /home/me/build/bin/chainmail-bench\n"
                          "fl=(1) a.cpp\n"
                          "fn=(1) a\n"
                          "10 100\n"
                          "+2 20\n"
                          "cob=(2) /usr/lib/libc.so.6\n"
                          "cfn=(2) malloc\n"
                          "calls=3 40\n"
                          "* 5000\n"
                          "-1 7\n"
                          "\n"
                          "ob=(2)\n"
                          "fn=(2)\n"
                          "40 9000\n"
                          "\n"
                          "ob=(3) /opt/lib/libcaf_core.so.0.18.7\n"
                          "fn=(3) enqueue\n"
                          "1 1000\n"
                          "\n"
                          "ob=(1)\n"
                          "fn=(4) b\n"
                          "5 10000\n"
                          "totals: 25127\n";
  CHECK(own_instructions(output) == 100 + 20 + 7 + 1'000 + 10'000);
}

TEST_CASE("committed counts are read and written, and a broken line is named") {
  auto counts = instruction_counts::parse("# words\n\ng++ 12, CAF 0.18.7\tchain_only\t8000\n");
  CHECK(counts.find("g++ 12, CAF 0.18.7", "chain_only") == 8'000);
  CHECK_FALSE(counts.find("g++ 12, CAF 0.18.7", "fanout"));
  CHECK_FALSE(counts.find("g++ 13, CAF 0.18.7", "chain_only"));
  counts.set("g++ 13, CAF 1.1.0", "chain_only", 7'000);
  auto again = instruction_counts::parse(counts.to_text());
  CHECK(again.find("g++ 13, CAF 1.1.0", "chain_only") == 7'000);
  CHECK(again.find("g++ 12, CAF 0.18.7", "chain_only") == 8'000);
  for (const auto* broken : {"a\tb\tc\n", "a\t5\n", "a\n", "a\tb\t0\n", "a\tb\t-5\n"}) {
    INFO(broken);
    CHECK_THROWS_AS(instruction_counts::parse(broken), std::invalid_argument);
  }
}

} // namespace bench_report_test

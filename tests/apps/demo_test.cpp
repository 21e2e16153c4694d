#include <chainmail/errors.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <demo/bars.hpp>
#include <demo/cluster_demo.hpp>
#include <demo/demo.hpp>
#include <demo/timeline.hpp>
#include <demo/waterfall.hpp>

namespace demo_test {

using namespace chainmail;
using namespace chainmail::demo;
using namespace chainmail::terminal;
using namespace std::literals;

namespace {

std::vector<bar_group> one_group(std::vector<bar> bars) {
  return {{"concurrent", 1, std::move(bars)}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> result;
  for (size_t i = 0; i < text.size();) {
    auto end = std::min(text.find('\n', i), text.size());
    result.push_back(text.substr(i, end - i));
    i = end + 1;
  }
  return result;
}

} // namespace

TEST_CASE("the time axis ends with the last call and has a handful of round ticks") {
  CHECK(axis_end({}) > 0);
  CHECK(axis_end(one_group({{0, 1, true, ""}, {0.5, 6.4, true, ""}})) == 6.4);
  for (auto end : {0.0003, 0.1, 1.28, 6.4, 59.0, 600.0}) {
    auto ticks = end / tick_distance(end);
    CHECK(ticks >= 3);
    CHECK(ticks <= 10);
  }
  CHECK(tick_distance(6.4) == 1.0);
}

TEST_CASE("times are shown in the unit that fits") {
  CHECK(show_seconds(1.276) == "1.28 s");
  CHECK(show_seconds(0.0123) == "12.3 ms");
  CHECK(show_tick(2, 6.4) == "2 s");
  CHECK(show_tick(0.0002, 0.001) == "0.2 ms");
}

TEST_CASE("texts are shortened by characters, not by bytes") {
  CHECK(shorten("abc", 3) == "abc");
  CHECK(shorten("abcdef", 5) == "ab...");
  CHECK(shorten("üüüü", 4) == "üüüü");
  CHECK(shorten("üüüüüü", 5) == "üü...");
}

TEST_CASE("bars of a waterfall start and end where their calls did") {
  terminal_style style{80, false, false, false};
  auto text = draw_waterfall(
      one_group({{0, 0.5, true, "first"}, {0.5, 1, true, "second"}, {0, 1, false, "broken"}}),
      style);
  auto lines = lines_of(text);
  REQUIRE(lines.size() == 5);
  CHECK(lines[1] == "concurrent");
  auto first = lines[2].find('=');
  auto second = lines[3].find('=');
  CHECK(lines[2].find_last_of('=') + 1 == second);
  CHECK(lines[4].find('x') == first);
  CHECK(lines[4].find("broken") != std::string::npos);
  for (const auto& line : lines)
    CHECK(line.size() <= 80);
  CHECK(text.find('\033') == std::string::npos);
}

TEST_CASE("a waterfall has color only when asked for") {
  terminal_style style{80, true, true, true};
  CHECK(
      draw_waterfall(one_group({{0, 1, true, "x"}}), style).find("\033[36m") != std::string::npos);
  CHECK(bold("x", {80, false, false}) == "x");
}

TEST_CASE("a waterfall of many calls shows the ends and says how many are between") {
  auto text =
      draw_waterfall(one_group(std::vector<bar>(1'000, {0, 1, true, "x"})), {80, false, false}, 20);
  auto lines = lines_of(text);
  CHECK(lines.size() == 1 + 1 + 20 + 1);
  CHECK(text.find("980 more calls") != std::string::npos);
  CHECK(lines.back().find("1000 ") != std::string::npos);
}

TEST_CASE("the picture holds every call, and texts cannot break out of it") {
  auto groups = one_group({{0, 1, true, "<script>\"&"}, {0, 1, false, "timed_out"}});
  auto svg = draw_svg("5 < 6", "from http://x/?a&b", groups);
  CHECK(svg.starts_with("<svg xmlns="));
  CHECK(svg.find("<script>") == std::string::npos);
  CHECK(svg.find("&lt;script&gt;&quot;&amp;") != std::string::npos);
  CHECK(svg.find("class=\"call\"") != std::string::npos);
  CHECK(svg.find("class=\"failed\"") != std::string::npos);
  CHECK(svg.find("5 &lt; 6") != std::string::npos);
  auto html = draw_html("t", "s", groups);
  CHECK(html.starts_with("<!doctype html>"));
  CHECK(html.find("<svg") != std::string::npos);
  CHECK(html.find("http://www.w3.org") != std::string::npos);
  CHECK(html.find("src=") == std::string::npos);
}

TEST_CASE("answers and errors become one harmless line") {
  outcome answered;
  answered.result = {{"text", "\n\nBright\x1b[31m Smile  "}};
  CHECK(line_of(answered) == "Bright [31m Smile");
  outcome failed;
  failed.error = make_failure(errc::timed_out, "too late");
  CHECK(line_of(failed) == "timed_out: too late");
  outcome empty;
  empty.result = {{"text", "\n"}};
  CHECK(line_of(empty) == "(an empty answer)");
}

TEST_CASE("the figures count calls and errors of both runs") {
  run_result run{2, std::vector<outcome>(5)};
  run.outcomes[1].error = make_failure(errc::timed_out, "x");
  run_result serial{9, std::vector<outcome>(5)};
  CHECK(to_json(run, serial) ==
        R"({"concurrent_s":2.0000,"serial_s":9.0000,"speedup":4.500,"calls":10,"errors":1})");
  CHECK(to_json(run, std::nullopt) ==
        R"({"concurrent_s":2.0000,"serial_s":null,"speedup":null,"calls":5,"errors":1})");
}

TEST_CASE("a run over nodes is drawn node by node, and told in a sentence") {
  cluster_run run;
  run.seconds = 2;
  run.nodes = {"node-1", "node-2"};
  run.killed = "node-2";
  run.killed_at_s = 0.5;
  run.calls = {{"node-1", 0, 1, true, false, "one"}, {"node-2", 0, 0.5, false, false, "lost"},
      {"node-1", 0.5, 2, true, true, "two"}};
  run.asked = 2;
  run.answered = 2;
  run.heard = 2;
  auto groups = to_bars(run);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].bars.size() == 2);
  CHECK(groups[0].bars[1].label == "(taken over) two");
  CHECK(groups[1].title == "node-2, killed at 0.50 s");
  CHECK(!groups[1].bars[0].ok);
  CHECK(demo::sentence_of(run) ==
        "node-2 was killed at 0.50 s with 1 calls under way, which other nodes answered: 2 of 2 "
        "calls answered, none of them twice.");
  auto table = lines_of(table_of(run));
  REQUIRE(table.size() == 3);
  CHECK(table[1] == "node-1            2           1     0");
  CHECK(table[2] == "node-2            0           0     1  killed at 0.50 s");
  CHECK(to_json(run) ==
        R"({"nodes":2,"calls":2,"answered":2,"killed":"node-2","killed_at_s":0.5000,"lost":1,)"
        R"("seconds":2.0000,"by_node":{"node-1":2,"node-2":0}})");
  run.answered = 1;
  CHECK(demo::sentence_of(run).ends_with("1 of 2 calls answered."));
}

} // namespace demo_test

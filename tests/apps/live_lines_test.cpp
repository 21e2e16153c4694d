// Texts fitted into columns, and the lines of streams that are made of them.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <demo/live_lines.hpp>
#include <demo/waterfall.hpp>
#include <terminal/fitted_text.hpp>

namespace live_lines_test {

using namespace chainmail::demo;
using namespace chainmail::terminal;
using namespace std::literals;

namespace {

const terminal_style plain{.columns = 40, .is_terminal = true, .unicode = true};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> result;
  for (size_t i = 0; i < text.size();) {
    auto end = text.find('\n', i);
    result.push_back(text.substr(i, end - i));
    i = end + 1;
  }
  return result;
}

} // namespace

TEST_CASE("columns are counted as a terminal shows them") {
  CHECK(columns_of("abc") == 3);
  CHECK(columns_of("naïve") == 5);
  CHECK(columns_of("東京") == 4);
  CHECK(columns_of("e\u0301") == 1);
  CHECK(columns_of("🧦") == 2);
  CHECK(columns_of("\xff\xe6\x9d") == 3); // no UTF-8: a column a byte
}

TEST_CASE("a text is cut between characters, at either end") {
  CHECK(fit_head("socks", 5, true) == "socks");
  CHECK(fit_head("socks!", 5, true) == "sock…");
  CHECK(fit_head("socks!", 5, false) == "so...");
  CHECK(fit_tail("socks!", 5, true) == "…cks!");
  CHECK(fit_head("東京大阪", 6, true) == "東京…");
  CHECK(fit_tail("東京大阪", 6, true) == "…大阪");
  CHECK(fit_tail("ae\u0301bc", 3, true) == "…bc");
  CHECK(fit_head("socks", 0, true).empty());
}

TEST_CASE("whatever the text, what is fitted is no wider than asked for") {
  auto text = GENERATE(as<std::string>{}, "", "plain text", "東a京b大c阪", "🧦🧦🧦🧦🧦",
      "e\u0301e\u0301e\u0301e\u0301", "\xe6\x9d\xff broken \xf0\x9f");
  for (size_t columns = 0; columns < 12; ++columns)
    for (bool unicode : {true, false}) {
      CHECK(columns_of(fit_head(text, columns, unicode)) <= columns);
      CHECK(columns_of(fit_tail(text, columns, unicode)) <= columns);
    }
}

TEST_CASE("a model's text cannot steer the terminal") {
  CHECK(harmless("a\033[2Jb\r\nc\u009bd\u202ee") == "a [2Jb  c d e");
  CHECK(harmless("naïve 東京") == "naïve 東京");
}

TEST_CASE("lines grow at their end, and show their beginning when they are complete") {
  std::vector<live_line> lines(4);
  lines[1] = {.text = "It grows and grows and grows and grows", .first_s = 0.5};
  lines[2] = {.text = "It has grown and grown and grown and grown", .first_s = 0.5, .end_s = 1.5};
  lines[3] = {.text = "no answer", .end_s = 0.25, .ok = false};
  auto drawn = lines_of(draw_live(lines, 1, plain));
  REQUIRE(drawn.size() == 4);
  CHECK(drawn[0] == "⠋ 1   1.00 s  …");
  CHECK(drawn[1].starts_with("⠋ 2   1.00 s  …"));
  CHECK(drawn[1].ends_with("and grows"));
  CHECK(drawn[2].starts_with("✓ 3   1.50 s  It has grown"));
  CHECK(drawn[2].ends_with("…"));
  CHECK(drawn[3] == "✗ 4   0.25 s  no answer");
  for (const auto& line : drawn)
    CHECK(columns_of(line) < plain.columns);
}

TEST_CASE("lines do without Unicode and color, and on a narrow terminal") {
  std::vector<live_line> lines{{.text = "text", .first_s = 0}};
  CHECK(draw_live(lines, 0.1, {.columns = 40}) == "⠙ 1   0.10 s  text\n");
  CHECK(draw_live(lines, 0.1, {.columns = 40, .unicode = false}) == "/ 1   0.10 s  text\n");
  CHECK(draw_live(lines, 0.1, {.columns = 5}).find("text") == std::string::npos);
}

TEST_CASE("a waterfall of streams says when the first text was there") {
  std::vector<bar_group> groups{
      {"concurrent", 2, {{0, 2, true, "text", 0.5}, {0, 1, false, "no"}}}};
  terminal_style style{.columns = 100, .unicode = false};
  auto drawn = lines_of(draw_waterfall(groups, style));
  REQUIRE(drawn.size() == 4);
  auto waits = std::ranges::count(drawn[2], '-');
  auto speaks = std::ranges::count(drawn[2], '=');
  CHECK(waits > 5);
  CHECK(speaks > 2 * waits);
  CHECK(drawn[2].find("first 0.50 s") != std::string::npos);
  CHECK(drawn[3].find("first") == std::string::npos);
  for (const auto& line : drawn)
    CHECK(line.size() <= style.columns);
}

} // namespace live_lines_test

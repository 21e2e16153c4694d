#include <chainmail/prompts/utf8.hpp>

#include <catch2/catch_test_macros.hpp>

#include <vector>

namespace utf8_test {

using namespace chainmail;
using namespace std::literals;

TEST_CASE("code points are read from either end") {
  for (auto [text, number] : std::vector<std::pair<std::string_view, char32_t>>{{"a", U'a'},
           {"\u00e9", 0xe9}, {"\u6f22", 0x6f22}, {"\U0001F600", 0x1f600}, {"\uffff", 0xffff},
           {"\U0010ffff", 0x10ffff}}) {
    CHECK(first_code_point(std::string{text} + "x\u6f22").number == number);
    CHECK(first_code_point(text).bytes == text.size());
    CHECK(last_code_point("\u6f22x" + std::string{text}).number == number);
    CHECK(last_code_point(text).bytes == text.size());
  }
}

TEST_CASE("what is not UTF-8 is one character a byte, from either end") {
  // Stray and missing continuations, overlong forms, a surrogate, and past the last code point.
  for (auto text : {"\x80"sv, "\xc3"sv, "\xe6\xbc"sv, "\xff"sv, "\xc0\x80"sv, "\xe0\x80\x80"sv,
           "\xed\xa0\x80"sv, "\xf4\x90\x80\x80"sv, "\xf0\x9f\x98"sv}) {
    CHECK(first_code_point(text).number == not_utf8);
    CHECK(first_code_point(text).bytes == 1);
    CHECK(last_code_point(text).number == not_utf8);
    CHECK(last_code_point(text).bytes == 1);
    CHECK(count_code_points(text) == text.size());
    CHECK_FALSE(is_utf8(text));
    CHECK_FALSE(is_utf8("long enough for a word of ASCII " + std::string{text} + " and after"));
  }
}

TEST_CASE("code points are counted across words of ASCII and others") {
  std::string text;
  for (size_t i = 0; i < 50; ++i) {
    CHECK(count_code_points(text) == 3 * i);
    CHECK(is_utf8(text));
    text += "a\u00e9\U0001F600";
  }
  CHECK(count_code_points("1234567890123456789\u00e9") == 20);
}

TEST_CASE("trimming takes blanks of all scripts from both ends, and nothing else") {
  CHECK(trimmed(" \t\r\n\u00a0\u3000a \u3000b\u2028\v\f ") == "a \u3000b");
  CHECK(trimmed("\u3000 \n").empty());
  CHECK(trimmed("\x80 a \xe3\x80") == "\x80 a \xe3\x80");
}

TEST_CASE("one line is bounded, and holds no control character and nothing that is not UTF-8") {
  CHECK(one_line(" a\nb\x1b[1m\u0085\x7f. \n", 100) == "a b [1m  .");
  CHECK(one_line("a\x1b\u202ez", 100) == "a  z");
  CHECK(one_line("\xff", 9) == "\ufffd");
  CHECK(one_line("\u6f22\u6f22\u6f22", 2) == "\u6f22\u6f22...");
  CHECK(one_line("\u6f22\u6f22", 2) == "\u6f22\u6f22");
}

} // namespace utf8_test

#include <chainmail/documents/text_splitter.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/llm/token_counter.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <random>

namespace text_splitter_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using chunks = std::vector<std::string>;

text_splitter_options sized(size_t size, size_t overlap = 0) {
  return {size, overlap, std::nullopt};
}

text_splitter made(caf::expected<text_splitter> splitter) {
  REQUIRE(splitter);
  return std::move(*splitter);
}

text_splitter by_words(size_t size, size_t overlap = 0) {
  return made(text_splitter::character(sized(size, overlap), " "));
}

text_splitter recursive(size_t size, size_t overlap = 0) {
  return made(text_splitter::recursive(sized(size, overlap)));
}

text_splitter in_tokens(
    size_t size, size_t overlap, const std::shared_ptr<token_counter>& counter) {
  text_splitter_options options{size, overlap, token_lengths{"", counter}};
  return made(text_splitter::tokens("m", options));
}

std::string without_blanks(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    auto [number, bytes] = first_code_point(text);
    if (!is_blank(number))
      result += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return result;
}

std::string joined(const chunks& parts) {
  std::string result;
  for (const auto& part : parts)
    result += part;
  return result;
}

/// Paragraphs, lines, words, headings, fences, long words, several scripts; with bytes that are not
/// UTF-8 on demand.
std::string random_text(std::mt19937& random, bool with_stray_bytes) {
  constexpr std::array<std::string_view, 20> alphabet = {" ", " ", "\n", "\n\n", "\n\n\n", "word",
      "a", "longerword", "\n# Title\n", "\n### Deep\n", "\n```\n", "\u00e9", "e\u0301", "\u6f22",
      "\u3000", "\U0001F600", "\t", "1234", "\xff", "\xe6\xbc"};
  std::string text;
  auto parts = random() % 120;
  for (size_t i = 0; i < parts; ++i)
    text += alphabet[random() % (alphabet.size() - (with_stray_bytes ? 0 : 2))];
  return text;
}

} // namespace

TEST_CASE("a size of nothing and an overlap that is not smaller are refused") {
  for (auto options : {sized(0), sized(10, 10), sized(10, 11)}) {
    CHECK(check(options) == errc::invalid_input);
    CHECK(text_splitter::character(options).error() == errc::invalid_input);
    CHECK(text_splitter::recursive(options).error() == errc::invalid_input);
    CHECK(text_splitter::markdown(options).error() == errc::invalid_input);
    CHECK(text_splitter::tokens("m", options).error() == errc::invalid_input);
  }
  CHECK(sentence_of(check(sized(10, 11))).find("(11)") != std::string::npos);
  CHECK_FALSE(check(sized(1)));
  CHECK(text_splitter::character(sized(1), "\x80").error() == errc::invalid_input);
  text_splitter_options defaults;
  CHECK(defaults.chunk_size == 4000);
  CHECK(defaults.chunk_overlap == 200);
}

// -- putting together -------------------------------------------------------------------

TEST_CASE("pieces are put together up to the chunk size, with their separators") {
  CHECK(by_words(7).split_text("foo bar baz 123") == chunks{"foo bar", "baz 123"});
  CHECK(by_words(6).split_text("foo bar baz 123") == chunks{"foo", "bar", "baz", "123"});
  CHECK(made(text_splitter::character(sized(6))).split_text("a\n\nbc\n\nd") ==
        chunks{"a\n\nbc", "d"});
}

TEST_CASE("the last pieces of a chunk that fit the overlap start the next") {
  CHECK(by_words(7, 3).split_text("foo bar baz 123") == chunks{"foo bar", "bar baz", "baz 123"});
  CHECK(by_words(7, 2).split_text("foo bar baz 123") == chunks{"foo bar", "baz 123"});
  CHECK(by_words(9, 5).split_text("a b c dd eeee fff") ==
        chunks{"a b c dd", "c dd eeee", "eeee fff"});
  // The overlap gives way where the next piece would not fit beside it.
  CHECK(
      by_words(7, 6).split_text("aa bb cc 1234567 d") == chunks{"aa bb", "bb cc", "1234567", "d"});
}

TEST_CASE("empty pieces make no chunks, and text between pieces stays as it was") {
  CHECK(by_words(5).split_text("a  b") == chunks{"a  b"});
  CHECK(by_words(3).split_text("  a   b  ") == chunks{"a", "b"});
  CHECK(by_words(3).split_text(" \n \t ").empty());
  CHECK(by_words(3).split_text("").empty());
  CHECK(recursive(3).split_text("\n\n \n\n").empty());
}

TEST_CASE("chunks have no blanks at their ends") {
  CHECK(made(text_splitter::character(sized(9))).split_text("\u3000 a \n\n\t b\n\n  cde ") ==
        chunks{"a \n\n\t b", "cde"});
}

TEST_CASE("the character splitter leaves a piece that is too long whole") {
  CHECK(by_words(4, 2).split_text("a bc wonderful d e") == chunks{"a bc", "wonderful", "d e"});
  CHECK(by_words(4).split_text("wonderful") == chunks{"wonderful"});
}

// -- recursive --------------------------------------------------------------------------

TEST_CASE("the recursive splitter passes LangChain's own example") {
  // But for "Okay then f": LangChain's first splitters did not count separators, and went over.
  auto text = "Hi.\n\nI'm Harrison.\n\nHow? Are? You?\nOkay then f f f f.\n"
              "This is a weird text to write, but gotta test the splittingggg some how.\n\n"
              "Bye!\n\n-H."s;
  CHECK(recursive(10, 1).split_text(text) == chunks{"Hi.", "I'm", "Harrison.", "How? Are?", "You?",
                                                 "Okay then", "f f f f.", "This is a", "a weird",
                                                 "text to", "write, but", "gotta test", "the",
                                                 "splittingg", "ggg", "some how.", "Bye!\n\n-H."});
}

TEST_CASE("without the empty separator a piece without separators stays whole") {
  auto splitter = made(text_splitter::recursive(sized(3), {"\n", ","}));
  CHECK(splitter.split_text("a,b,c,defgh\ni") == chunks{"a,b", "c", "defgh", "i"});
  CHECK(made(text_splitter::recursive(sized(3), {})).split_text("a b c d") == chunks{"a b c d"});
}

TEST_CASE("characters are counted and cut as code points") {
  CHECK(recursive(2).split_text("\u6f22\u5b57\u4eee\u540d\u4ea4") ==
        chunks{"\u6f22\u5b57", "\u4eee\u540d", "\u4ea4"});
  CHECK(recursive(3, 1).split_text("\U0001F600\U0001F601\U0001F602\U0001F603\U0001F604") ==
        chunks{"\U0001F600\U0001F601\U0001F602", "\U0001F602\U0001F603\U0001F604"});
  CHECK(recursive(3).split_text("e\u0301e\u0301") == chunks{"e\u0301e", "\u0301"});
  CHECK(recursive(2).split_text("\xff\xfe\x80\xe6\xbc") == chunks{"\xff\xfe", "\x80\xe6", "\xbc"});
}

// -- Markdown -----------------------------------------------------------------------------

TEST_CASE("Markdown is split at headings, and chunks know where they stand") {
  auto splitter = made(text_splitter::markdown(sized(40)));
  document guide{"Hello.\n\n# Install\n\n## Linux ##\nUse the package.\n\n## C#\n"
                 "One paragraph of text here.\n\nAnother paragraph of text.\n\n# Use\nRun it.\n",
      {{"source", "guide.md"}}};
  auto got = splitter.split({guide});
  std::vector<document> expected{{"Hello.", {{"source", "guide.md"}}},
      {"# Install\n\n## Linux ##\nUse the package.",
          {{"source", "guide.md"}, {"heading", "Install > Linux"}}},
      {"## C#\nOne paragraph of text here.", {{"source", "guide.md"}, {"heading", "Install > C#"}}},
      {"Another paragraph of text.", {{"source", "guide.md"}, {"heading", "Install > C#"}}},
      {"# Use\nRun it.", {{"source", "guide.md"}, {"heading", "Use"}}}};
  CHECK(got == expected);
}

TEST_CASE("what stands in a fenced code block is no heading") {
  auto splitter = made(text_splitter::markdown());
  CHECK(splitter.split_text("# A\n```sh\n# comment\n~~~\n# more\n````\n# B\n") ==
        chunks{"# A\n```sh\n# comment\n~~~\n# more\n````", "# B"});
  CHECK(splitter.split_text("# A\n~~~~\n~~~\n# comment\n~~~~\n# B") ==
        chunks{"# A\n~~~~\n~~~\n# comment\n~~~~", "# B"});
  CHECK(splitter.split_text("# A\n``` not`a fence\n# B") == chunks{"# A\n``` not`a fence", "# B"});
  CHECK(splitter.split_text("# A\n```\n# never closed") == chunks{"# A\n```\n# never closed"});
}

TEST_CASE("headings are those of CommonMark") {
  auto splitter = made(text_splitter::markdown());
  auto is_heading = [&](const std::string& line) {
    return splitter.split_text("text\n" + line + "\ntext").size() == 2;
  };
  for (auto* line : {"# a", "###### a", "   ## a", "#\ta", "##", "# a\r", "#\r"})
    CHECK(is_heading(line));
  for (auto* line : {"#a", "####### a", "    # a", "a # b", "\\# a", "> # a"})
    CHECK_FALSE(is_heading(line));
}

TEST_CASE("a path holds the headings above, and each at a bounded length") {
  auto splitter = made(text_splitter::markdown());
  auto path = [&](const std::string& text) {
    return splitter.split({{text, {}}}).back().metadata["heading"];
  };
  CHECK(path("# A\nx\n### B\nx\n## C\nx\n### D\nx") == "A > C > D");
  CHECK(path("### A\nx\n# B\nx") == "B");
  CHECK(path("# A\nx\n##\nx\n### B\nx") == "A > B");
  CHECK(path("# " + std::string(5000, 'x') + "\nx\n## B\nx") == std::string(100, 'x') + "... > B");
}

// -- tokens -------------------------------------------------------------------------------

TEST_CASE("lengths in tokens follow what the counter has learned") {
  auto counter = std::make_shared<token_counter>();
  auto text = "one two three four five six seven eight"s;
  CHECK(in_tokens(4, 0, counter).split_text(text) ==
        chunks{"one two three four", "five six seven eight"});
  CHECK(in_tokens(4, 2, counter).split_text(text) ==
        chunks{"one two three four", "three four five six", "five six seven eight"});
  for (auto i = 0; i < 100; ++i)
    counter->learn("m", 1000, 2000);
  CHECK(in_tokens(4, 0, counter).split_text(text).size() == 4);
}

// -- documents ------------------------------------------------------------------------------

TEST_CASE("each chunk of a document has a copy of its metadata") {
  auto got = by_words(3).split({{"a b c", {{"source", "x"}}}, {"", {}}, {"d", {{"page", "2"}}}});
  CHECK(got == std::vector<document>{
                   {"a b", {{"source", "x"}}}, {"c", {{"source", "x"}}}, {"d", {{"page", "2"}}}});
}

// -- properties -----------------------------------------------------------------------------

TEST_CASE("no chunk is too long, nothing is lost, and UTF-8 stays UTF-8") {
  std::mt19937 random{11};
  auto counter = std::make_shared<token_counter>();
  for (auto i = 0; i < 20; ++i)
    counter->learn("m", 1000, 1400);
  for (auto i = 0; i < 1500; ++i) {
    auto with_stray_bytes = random() % 3 == 0;
    auto text = random_text(random, with_stray_bytes);
    auto size = 4 + random() % 40;
    auto overlap = random() % 2 == 0 ? 0 : random() % size;
    CAPTURE(text, size, overlap);
    struct {
      text_splitter splitter;
      bool in_tokens;
    } cases[] = {{recursive(size, overlap), false},
        {made(text_splitter::markdown(sized(size, overlap))), false},
        {in_tokens(size, overlap, counter), true}};
    for (const auto& [splitter, tokens] : cases) {
      auto parts = splitter.split_text(text);
      for (const auto& part : parts) {
        CHECK(part == trimmed(part));
        CHECK_FALSE(part.empty());
        CHECK((tokens ? counter->count(part, "m") : count_code_points(part)) <= size);
        CHECK((with_stray_bytes || is_utf8(part)));
        CHECK(text.find(part) != std::string::npos);
      }
      if (overlap == 0)
        CHECK(without_blanks(joined(parts)) == without_blanks(text));
    }
    auto whole = by_words(size).split_text(text);
    CHECK(without_blanks(joined(whole)) == without_blanks(text));
  }
}

TEST_CASE("an overlap repeats the end of the chunk before, and no more than that") {
  std::mt19937 random{12};
  for (auto i = 0; i < 300; ++i) {
    std::string text;
    for (auto words = 0; words < 60; ++words)
      text += std::to_string(words + 100) + std::string(random() % 6, 'x') + ' ';
    auto size = 12 + random() % 40;
    auto overlap = random() % 12;
    CAPTURE(text, size, overlap);
    auto parts = recursive(size, overlap).split_text(text);
    size_t end = 0;
    for (const auto& part : parts) {
      auto begin = text.find(part);
      REQUIRE(begin != std::string::npos);
      if (end > 0) {
        CHECK(begin <= end + 1);
        CHECK(begin + overlap >= end);
      }
      CHECK(begin + part.size() > end);
      end = begin + part.size();
    }
  }
}

TEST_CASE("a megabyte without a separator, or of nothing else, is split in linear time") {
  std::string emoji;
  std::string headings;
  for (auto i = 0; i < 250'000; ++i) {
    emoji += "\U0001F600";
    headings += "# a\n";
  }
  auto begin = std::chrono::steady_clock::now();
  for (const auto& text :
      {std::string(1'000'000, 'x'), std::string(1'000'000, '\n'), std::string(1'000'000, ' '),
          std::string(1'000'000, '\x80'), std::string(1'000'000, '#'), emoji, headings})
    for (const auto& splitter : {by_words(1000, 100), recursive(1000, 100),
             made(text_splitter::markdown(sized(1000, 100))), in_tokens(1000, 100, nullptr)})
      CHECK(splitter.split_text(text).size() <= 1'000'000);
  // About 0.6 s, and 30 s under valgrind; quadratic time would be many minutes.
  CHECK(std::chrono::steady_clock::now() - begin < 60s);
}

} // namespace text_splitter_test

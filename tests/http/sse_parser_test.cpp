// Server-sent events, cut anywhere.
#include <chainmail/errors.hpp>
#include <chainmail/http/sse_parser.hpp>

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <string>
#include <vector>

namespace sse_parser_test {

using namespace chainmail;
using namespace std::literals;

namespace {

/// Each event as "NAME|DATA".
struct reading {
  std::vector<std::string> events;
  caf::error error;

  friend bool operator==(const reading& x, const reading& y) {
    return x.events == y.events && x.error == y.error;
  }
};

using list = std::vector<std::string>;

reading read(const std::vector<std::string_view>& pieces, size_t limit = 1'000) {
  reading result;
  sse_parser parser{limit};
  auto note = [&result](sse_event& event) -> caf::error {
    result.events.push_back(event.name + "|" + event.data);
    return {};
  };
  for (auto piece : pieces)
    if ((result.error = parser.feed(piece, note)))
      return result;
  result.error = parser.end(note);
  return result;
}

list events(std::string_view text) {
  auto result = read({text});
  CHECK(!result.error);
  return result.events;
}

/// As servers send them: a byte order mark, comments, names, all three line ends, lines that belong
/// together, text of several bytes a letter.
const auto recorded = "\xEF\xBB\xBF: keep-alive\n\n"
                      "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße, 世界 🧦\"}}]}\n\n"
                      "event: content_block_delta\r\ndata: one\r\ndata: two\r\n\r\n"
                      "id: 7\rretry: 10\rdata:no blank\rdata\rdata:  two blanks\r\r"
                      ":\n\ndata\n\nevent: nothing\n\n\r\n\r\r\n"
                      "data: [DONE]\n\n"s;

} // namespace

TEST_CASE("events end in an empty line, whichever way lines end") {
  CHECK(events("data: a\n\ndata: b\n\n") == list{"|a", "|b"});
  CHECK(events("data: a\r\rdata: b\r\r") == list{"|a", "|b"});
  CHECK(events("data: a\r\n\r\ndata: b\r\n\r\n") == list{"|a", "|b"});
  CHECK(events("data: a\n\r\ndata: b\r\n\ndata: c\r\n\r") == list{"|a", "|b", "|c"});
}

TEST_CASE("lines of data are joined by line feeds") {
  CHECK(events("data: a\ndata: b\n\n") == list{"|a\nb"});
  CHECK(events("data: a\ndata:\ndata\n\n") == list{"|a\n\n"});
  CHECK(events("data:  a \n\n") == list{"| a "});
  CHECK(events("data:a:b: c\n\n") == list{"|a:b: c"});
}

TEST_CASE("an event's name is that of its last event line, and is gone with it") {
  CHECK(events("event: x\ndata: a\n\ndata: b\n\n") == list{"x|a", "|b"});
  CHECK(events("event: x\ndata: a\nevent: y\n\n") == list{"y|a"});
  CHECK(events("event: x\n\ndata: b\n\n") == list{"|b"});
}

TEST_CASE("comments, other fields and events without data are passed over") {
  CHECK(events(": hello\n\nid: 1\n\nretry: 5\n\nanything\n\n\n\n: data: x\n").empty());
  CHECK(events("dat: x\nDATA: y\n data: z\ndata : w\n\n").empty());
  CHECK(events(": c\ndata: a\n: c\ndata: b\n\n") == list{"|a\nb"});
}

TEST_CASE("data without text is an event") {
  CHECK(events("data\n\ndata:\n\ndata: \n\n") == list{"|", "|", "|"});
}

TEST_CASE("one byte order mark may come first") {
  CHECK(events("\xEF\xBB\xBF"
               "data: a\n\n") == list{"|a"});
  CHECK(events("\xEF\xBB\xBF\ndata: a\n\n") == list{"|a"});
  CHECK(events("\xEF\xBB\xBF\xEF\xBB\xBF"
               "data: a\n\n")
            .empty());
  CHECK(events("data: a\n\xEF\xBB\xBF"
               "data: b\n\n") == list{"|a"});
}

TEST_CASE("bytes of data are kept, whatever they are") {
  CHECK(events("data: \0\x80\xFF\x1f\n\n"sv) == list{"|\0\x80\xFF\x1f"s});
}

TEST_CASE("the end of the body ends an event") {
  CHECK(events("data: a\n\ndata: [DONE]") == list{"|a", "|[DONE]"});
  CHECK(events("data: a\n") == list{"|a"});
  CHECK(events("event: x\n").empty());
}

TEST_CASE("a handler's error ends the parsing") {
  sse_parser parser;
  auto count = 0;
  auto refuse = [&](sse_event&) {
    ++count;
    return make_failure(errc::server_error, "no more");
  };
  CHECK(parser.feed("data: a\n\ndata: b\n\n", refuse) == errc::server_error);
  CHECK(count == 1);
}

TEST_CASE("an event has a limit of bytes, however it comes") {
  auto x = std::string(60, 'x');
  auto line = "data: " + x + "\n";
  CHECK(read({line + "\n" + line + "\n"}, 100).events.size() == 2);
  CHECK(read({line + line}, 100).error == errc::response_too_large);
  CHECK(read({"data: " + x, x}, 100).error == errc::response_too_large);
  CHECK(read({":" + x + x}, 100).error == errc::response_too_large);
  CHECK(read({":" + x + "\n:" + x + "\n:" + x + "\n"}, 100).events.empty());
  CHECK(sentence_of(read({line + line}, 100).error).find("100 bytes") != std::string::npos);
  // Lines of no bytes are bytes as well.
  std::string many;
  for (auto i = 0; i < 200; ++i)
    many += "data\n";
  CHECK(read({many}, 100).error == errc::response_too_large);
}

TEST_CASE("a recorded stream, cut in two anywhere, has the same events") {
  auto whole = read({recorded});
  CHECK(whole.events == list{"|{\"choices\":[{\"delta\":{\"content\":\"Grüße, 世界 🧦\"}}]}",
                            "content_block_delta|one\ntwo", "|no blank\n\n two blanks", "|",
                            "|[DONE]"});
  std::string_view text{recorded};
  for (size_t i = 0; i <= text.size(); ++i) {
    INFO(i);
    REQUIRE(read({text.substr(0, i), text.substr(i)}) == whole);
  }
}

TEST_CASE("a short stream, cut in three anywhere, has the same events") {
  auto text = "\xEF\xBB\xBF"
              "data: ü\r\n\r\n:x\rdata: a\ndata: b\n\r\r\ndata: [DONE]\n\n"sv;
  auto whole = read({text});
  CHECK(whole.events == list{"|ü", "|a\nb", "|[DONE]"});
  for (size_t i = 0; i <= text.size(); ++i)
    for (auto j = i; j <= text.size(); ++j) {
      INFO(i << ", " << j);
      REQUIRE(read({text.substr(0, i), text.substr(i, j - i), text.substr(j)}) == whole);
    }
}

TEST_CASE("a stream that comes byte by byte has the same events") {
  std::vector<std::string_view> bytes;
  for (size_t i = 0; i < recorded.size(); ++i)
    bytes.push_back(std::string_view{recorded}.substr(i, 1));
  CHECK(read(bytes) == read({recorded}));
}

// -- fuzzing --------------------------------------------------------------------------

namespace {

/// Streams of what matters to a parser, in any order and cut anywhere: whole and in pieces they are
/// the same, and no event exceeds the limit.
void fuzz(size_t streams) {
  std::mt19937 random{20'231'107};
  const std::vector<std::string> words{"data", "data:", "data: ", "event:", "event: ", ":", " ",
      "\n", "\n", "\r", "\r\n", "\n\n", "\xEF\xBB\xBF", "\xEF", "[DONE]", "{\"a\":1}", "ü", "\xC3",
      "\x80", std::string(1, '\0'), "id", "retry: 1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  auto below = [&random](size_t n) { return random() % n; };
  for (size_t i = 0; i < streams; ++i) {
    std::string text;
    for (auto n = below(40); n > 0; --n)
      text += below(8) == 0 ? std::string(1, static_cast<char>(below(256)))
                            : words[below(words.size())];
    auto limit = 20 + below(200);
    auto whole = read({text}, limit);
    for (const auto& event : whole.events)
      if (event.size() > 2 * limit + 1)
        FAIL("an event of " << event.size() << " bytes with a limit of " << limit);
    std::vector<std::string_view> pieces;
    for (std::string_view rest{text}; !rest.empty();) {
      auto size = 1 + below(std::min<size_t>(rest.size(), 12));
      pieces.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    if (!(read(pieces, limit) == whole))
      FAIL("stream " << i << " differs in pieces");
  }
}

} // namespace

TEST_CASE("20,000 fuzzed streams are the same in pieces, and do no harm") {
  fuzz(20'000);
}

TEST_CASE("1,000,000 fuzzed streams are the same in pieces, and do no harm", "[long]") {
  fuzz(1'000'000);
}

} // namespace sse_parser_test

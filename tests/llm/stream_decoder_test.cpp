// What the pieces of a stream add up to.
#include <chainmail/llm/stream_decoder.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace stream_decoder_test {

using namespace chainmail;
using namespace std::literals;

namespace {

/// All that a sink would get now, as "INDEX:TEXT".
std::vector<std::string> pieces(stream_result& from) {
  std::vector<std::string> result;
  while (auto next = from.next_piece())
    result.push_back(std::to_string(next->index) + ":" + next->text);
  return result;
}

using list = std::vector<std::string>;

} // namespace

TEST_CASE("text that was not taken yet is one piece for each completion") {
  stream_result stream{2};
  CHECK(pieces(stream).empty());
  CHECK(!stream.has_output());
  stream.add_text(1, "a");
  stream.add_text(0, "b");
  stream.add_text(1, "c");
  CHECK(stream.waiting_bytes() == 3);
  CHECK(pieces(stream) == list{"1:ac", "0:b"});
  CHECK(stream.waiting_bytes() == 0);
  stream.add_text(1, "d");
  CHECK(stream.taken_text(1) == "ac");
  CHECK(pieces(stream) == list{"1:d"});
  CHECK(stream.taken_text(1) == "acd");
  auto result = stream.take();
  CHECK(result.completions.at(0).text == "b");
  CHECK(result.completions.at(1).text == "acd");
}

TEST_CASE("a code point that is cut in two reaches the sink whole") {
  auto text = "aß世🧦z"s;
  for (size_t i = 0; i <= text.size(); ++i)
    for (auto j = i; j <= text.size(); ++j) {
      INFO(i << ", " << j);
      stream_result stream{1};
      std::string got;
      for (const auto& part : {text.substr(0, i), text.substr(i, j - i), text.substr(j)}) {
        stream.add_text(0, part);
        while (auto next = stream.next_piece()) {
          REQUIRE((static_cast<unsigned char>(next->text.front()) & 0xc0U) != 0x80U);
          got += next->text;
        }
      }
      REQUIRE(got == text);
      stream.end_text();
      REQUIRE(pieces(stream).empty());
      REQUIRE(stream.take().text() == text);
    }
}

TEST_CASE("cuts of different completions do not meet") {
  stream_result stream{2};
  stream.add_text(0, "\xC3");
  stream.add_text(1, "\xC3");
  stream.add_text(0, "\x9F");
  stream.add_text(1, "\xA4");
  CHECK(pieces(stream) == list{"0:ß", "1:ä"});
}

TEST_CASE("what is not UTF-8 is replaced") {
  stream_result stream{1};
  stream.add_text(0, "a\xFF"
                     "b\x80");
  CHECK(pieces(stream) == list{"0:a\uFFFDb\uFFFD"});
  stream.add_text(0, "\xE4\xB8");
  CHECK(pieces(stream).empty());
  stream.add_text(0, "c");
  CHECK(pieces(stream) == list{"0:\uFFFD\uFFFDc"});
  stream.add_text(0, "\xF0\x9F\xA7");
  stream.end_text();
  CHECK(pieces(stream) == list{"0:\uFFFD\uFFFD\uFFFD"});
}

TEST_CASE("tool calls come in pieces, by position") {
  stream_result stream{1};
  stream.add_tool_call(0, 0, "id-a", "search", "");
  stream.add_tool_call(0, 0, "", "", R"({"q":)");
  stream.add_tool_call(0, 1, "id-b", "add", "{}");
  stream.add_tool_call(0, 0, "", "", R"("x"})");
  CHECK(stream.has_output());
  CHECK(pieces(stream).empty());
  CHECK(stream.take().completions.at(0).tool_calls ==
        std::vector<tool_call>{{"id-a", "search", R"({"q":"x"})"}, {"id-b", "add", "{}"}});
}

TEST_CASE(
    "calls that share a position are told apart by their IDs, and get one if they have none") {
  stream_result stream{1};
  stream.add_tool_call(0, 0, "a", "f", "{}");
  stream.add_tool_call(0, 0, "b", "g", "{");
  stream.add_tool_call(0, 0, "b", "g", "}");
  stream.add_tool_call(0, 7, "", "h", "{}");
  CHECK(stream.take().completions.at(0).tool_calls ==
        std::vector<tool_call>{{"a", "f", "{}"}, {"b", "g", "{}"}, {"call_2", "h", "{}"}});
}

TEST_CASE("a stream is complete when the server said so or all completions have ended") {
  stream_result stream{2};
  stream.set_finish_reason(0, "stop");
  stream.set_finish_reason(1, "");
  CHECK(!stream.is_complete());
  stream.set_finish_reason(1, "length");
  CHECK(stream.is_complete());
  CHECK(stream.take().completions.at(1).finish_reason == "length");
  stream_result said{1};
  said.set_complete();
  CHECK(said.is_complete());
}

} // namespace stream_decoder_test

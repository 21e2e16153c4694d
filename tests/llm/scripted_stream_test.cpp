#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/sink_feed.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <catch2/catch_test_macros.hpp>

#include <support/recording_sink.hpp>

namespace scripted_stream_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture {
  virtual_time time;
  std::shared_ptr<sink_log> got = std::make_shared<sink_log>();
  recording_sink_actor sink = spawn_recording_sink(time.system, got);
  scripted_reply said = {"one two three four five six seven eight"};
  llm_actor llm = spawn_scripted_llm(time.system, [this](const llm_request&) { return said; });
  llm_request request{{"say"}};
  call_context context = time.context();

  fixture() = default;
  fixture(const fixture&) = delete;
  fixture& operator=(const fixture&) = delete;
  ~fixture() {
    caf::anon_send_exit(llm, caf::exit_reason::kill);
    caf::anon_send_exit(sink, caf::exit_reason::kill);
  }

  auto stream() {
    auto result = ask<llm_result>(time, llm, stream_atom_v, request, sink_actor{sink}, context);
    time.settle();
    return result;
  }
};

} // namespace

TEST_CASE("texts are cut before blanks, and never within a character", "[stream]") {
  using texts = std::vector<std::string>;
  CHECK(cut_into_chunks("", 1).empty());
  CHECK(
      cut_into_chunks("one two  three\nfour", 1) == texts{"one", " two", " ", " three", "\nfour"});
  CHECK(cut_into_chunks("one two three", 4) == texts{"one two", " three"});
  std::string long_word(100, 'x');
  CHECK(cut_into_chunks(long_word, 1) == texts{long_word.substr(0, 64), long_word.substr(64)});
  std::string accents;
  for (auto i = 0; i < 100; ++i)
    accents += "é";
  accents.insert(0, "x"); // so that the 64th byte is in the midst of a character
  auto pieces = cut_into_chunks(accents, 1);
  std::string joined;
  for (const auto& piece : pieces) {
    CHECK((static_cast<unsigned char>(piece.front()) & 0xC0U) != 0x80U);
    joined += piece;
  }
  CHECK(joined == accents);
  CHECK(cut_into_chunks(std::string(200, '\x80'), 1).size() >= 3);
}

TEST_CASE_METHOD(
    fixture, "a scripted stream comes word by word, and whole in the answer", "[stream]") {
  auto reply = stream();
  REQUIRE(reply->result);
  CHECK(reply->result->text() == said.text);
  CHECK(reply->result->first_token == caf::timespan{0});
  CHECK(got->chunks.size() == 8);
  CHECK(got->chunks[1].text == " two");
  CHECK(got->text(context.id) == said.text);
}

TEST_CASE_METHOD(fixture, "every completion of a stream has its index", "[stream]") {
  said.chunks = {"a", "b"};
  said.text = {};
  request.parameters.n = 2;
  auto reply = stream();
  REQUIRE(reply->result);
  CHECK(reply->result->text() == "ab");
  CHECK(got->text(context.id, 0) == "ab");
  CHECK(got->text(context.id, 1) == "ab");
}

TEST_CASE_METHOD(fixture, "a slow sink holds a stream back", "[stream]") {
  got->credit = 0;
  auto reply = stream();
  CHECK(got->chunks.size() == sink_feed::window);
  grant(sink, 2);
  time.settle();
  CHECK(got->chunks.size() == sink_feed::window + 2);
  CHECK(reply->pending());
  grant(sink, 100);
  time.settle();
  CHECK(reply->result);
  CHECK(got->text() == said.text);
}

TEST_CASE_METHOD(fixture, "the answer waits until the sink has taken the last chunk", "[stream]") {
  said.text = "one";
  got->credit = 0;
  auto reply = stream();
  CHECK(got->text() == "one");
  CHECK(reply->pending());
  grant(sink, 1);
  time.settle();
  CHECK(reply->result);
}

TEST_CASE_METHOD(fixture, "chunks come in their time", "[stream]") {
  said.delay = 2s;
  said.chunk_delay = 1s;
  auto reply = stream();
  time.advance(1s);
  CHECK(got->chunks.empty());
  time.advance(1s);
  CHECK(got->text() == "one");
  time.advance(1s);
  CHECK(got->text() == "one two");
  for (auto i = 0; i < 7; ++i)
    time.advance(1s);
  REQUIRE(reply->result);
  CHECK(reply->result->first_token == caf::timespan{2s});
}

TEST_CASE_METHOD(fixture, "a stream that breaks keeps its text so far", "[stream]") {
  said = {{}, make_failure(errc::connection_failed, "broken"), {}, {}, {"one", " two"}};
  auto reply = stream();
  CHECK(reply->error == errc::connection_failed);
  CHECK(text_so_far(reply->error) == "one two");
  CHECK(got->text() == "one two");
}

TEST_CASE_METHOD(fixture, "a stream that is cancelled, or due, keeps its text so far", "[stream]") {
  said.chunk_delay = 1s;
  auto reply = stream();
  time.advance(1s);
  compat::anon_send(llm, cancel_atom_v, context.id);
  time.settle();
  CHECK(reply->error == errc::cancelled);
  CHECK(text_so_far(reply->error) == "one two");
  context = time.context(3'500ms);
  got->chunks.clear();
  auto late = stream();
  for (auto i = 0; i < 4; ++i)
    time.advance(1s);
  CHECK(late->error == errc::timed_out);
  CHECK(text_so_far(late->error) == "one two three four");
}

TEST_CASE_METHOD(fixture, "a sink that is gone, or wants no more, ends its stream", "[stream]") {
  got->credit = 2;
  got->refusal = make_failure(errc::overloaded, "enough");
  auto refused = stream();
  CHECK(refused->error == errc::cancelled);
  CHECK(sentence_of(refused->error).find("enough") != std::string::npos);
  CHECK(!text_so_far(refused->error).empty());
  said.chunk_delay = 1s;
  got->credit = SIZE_MAX;
  auto lost = stream();
  caf::anon_send_exit(sink, caf::exit_reason::kill);
  time.advance(1s);
  CHECK(lost->error == errc::cancelled);
  CHECK(sentence_of(lost->error).find("gone") != std::string::npos);
  CHECK(text_so_far(lost->error) == "one two");
}

TEST_CASE_METHOD(fixture, "a sink that answers nothing costs a stream its deadline", "[stream]") {
  got->credit = 0;
  context = time.context(10s);
  auto reply = stream();
  time.advance(11s);
  CHECK(reply->error == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "a stream without a sink is refused", "[stream]") {
  auto reply = ask<llm_result>(time, llm, stream_atom_v, request, sink_actor{}, context);
  time.settle();
  CHECK(reply->error == errc::invalid_input);
}

} // namespace scripted_stream_test

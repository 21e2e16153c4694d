// The chains that combine documents: stuff, map_reduce, refine, map_rerank.
#include "support/chain_fixture.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/documents/format_documents.hpp>
#include <chainmail/documents/map_reduce_chain.hpp>
#include <chainmail/documents/map_rerank_chain.hpp>
#include <chainmail/documents/refine_chain.hpp>
#include <chainmail/documents/stuff_chain.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>

namespace combine_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

using fixture = chain_fixture;

std::vector<document> three() {
  return {{"one", {{"source", "a.md"}, {"page", "1"}}}, {"two", {{"source", "b.md"}}},
      {"three", {{"source", "c.md"}}}};
}

values with(std::vector<document> documents, values more = {}) {
  more.emplace("input_documents", std::move(documents));
  return more;
}

/// Counts words, so that tests can say how long a text is.
size_t words(std::string_view text) {
  return static_cast<size_t>(std::ranges::count(text, ' ')) + 1;
}

} // namespace

// -- documents as text --------------------------------------------------------------------

TEST_CASE("a document is written with its content and its metadata") {
  auto text = format_document("{source}, p. {page}: {page_content}", three()[0]);
  CHECK(*text == "a.md, p. 1: one");
}

TEST_CASE("braces in a document are text") {
  CHECK(*format_document("{page_content}", {"{not a variable}", {}}) == "{not a variable}");
}

TEST_CASE("metadata that a document lacks is an error that names document and field") {
  auto text = join_documents("{page_content} {page}", three(), "\n");
  CHECK(text.error() == errc::missing_input);
  CHECK(sentence_of(text.error()).find("document 2 of 3") != std::string::npos);
  CHECK(sentence_of(text.error()).find("'page'") != std::string::npos);
}

// -- stuff --------------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "stuff joins the documents with a blank line into one prompt") {
  auto chain = spawn_stuff_chain(time.system, asks("{context}|{question}"));
  auto got = run(chain, with(three(), {{"question", "?"}}));
  CHECK(text_of(got, "output_text") == "re: one\n\ntwo\n\nthree|?");
  CHECK(got.result->size() == 1);
}

TEST_CASE_METHOD(fixture, "stuff writes documents with its own prompt and separator") {
  auto chain =
      spawn_stuff_chain(time.system, asks("{docs}"), {"({source}) {page_content}", "docs", " / "});
  CHECK(text_of(run(chain, with(three())), "output_text") ==
        "re: (a.md) one / (b.md) two / (c.md) three");
}

TEST_CASE_METHOD(fixture, "a stuff chain needs documents and what its prompt needs") {
  auto chain = spawn_stuff_chain(time.system, asks("{context}|{question}"));
  CHECK(description_of(chain).input_keys == std::vector{"input_documents"s, "question"s});
  CHECK(description_of(chain).output_keys == std::vector{"output_text"s});
  CHECK(run(chain, with(three())).error == errc::missing_input);
  CHECK(run(chain, {{"question", "?"}}).error == errc::missing_input);
  CHECK(run(chain, {{"question", "?"}, {"input_documents", "text"}}).error == errc::invalid_input);
  CHECK(prompts.empty());
}

TEST_CASE_METHOD(fixture, "a chain that does not take the documents is refused when spawned") {
  CHECK_THROWS_AS(spawn_stuff_chain(time.system, asks("{question}")), std::invalid_argument);
  CHECK_THROWS_AS(spawn_stuff_chain(time.system, {}), std::invalid_argument);
}

TEST_CASE_METHOD(fixture, "a stuff chain hands the LLM's error on") {
  reply = [](const std::string&) {
    return scripted_reply{{}, make_failure(errc::rate_limited, "slow down"), {}};
  };
  auto chain = spawn_stuff_chain(time.system, asks("{context}"));
  CHECK(run(chain, with(three())).error == errc::rate_limited);
}

TEST_CASE_METHOD(fixture, "stop sequences pass through documents chains") {
  auto chain = spawn_stuff_chain(time.system, asks("{context}"));
  run(chain, with(three(), {{"stop", "\n"}}));
  CHECK(requests.at(0).stop == std::vector{"\n"s});
}

// -- map_reduce ---------------------------------------------------------------------------

namespace {

struct map_reduce_fixture : chain_fixture {
  map_reduce_options options;

  chain_actor spawn() {
    options.count_tokens = words;
    map_reduce_parts parts{asks("map {context} {question}"),
        spawn_stuff_chain(time.system, asks("combine {context}")),
        spawn_stuff_chain(time.system, asks("collapse {context}"), {"{page_content}"})};
    return spawn_map_reduce_chain(time.system, parts, options);
  }

  size_t asked(std::string_view start_of_prompt) {
    return static_cast<size_t>(std::ranges::count_if(
        prompts, [&](const std::string& p) { return p.starts_with(start_of_prompt); }));
  }
};

} // namespace

TEST_CASE_METHOD(map_reduce_fixture, "map_reduce maps every document, then combines in order") {
  reply = [](const std::string& prompt) {
    return scripted_reply{prompt.starts_with("map") ? prompt.substr(4, 3) : prompt, {}, {}};
  };
  auto got = run(spawn(), with(three(), {{"question", "?"}}));
  CHECK(text_of(got, "output_text") == "combine one\n\ntwo\n\nthr");
  CHECK(asked("map") == 3);
  CHECK(asked("combine") == 1);
  CHECK(asked("collapse") == 0);
}

TEST_CASE_METHOD(map_reduce_fixture, "all map steps are asked at once") {
  reply = [](const std::string&) { return scripted_reply{"x", {}, 1s}; };
  std::vector<document> many(40, document{"text", {}});
  auto got = start(spawn(), with(many, {{"question", "?"}}));
  time.settle();
  CHECK(asked("map") == 40);
  time.advance(1s);
  CHECK(asked("combine") == 1);
  time.advance(1s);
  CHECK(got->result);
}

TEST_CASE_METHOD(map_reduce_fixture, "no more map steps are asked at once than the cap allows") {
  reply = [](const std::string&) { return scripted_reply{"x", {}, 1s}; };
  options.max_in_flight = 2;
  auto got = start(spawn(), with(std::vector<document>(5), {{"question", "?"}}));
  time.settle();
  CHECK(asked("map") == 2);
  time.advance(1s);
  CHECK(asked("map") == 4);
  time.advance(1s);
  CHECK(asked("map") == 5);
  time.advance(1s);
  CHECK(asked("combine") == 1);
  time.advance(1s);
  CHECK(got->result);
}

TEST_CASE_METHOD(map_reduce_fixture, "texts over token_max are collapsed in groups, repeatedly") {
  reply = [](const std::string& prompt) {
    if (prompt.starts_with("map"))
      return scripted_reply{"a b c", {}, {}}; // three words each
    if (prompt.starts_with("collapse"))
      return scripted_reply{"d e", {}, {}};
    return scripted_reply{prompt, {}, {}};
  };
  options.token_max = 6; // two mapped texts, or three collapsed ones
  auto got = run(spawn(), with(std::vector<document>(8), {{"question", "?"}}));
  // 8 x 3 words -> 4 groups -> 4 x 2 words > 6 -> groups of 3 and 1 -> 2 texts
  CHECK(asked("collapse") == 6);
  CHECK(text_of(got, "output_text") == "combine d e\n\nd e");
}

TEST_CASE_METHOD(map_reduce_fixture, "map_reduce collapses what is over 3000 tokens by default") {
  auto words_a_text = 750;
  reply = [&](const std::string& prompt) {
    auto words = prompt.starts_with("map") ? words_a_text : 1;
    return scripted_reply{std::string(static_cast<size_t>(words - 1), ' '), {}, {}};
  };
  auto chain = spawn();
  CHECK(run(chain, with(std::vector<document>(4), {{"question", "?"}})).result);
  CHECK(asked("collapse") == 0);
  words_a_text = 751;
  CHECK(run(chain, with(std::vector<document>(4), {{"question", "?"}})).result);
  CHECK(asked("collapse") == 2); // of three and of one
}

TEST_CASE_METHOD(fixture, "collapsed documents are combined with the metadata of all") {
  reply = [](const std::string& prompt) {
    return scripted_reply{prompt.starts_with("combine") ? prompt : "a b", {}, {}};
  };
  map_reduce_options options;
  options.count_tokens = words;
  options.token_max = 4;
  map_reduce_parts parts{asks("map {context}"),
      spawn_stuff_chain(
          time.system, asks("combine {context}"), {"{page_content} ({source})", "context", " / "}),
      spawn_stuff_chain(time.system, asks("collapse {context}"))};
  auto chain = spawn_map_reduce_chain(time.system, parts, options);
  CHECK(
      text_of(run(chain, with(three())), "output_text") == "combine a b (a.md, b.md) / a b (c.md)");
}

TEST_CASE("documents are grouped greedily and in order") {
  CHECK(*group_sizes({3, 3, 3, 1, 1, 1, 1}, 6) == std::vector<size_t>{2, 4, 1});
  CHECK(*group_sizes({1, 1, 1}, 10) == std::vector<size_t>{3});
  CHECK(group_sizes({}, 10)->empty());
}

TEST_CASE("one text over the limit, or a pair that cannot be combined, is an error") {
  CHECK(group_sizes({7}, 6).error() == errc::invalid_input);
  CHECK(group_sizes({1, 1, 7}, 6).error() == errc::invalid_input);
  CHECK(sentence_of(group_sizes({1, 1, 7}, 6).error()).find("document 3") != std::string::npos);
  CHECK(group_sizes({4, 4}, 6).error() == errc::invalid_input);
}

TEST_CASE_METHOD(map_reduce_fixture, "a mapped text over token_max fails the call") {
  reply = [](const std::string&) { return scripted_reply{"a b c d", {}, {}}; };
  options.token_max = 3;
  CHECK(run(spawn(), with(three(), {{"question", "?"}})).error == errc::invalid_input);
}

TEST_CASE("collapsed documents keep the metadata of all, joined by a comma") {
  auto documents = three();
  auto merged = merge_metadata(documents.data(), documents.data() + 3);
  CHECK(
      merged == std::map<std::string, std::string>{{"source", "a.md, b.md, c.md"}, {"page", "1"}});
}

TEST_CASE_METHOD(map_reduce_fixture, "map_reduce gives its intermediate steps on request") {
  reply = [](const std::string& prompt) { return scripted_reply{prompt.substr(0, 7), {}, {}}; };
  options.return_intermediate_steps = true;
  auto chain = spawn();
  CHECK(description_of(chain).output_keys == std::vector{"intermediate_steps"s, "output_text"s});
  auto got = run(chain, with(three(), {{"question", "?"}}));
  CHECK(got.result->at("intermediate_steps") ==
        value{std::vector{"map one"s, "map two"s, "map thr"s}});
}

TEST_CASE_METHOD(map_reduce_fixture, "one failing map step fails the call and stops the others") {
  reply = [](const std::string& prompt) {
    if (prompt.starts_with("map two"))
      return scripted_reply{{}, make_failure(errc::server_error, "broken"), 1s};
    return scripted_reply{"x", {}, caf::infinite};
  };
  auto got = start(spawn(), with(three(), {{"question", "?"}}));
  time.advance(1s);
  CHECK(got->error == errc::server_error);
}

TEST_CASE_METHOD(map_reduce_fixture, "cancelling a map_reduce call cancels its map steps") {
  reply = [](const std::string&) { return scripted_reply{"x", {}, caf::infinite}; };
  auto chain = spawn();
  auto context = time.context();
  auto got = ask<values>(time, chain, call_atom_v, with(three(), {{"question", "?"}}), context);
  auto other = start(chain, with(three(), {{"question", "?"}}));
  time.settle();
  compat::anon_send(chain, cancel_atom_v, context.id);
  time.settle();
  CHECK(got->error == errc::cancelled);
  CHECK(other->pending());
}

TEST_CASE_METHOD(fixture, "a map_reduce chain that can never work is refused when spawned") {
  auto stuff = spawn_stuff_chain(time.system, asks("{context}"));
  CHECK_THROWS_AS(
      spawn_map_reduce_chain(time.system, {asks("{question}"), stuff, {}}), std::invalid_argument);
  CHECK_THROWS_AS(spawn_map_reduce_chain(time.system, {asks("{context}"), asks("{context}"), {}}),
      std::invalid_argument);
  map_reduce_options none_at_once;
  none_at_once.max_in_flight = 0;
  CHECK_THROWS_AS(spawn_map_reduce_chain(time.system, {asks("{context}"), stuff, {}}, none_at_once),
      std::invalid_argument);
}

// -- refine -------------------------------------------------------------------------------

namespace {

struct refine_fixture : chain_fixture {
  chain_actor spawn(refine_options options = {}) {
    return spawn_refine_chain(time.system,
        {asks("first {context_str} {question}"),
            asks("next {context_str} after {existing_answer}")},
        options);
  }
};

} // namespace

TEST_CASE_METHOD(refine_fixture, "refine asks one document after another with the answer so far") {
  reply = [](const std::string& prompt) { return scripted_reply{"<" + prompt + ">", {}, 1s}; };
  auto got = start(spawn(), with(three(), {{"question", "?"}}));
  time.settle();
  CHECK(prompts.size() == 1);
  time.advance(1s);
  CHECK(prompts.size() == 2);
  time.advance(1s);
  CHECK(prompts.size() == 3);
  time.advance(1s);
  CHECK(text_of(*got, "output_text") == "<next three after <next two after <first one ?>>>");
}

TEST_CASE_METHOD(refine_fixture, "refine without documents is an error") {
  CHECK(run(spawn(), with({}, {{"question", "?"}})).error == errc::invalid_input);
}

TEST_CASE_METHOD(refine_fixture, "refine gives the answer after each document on request") {
  reply = [](const std::string& prompt) { return scripted_reply{prompt.substr(0, 8), {}, {}}; };
  refine_options options;
  options.return_intermediate_steps = true;
  auto got = run(spawn(options), with(three(), {{"question", "?"}}));
  CHECK(got.result->at("intermediate_steps") ==
        value{std::vector{"first on"s, "next two"s, "next thr"s}});
}

TEST_CASE_METHOD(fixture, "a refine chain without a place for the answer so far is refused") {
  CHECK_THROWS_AS(spawn_refine_chain(time.system, {asks("{context_str}"), asks("{context_str}")}),
      std::invalid_argument);
}

// -- map_rerank ---------------------------------------------------------------------------

TEST_CASE("a scored answer is split at its score") {
  auto scored = read_scored_answer("It is red.\nScore: 95");
  CHECK(scored->answer == "It is red.");
  CHECK(scored->score == 95);
  CHECK(read_scored_answer("a\nb\nScore: -3 \nmore")->answer == "a\nb");
  CHECK(read_scored_answer("a\nScore: -3 \nmore")->score == -3);
}

TEST_CASE("a score that is no integer is an error") {
  for (const auto* text : {"red", "red\nScore: high", "red\nScore: 9.5",
           "red\nScore: ", "red\nScore: 95/100", "red\nScore: 99999999999999999999", "Score: 5"})
    CHECK(read_scored_answer(text).error() == errc::malformed_response);
  CHECK(sentence_of(read_scored_answer("red\nScore: \x1b[2J").error()).find('\x1b') ==
        std::string::npos);
}

namespace {

struct rerank_fixture : chain_fixture {
  rerank_fixture() {
    reply = [](const std::string& prompt) {
      auto score = prompt == "one" ? "40" : "80";
      return scripted_reply{"answer of " + prompt + "\nScore: " + score, {}, {}};
    };
  }
};

} // namespace

TEST_CASE_METHOD(rerank_fixture, "map_rerank gives the answer with the best score, earlier first") {
  auto chain = spawn_map_rerank_chain(time.system, asks("{context}"));
  CHECK(text_of(run(chain, with(three())), "output_text") == "answer of two");
}

TEST_CASE_METHOD(rerank_fixture, "map_rerank copies the chosen metadata of the best document") {
  map_rerank_options options;
  options.metadata_keys = {"source"};
  auto chain = spawn_map_rerank_chain(time.system, asks("{context}"), options);
  CHECK(text_of(run(chain, with(three())), "source") == "b.md");
  CHECK(run(chain, with({{"one", {}}})).error == errc::missing_input);
}

TEST_CASE_METHOD(rerank_fixture, "map_rerank gives every scored answer on request, best first") {
  map_rerank_options options;
  options.return_intermediate_steps = true;
  auto chain = spawn_map_rerank_chain(time.system, asks("{context}"), options);
  auto got = run(chain, with(three()));
  auto steps = std::get<std::vector<document>>(got.result->at("intermediate_steps"));
  REQUIRE(steps.size() == 3);
  CHECK(steps[0] == document{"answer of two", {{"score", "80"}, {"source", "b.md"}}});
  CHECK(steps[1].content == "answer of three");
  CHECK(steps[2].metadata.at("score") == "40");
}

TEST_CASE_METHOD(rerank_fixture, "an answer without a score fails a map_rerank call") {
  reply = [](const std::string&) { return scripted_reply{"I forgot", {}, {}}; };
  auto chain = spawn_map_rerank_chain(time.system, asks("{context}"));
  CHECK(run(chain, with(three())).error == errc::malformed_response);
  CHECK(run(chain, with({})).error == errc::invalid_input);
}

} // namespace combine_test

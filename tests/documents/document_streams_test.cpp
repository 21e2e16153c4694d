// Chains over documents that stream, and those that do not.
#include "support/chain_fixture.hpp"

#include <chainmail/chains/wiring.hpp>
#include <chainmail/documents/chat_vector_db_chain.hpp>
#include <chainmail/documents/map_reduce_chain.hpp>
#include <chainmail/documents/qa_chain.hpp>
#include <chainmail/documents/refine_chain.hpp>
#include <chainmail/documents/retrieval_qa_chain.hpp>
#include <chainmail/documents/stuff_chain.hpp>
#include <chainmail/documents/summarize_chain.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

namespace document_streams_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture : chain_fixture {
  values inputs = {{"input_documents", std::vector<document>{{"one", {{"source", "a.md"}}},
                                           {"two", {{"source", "b.md"}}}}},
      {"question", "why?"}};

  retriever_actor retriever = time.system.spawn([]() -> retriever_actor::behavior_type {
    return {
        [](retrieve_atom, const retrieval_query&, const call_context&) {
          return std::vector<scored_document>{{1, {"Ada wrote it.", {{"source", "a.md"}}}, 0.9}};
        },
        [](cancel_atom, const call_id&) {},
    };
  });

  /// The answer to the last prompt is what a stream gives, under the ID of the call.
  void check_last(const chain_actor& chain, const std::string& output) {
    auto done = stream(chain, inputs);
    REQUIRE(done.result);
    CHECK(text_of(done, output) == "re: " + prompts.back());
    CHECK(heard->text() == "re: " + prompts.back());
    CHECK(heard->text(stream_context.id) == heard->text());
    heard->chunks.clear();
    prompts.clear();
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "stuff, refine and map_reduce stream their last answer", "[stream]") {
  auto ask_with = [&](const char* prompt) { return asks(prompt); };
  check_last(
      spawn_stuff_chain(time.system, ask_with("all: {context}"), {.document_variable = "context"}),
      "output_text");
  check_last(spawn_refine_chain(time.system,
                 {ask_with("first: {context_str}"), ask_with("{existing_answer} + {context_str}")},
                 {.document_variable = "context_str", .answer_variable = "existing_answer"}),
      "output_text");
  auto combine =
      spawn_stuff_chain(time.system, ask_with("sum: {text}"), {.document_variable = "text"});
  map_reduce_options how;
  how.document_variable = "text";
  how.return_intermediate_steps = true;
  check_last(spawn_map_reduce_chain(time.system, {ask_with("map: {text}"), combine, {}}, how),
      "output_text");
}

TEST_CASE_METHOD(fixture, "questions over documents stream, but for the reranked", "[stream]") {
  for (auto type : {qa_type::stuff, qa_type::refine, qa_type::map_reduce}) {
    INFO(to_string(type));
    check_last(spawn_qa_chain(time.system, llm, type), "output_text");
  }
  check_last(spawn_summarize_chain(time.system, llm, summarize_type::map_reduce), "output_text");
  auto rerank = spawn_qa_chain(time.system, llm, qa_type::map_rerank);
  auto sourced = spawn_qa_with_sources_chain(time.system, llm, qa_type::stuff);
  for (const auto& chain : {rerank, sourced}) {
    CHECK(!may_stream(chain));
    CHECK(stream(chain, inputs).error == errc::unsupported);
  }
  CHECK(prompts.empty());
}

TEST_CASE_METHOD(fixture, "chains that look documents up stream their answer", "[stream]") {
  inputs = {{"query", "Who?"}};
  check_last(spawn_retrieval_qa_chain(time.system, llm, retriever), "result");
  inputs = {{"question", "Who?"}, {"chat_history", "Human: Hi\nAI: Ho"}};
  check_last(spawn_chat_vector_db_chain(time.system, llm, retriever), "answer");
  retrieval_qa_options options;
  options.documents_chain = spawn_qa_with_sources_chain(time.system, llm, qa_type::stuff);
  auto sourced = spawn_retrieval_qa_chain(time.system, llm, retriever, options);
  CHECK(stream(sourced, {{"query", "Who?"}}).error == errc::unsupported);
}

} // namespace document_streams_test

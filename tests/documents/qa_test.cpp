// Question answering and summaries, with chainmail's own prompts.
#include "support/chain_fixture.hpp"

#include <chainmail/documents/qa_chain.hpp>
#include <chainmail/documents/summarize_chain.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace qa_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

using fixture = chain_fixture;

values question_over(std::vector<document> documents) {
  return {{"question", "Who?"}, {"input_documents", std::move(documents)}};
}

std::vector<document> two() {
  return {{"Ada wrote it.", {{"source", "a.md"}}}, {"Bob read it.", {{"source", "b.md"}}}};
}

bool holds(const std::string& text, std::string_view piece) {
  return text.find(piece) != std::string::npos;
}

} // namespace

TEST_CASE("every type of question answering has a name") {
  for (auto type : {qa_type::stuff, qa_type::map_reduce, qa_type::refine, qa_type::map_rerank})
    CHECK(parse_qa_type(to_string(type)) == type);
  CHECK(!parse_qa_type("staff"));
}

TEST_CASE_METHOD(fixture, "each type of question answering takes documents and a question") {
  auto type = GENERATE(qa_type::stuff, qa_type::map_reduce, qa_type::refine, qa_type::map_rerank);
  reply = [](const std::string&) { return scripted_reply{"Ada\nScore: 90", {}, {}}; };
  auto chain = spawn_qa_chain(time.system, llm, type);
  auto description = description_of(chain);
  CHECK(description.input_keys == std::vector{"input_documents"s, "question"s});
  CHECK(description.output_keys == std::vector{"output_text"s});
  auto got = run(chain, question_over(two()));
  CHECK(text_of(got, "output_text").starts_with("Ada"));
  for (const auto& prompt : prompts)
    CHECK(holds(prompt, "Who?"));
}

TEST_CASE_METHOD(fixture, "stuff is told to say that it does not know") {
  run(spawn_qa_chain(time.system, llm, qa_type::stuff), question_over(two()));
  REQUIRE(prompts.size() == 1);
  CHECK(holds(prompts[0], "don't know"));
  CHECK(holds(prompts[0], "Ada wrote it.\n\nBob read it."));
  CHECK(prompts[0].ends_with("Helpful Answer:"));
}

TEST_CASE_METHOD(fixture, "map_reduce combines extracts after worked examples") {
  reply = [](const std::string& prompt) {
    return scripted_reply{prompt.ends_with("if any:") ? "an extract" : "the answer", {}, {}};
  };
  auto got = run(spawn_qa_chain(time.system, llm, qa_type::map_reduce), question_over(two()));
  CHECK(text_of(got, "output_text") == "the answer");
  REQUIRE(prompts.size() == 3);
  CHECK(holds(prompts[2], "Content: an extract\n\nContent: an extract"));
  CHECK(holds(prompts[2], "QUESTION: Who?"));
  CHECK(prompts[2].ends_with("FINAL ANSWER:"));
}

TEST_CASE_METHOD(fixture, "refine shows the existing answer and the next document") {
  run(spawn_qa_chain(time.system, llm, qa_type::refine), question_over(two()));
  REQUIRE(prompts.size() == 2);
  CHECK(holds(prompts[0], "Ada wrote it."));
  CHECK(holds(prompts[1], "existing answer: re: "));
  CHECK(holds(prompts[1], "Bob read it."));
}

TEST_CASE_METHOD(fixture, "prompts of question answering can be replaced") {
  qa_options options;
  options.prompt = prompt_template{"{context}? {question}"};
  options.parameters.temperature = 0;
  auto chain = spawn_qa_chain(time.system, llm, qa_type::stuff, options);
  CHECK(text_of(run(chain, question_over({{"x", {}}})), "output_text") == "re: x? Who?");
  CHECK(requests.at(0).parameters.temperature == 0);
  options.prompt = prompt_template{"{question}"};
  CHECK_THROWS_AS(spawn_qa_chain(time.system, llm, qa_type::stuff, options), std::invalid_argument);
}

TEST_CASE_METHOD(fixture, "each type of question answering has LangChain's variables") {
  qa_options options;
  options.prompt = prompt_template{"ask {context} {question}"};
  options.combine_prompt = prompt_template{"combine {summaries} {question}"};
  auto asked = [&](qa_type type) {
    prompts.clear();
    run(spawn_qa_chain(time.system, llm, type, options), question_over(two()));
    return prompts;
  };
  reply = [](const std::string&) { return scripted_reply{"x\nScore: 1", {}, {}}; };
  CHECK(asked(qa_type::map_rerank) ==
        std::vector{"ask Ada wrote it. Who?"s, "ask Bob read it. Who?"s});
  reply = [](const std::string&) { return scripted_reply{"x", {}, {}}; };
  CHECK(
      asked(qa_type::map_reduce) == std::vector{"ask Ada wrote it. Who?"s, "ask Bob read it. Who?"s,
                                        "combine Content: x\n\nContent: x Who?"s});
  options.prompt = prompt_template{"ask {context_str} {question}"};
  options.refine_prompt = prompt_template{"refine {existing_answer} {context_str} {question}"};
  CHECK(asked(qa_type::refine) ==
        std::vector{"ask Ada wrote it. Who?"s, "refine x Bob read it. Who?"s});
}

TEST_CASE_METHOD(fixture, "stuff has no intermediate steps to give") {
  qa_options options;
  options.return_intermediate_steps = true;
  CHECK_THROWS_AS(spawn_qa_chain(time.system, llm, qa_type::stuff, options), std::invalid_argument);
  CHECK_THROWS_AS(spawn_qa_chain(time.system, {}, qa_type::stuff), std::invalid_argument);
}

// -- with sources -------------------------------------------------------------------------

TEST_CASE("an answer is split from its sources") {
  CHECK(split_sources("It is Ada.\nSOURCES: a.md, b.md")->answer == "It is Ada.");
  CHECK(split_sources("It is Ada.\nSOURCES: a.md, b.md")->sources == "a.md, b.md");
}

TEST_CASE("an answer that names no sources has none") {
  CHECK(split_sources("It is Ada. ")->answer == "It is Ada.");
  CHECK(split_sources("It is Ada.")->sources.empty());
  CHECK(split_sources("I don't know.\nSOURCES:")->sources.empty());
}

TEST_CASE("sources that are named twice are an error") {
  CHECK(split_sources("a\nSOURCES: b\nSOURCES: c").error() == errc::malformed_response);
}

TEST_CASE_METHOD(fixture, "each type of question answering has a form with sources") {
  auto type = GENERATE(qa_type::stuff, qa_type::map_reduce, qa_type::refine, qa_type::map_rerank);
  reply = [&](const std::string& prompt) {
    if (type == qa_type::map_rerank)
      return scripted_reply{holds(prompt, "Bob") ? "Bob\nScore: 9" : "Ada\nScore: 1", {}, {}};
    return scripted_reply{"Bob\nSOURCES: b.md", {}, {}};
  };
  auto chain = spawn_qa_with_sources_chain(time.system, llm, type);
  CHECK(description_of(chain).output_keys == std::vector{"answer"s, "sources"s});
  auto got = run(chain, question_over(two()));
  CHECK(text_of(got, "answer") == "Bob");
  CHECK(text_of(got, "sources") == "b.md");
}

TEST_CASE_METHOD(fixture, "map_rerank names no source when no document answers") {
  reply = [](const std::string&) {
    return scripted_reply{"This document does not answer the question\nScore: 0", {}, {}};
  };
  auto chain = spawn_qa_with_sources_chain(time.system, llm, qa_type::map_rerank);
  auto got = run(chain, question_over(two()));
  CHECK(text_of(got, "sources").empty());
  CHECK(got.result->size() == 2);
}

TEST_CASE_METHOD(fixture, "documents are shown with their source, and must have one") {
  auto chain = spawn_qa_with_sources_chain(time.system, llm, qa_type::stuff);
  run(chain, question_over(two()));
  REQUIRE(prompts.size() == 1);
  CHECK(holds(prompts[0], "Content: Ada wrote it.\nSource: a.md\n\nContent: Bob"));
  auto got = run(chain, question_over({{"no source", {}}}));
  CHECK(got.error == errc::missing_input);
  CHECK(holds(sentence_of(got.error), "'source'"));
}

TEST_CASE_METHOD(fixture, "intermediate steps pass through the form with sources") {
  reply = [](const std::string&) { return scripted_reply{"x\nSOURCES: a.md", {}, {}}; };
  qa_options options;
  options.return_intermediate_steps = true;
  auto chain = spawn_qa_with_sources_chain(time.system, llm, qa_type::refine, options);
  auto got = run(chain, question_over(two()));
  REQUIRE(got.result);
  CHECK(std::get<std::vector<std::string>>(got.result->at("intermediate_steps")).size() == 2);
}

// -- summaries ----------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "stuff summarises all documents in one prompt") {
  auto chain = spawn_summarize_chain(time.system, llm, summarize_type::stuff);
  CHECK(description_of(chain).input_keys == std::vector{"input_documents"s});
  auto got = run(chain, {{"input_documents", two()}});
  CHECK(prompts.size() == 1);
  CHECK(holds(text_of(got, "output_text"), "\"Ada wrote it.\n\nBob read it.\""));
}

TEST_CASE_METHOD(fixture, "map_reduce summarises each document, then the summaries") {
  reply = [](const std::string& prompt) {
    return scripted_reply{holds(prompt, "short") && holds(prompt, "wrote") ? "A" : "B", {}, {}};
  };
  auto chain = spawn_summarize_chain(time.system, llm, summarize_type::map_reduce);
  CHECK(text_of(run(chain, {{"input_documents", two()}}), "output_text") == "B");
  REQUIRE(prompts.size() == 3);
  CHECK(holds(prompts[2], "\"A\n\nB\""));
}

TEST_CASE_METHOD(fixture, "refine betters the summary document by document") {
  reply = [](const std::string& prompt) {
    return scripted_reply{holds(prompt, "existing summary") ? "better" : "first", {}, {}};
  };
  summarize_options options;
  options.return_intermediate_steps = true;
  auto chain = spawn_summarize_chain(time.system, llm, summarize_type::refine, options);
  auto got = run(chain, {{"input_documents", two()}});
  CHECK(got.result->at("intermediate_steps") == value{std::vector{"first"s, "better"s}});
  CHECK(holds(prompts.at(1), "certain point: first"));
}

} // namespace qa_test

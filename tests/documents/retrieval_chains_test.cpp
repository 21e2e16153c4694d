// The chains that look documents up: retrieval QA, and the conversation over documents.
#include "support/chain_fixture.hpp"
#include "support/scripted_chain.hpp"

#include <chainmail/documents/chat_history.hpp>
#include <chainmail/documents/chat_vector_db_chain.hpp>
#include <chainmail/documents/retrieval_qa_chain.hpp>
#include <chainmail/memory/show_conversation.hpp>

#include <caf/expected.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <map>

namespace retrieval_chains_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture : chain_fixture {
  std::vector<retrieval_query> queries;
  std::map<std::string, conversation> remembered;

  /// Finds the same three documents for every query.
  retriever_actor retriever = time.system.spawn([this]() -> retriever_actor::behavior_type {
    return {
        [this](retrieve_atom, const retrieval_query& query, const call_context&) {
          queries.push_back(query);
          std::vector<scored_document> found = {{1, {"Ada wrote it.", {{"source", "a.md"}}}, 0.9},
              {2, {"Bob read it.", {{"source", "b.md"}}}, 0.8},
              {3, {"Cleo sold it.", {{"source", "c.md"}}}, 0.7}};
          found.resize(std::min<size_t>(found.size(), query.k));
          return found;
        },
        [](cancel_atom, const call_id&) {},
    };
  });

  memory_actor memory = time.system.spawn([this]() -> memory_actor::behavior_type {
    return {
        [this](load_atom, const std::string& key, const call_context&) { return remembered[key]; },
        [this](save_atom, const std::string& key, const conversation_turn& turn,
            const call_context&) { remembered[key].turns.push_back(turn); },
        [this](erase_atom, const std::string& key) { remembered.erase(key); },
        [](cancel_atom, const call_id&) {},
    };
  });

  fixture() {
    reply = [](const std::string& prompt) {
      return scripted_reply{
          prompt.ends_with("Standalone question:") ? "Who wrote the book?" : "the answer", {}, {}};
    };
  }
};

bool holds(const std::string& text, std::string_view piece) {
  return text.find(piece) != std::string::npos;
}

} // namespace

// -- retrieval QA -------------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "retrieval QA answers a query from the documents found for it") {
  auto chain = spawn_retrieval_qa_chain(time.system, llm, retriever);
  CHECK(description_of(chain).input_keys == std::vector{"query"s});
  CHECK(description_of(chain).output_keys == std::vector{"result"s});
  auto got = run(chain, {{"query", "Who wrote it?"}});
  CHECK(*got.result == values{{"result", "the answer"}});
  REQUIRE(queries.size() == 1);
  CHECK(queries[0].text == "Who wrote it?");
  CHECK(queries[0].k == 4);
  CHECK(holds(prompts.at(0), "Ada wrote it.\n\nBob read it.\n\nCleo sold it."));
  CHECK(holds(prompts.at(0), "Question: Who wrote it?"));
}

TEST_CASE_METHOD(fixture, "retrieval QA gives its source documents on request") {
  retrieval_qa_options options;
  options.k = 2;
  options.return_source_documents = true;
  auto chain = spawn_retrieval_qa_chain(time.system, llm, retriever, options);
  auto got = run(chain, {{"query", "?"}});
  auto sources = std::get<std::vector<document>>(got.result->at("source_documents"));
  REQUIRE(sources.size() == 2);
  CHECK(sources[0].metadata.at("source") == "a.md");
}

TEST_CASE_METHOD(fixture, "retrieval QA with a sources chain gives answer and sources") {
  reply = [](const std::string&) { return scripted_reply{"Ada\nSOURCES: a.md", {}, {}}; };
  retrieval_qa_options options;
  options.documents_chain = spawn_qa_with_sources_chain(time.system, llm, qa_type::stuff);
  auto chain = spawn_retrieval_qa_chain(time.system, llm, retriever, options);
  CHECK(description_of(chain).output_keys == std::vector{"answer"s, "sources"s});
  auto got = run(chain, {{"query", "?"}});
  CHECK(*got.result == values{{"answer", "Ada"}, {"sources", "a.md"}});
}

TEST_CASE_METHOD(fixture, "what a documents chain gives is held to what it says it gives") {
  auto answers = [this](values outputs) {
    return spawn_scripted_chain(time.system, {"input_documents", "question"}, {"answer", "sources"},
        [outputs](const job_ptr& job) { job->answer(outputs); });
  };
  auto check = [&](const values& outputs, auto hold) {
    retrieval_qa_options once;
    once.documents_chain = answers(outputs);
    hold(run(spawn_retrieval_qa_chain(time.system, llm, retriever, once), {{"query", "?"}}));
    chat_vector_db_options chat;
    chat.documents_chain = answers(outputs);
    hold(run(spawn_chat_vector_db_chain(time.system, llm, retriever, chat), {{"question", "?"}}));
  };
  check({{"answer", "Ada"}, {"sources", "a.md"}, {"mood", "good"}}, [](const auto& got) {
    CHECK(got.result == values{{"answer", "Ada"}, {"sources", "a.md"}});
  });
  check({{"answer", "Ada"}}, [](const auto& got) {
    CHECK(got.error == errc::malformed_response);
    CHECK(holds(sentence_of(got.error), "'sources'"));
  });
}

TEST_CASE_METHOD(fixture, "retrieval chains refuse handles and numbers that can never work") {
  retrieval_qa_options none;
  none.k = 0;
  CHECK_THROWS_AS(spawn_retrieval_qa_chain(time.system, llm, {}), std::invalid_argument);
  CHECK_THROWS_AS(spawn_retrieval_qa_chain(time.system, {}, retriever), std::invalid_argument);
  CHECK_THROWS_AS(
      spawn_retrieval_qa_chain(time.system, llm, retriever, none), std::invalid_argument);
  chat_vector_db_options wrong;
  wrong.condense_prompt = prompt_template{"{question}"};
  CHECK_THROWS_AS(
      spawn_chat_vector_db_chain(time.system, llm, retriever, wrong), std::invalid_argument);
}

TEST_CASE_METHOD(fixture, "a retriever's error is the chain's") {
  auto broken = retriever_actor{time.system.spawn([]() -> retriever_actor::behavior_type {
    return {
        [](retrieve_atom, const retrieval_query&,
            const call_context&) -> caf::result<std::vector<scored_document>> {
          return make_failure(errc::server_error, "no index");
        },
        [](cancel_atom, const call_id&) {},
    };
  })};
  auto chain = spawn_retrieval_qa_chain(time.system, llm, broken);
  CHECK(run(chain, {{"query", "?"}}).error == errc::server_error);
}

// -- chat over documents ------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "the first question of a conversation is not condensed") {
  auto chain = spawn_chat_vector_db_chain(time.system, llm, retriever);
  CHECK(description_of(chain).input_keys == std::vector{"question"s});
  auto got = run(chain, {{"question", "Who wrote it?"}});
  CHECK(*got.result == values{{"answer", "the answer"}});
  CHECK(prompts.size() == 1);
  CHECK(queries.at(0).text == "Who wrote it?");
  CHECK(queries.at(0).k == 4);
  auto empty = run(chain, {{"question", "?"}, {"chat_history", std::vector<chat_message>{}}});
  CHECK(empty.result);
  CHECK(prompts.size() == 2);
}

TEST_CASE_METHOD(fixture, "with a history, the condensed question is looked up and asked") {
  auto chain = spawn_conversational_retrieval_chain(time.system, llm, retriever);
  std::vector<chat_message> history = {{"user", "Which book?"}, {"assistant", "The red one."}};
  auto got = run(chain, {{"question", "And who wrote it?"}, {"chat_history", history}});
  CHECK(text_of(got, "answer") == "the answer");
  REQUIRE(prompts.size() == 2);
  CHECK(holds(
      prompts[0], "Human: Which book?\nAI: The red one.\nFollow Up Input: And who wrote it?"));
  CHECK(queries.at(0).text == "Who wrote the book?");
  CHECK(holds(prompts[1], "Question: Who wrote the book?"));
}

TEST_CASE_METHOD(fixture, "a follow-up that the model makes nothing of is looked up as it is") {
  reply = [](const std::string& prompt) {
    return scripted_reply{prompt.ends_with("Standalone question:") ? " \n" : "the answer", {}, {}};
  };
  auto chain = spawn_chat_vector_db_chain(time.system, llm, retriever);
  auto got = run(chain, {{"question", "And who?"}, {"chat_history", "Human: Which book?"}});
  CHECK(text_of(got, "answer") == "the answer");
  CHECK(queries.at(0).text == "And who?");
}

TEST_CASE_METHOD(fixture, "the history goes to the documents chain only if that takes it") {
  std::vector<bool> had_history;
  auto answers = [&](std::vector<std::string> inputs) {
    chat_vector_db_options options;
    options.documents_chain =
        spawn_scripted_chain(time.system, std::move(inputs), {"text"}, [&](const job_ptr& job) {
          had_history.push_back(job->inputs.contains("chat_history"));
          job->answer({{"text", "x"}});
        });
    auto chain = spawn_chat_vector_db_chain(time.system, llm, retriever, options);
    CHECK(run(chain, {{"question", "?"}, {"chat_history", "Human: Which book?"}}).result);
  };
  answers({"input_documents", "question"});
  answers({"input_documents", "question", "chat_history"});
  CHECK(had_history == std::vector{false, true});
}

TEST_CASE_METHOD(fixture, "a history may come as messages, as texts in turns or as one text") {
  std::vector<chat_message> messages = {{"user", "a"}, {"assistant", "b"}, {"user", "c"}};
  CHECK(show_conversation(*read_chat_history(messages)) == "Human: a\nAI: b\nHuman: c");
  CHECK(show_conversation(*read_chat_history(std::vector{"a"s, "b"s, "c"s})) ==
        "Human: a\nAI: b\nHuman: c");
  CHECK(show_conversation(*read_chat_history("as it was")) == "as it was");
  CHECK(read_chat_history(3).error() == errc::invalid_input);
  CHECK(read_chat_history(std::vector<chat_message>{{"tool", "x"}}).error() == errc::invalid_input);
}

TEST_CASE_METHOD(fixture, "source documents come with a chat's answer on request") {
  chat_vector_db_options options;
  options.return_source_documents = true;
  auto chain = spawn_chat_vector_db_chain(time.system, llm, retriever, options);
  auto got = run(chain, {{"question", "?"}});
  CHECK(std::get<std::vector<document>>(got.result->at("source_documents")).size() == 3);
}

TEST_CASE_METHOD(fixture, "a chat over a sources chain gives the sources beside the answer") {
  reply = [](const std::string&) { return scripted_reply{"Ada\nSOURCES: a.md", {}, {}}; };
  chat_vector_db_options options;
  options.documents_chain = spawn_qa_with_sources_chain(time.system, llm, qa_type::stuff);
  options.memory = memory;
  auto chain = spawn_chat_vector_db_chain(time.system, llm, retriever, options);
  CHECK(description_of(chain).output_keys == std::vector{"answer"s, "sources"s});
  auto got = run(chain, {{"question", "Who?"}});
  CHECK(*got.result == values{{"answer", "Ada"}, {"sources", "a.md"}});
  CHECK(remembered["default"].turns.at(0) == conversation_turn{"Who?", "Ada"});
}

TEST_CASE_METHOD(fixture, "documents beyond the token limit are left out") {
  chat_vector_db_options options;
  options.max_tokens_limit = 25;
  options.count_tokens = [](std::string_view text) { return text.size(); };
  options.return_source_documents = true;
  auto chain = spawn_chat_vector_db_chain(time.system, llm, retriever, options);
  auto got = run(chain, {{"question", "?"}}); // 13 + 12 characters fit, 13 more do not
  CHECK(std::get<std::vector<document>>(got.result->at("source_documents")).size() == 2);
  CHECK(!holds(prompts.at(0), "Cleo"));
}

TEST_CASE_METHOD(fixture, "concurrent conversations of one chain never mix") {
  chat_vector_db_options options;
  options.memory = memory;
  auto chain = spawn_chat_vector_db_chain(time.system, llm, retriever, options);
  auto asked = [&](const char* who, const char* question) {
    return start(chain, {{"conversation", who}, {"question", question}});
  };
  auto first = asked("ada", "Is Ada here?");
  auto second = asked("bob", "Is Bob here?");
  time.settle();
  REQUIRE((first->result && second->result));
  prompts.clear();
  asked("ada", "Where?");
  asked("bob", "When?");
  time.settle();
  auto condensed = 0;
  for (const auto& prompt : prompts)
    if (prompt.ends_with("Standalone question:")) {
      ++condensed;
      CHECK(holds(prompt, "Where?") == holds(prompt, "Is Ada here?"));
      CHECK(holds(prompt, "When?") == holds(prompt, "Is Bob here?"));
    }
  CHECK(condensed == 2);
  CHECK(remembered["ada"].turns.size() == 2);
  CHECK(remembered["ada"].turns[1] == conversation_turn{"Where?", "the answer"});
}

TEST_CASE_METHOD(fixture, "a failed call leaves nothing in the memory") {
  reply = [](const std::string&) {
    return scripted_reply{{}, make_failure(errc::server_error, "broken"), {}};
  };
  chat_vector_db_options options;
  options.memory = memory;
  auto chain = spawn_chat_vector_db_chain(time.system, llm, retriever, options);
  CHECK(run(chain, {{"question", "?"}}).error == errc::server_error);
  CHECK(remembered["default"].turns.empty());
  CHECK(run(chain, {{"question", "?"}, {"conversation", ""}}).error == errc::invalid_input);
}

} // namespace retrieval_chains_test

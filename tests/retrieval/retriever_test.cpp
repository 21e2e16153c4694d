#include "support/stub_embedder.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/retrieval/retriever.hpp>
#include <chainmail/retrieval/vector_index_actor.hpp>

#include <caf/scoped_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <limits>

namespace retriever_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

using id_list = std::vector<uint64_t>;
using found_list = std::vector<scored_document>;

/// Keeps every call until it is cancelled.
struct patient_embedder_state {
  explicit patient_embedder_state(embedder_actor::pointer self_ptr) : self(self_ptr) {}

  embedder_actor::behavior_type make_behavior() {
    return {
        [this](embed_atom, const embed_request&,
            const call_context& context) -> caf::result<embeddings> {
          id = context.id;
          caller = self->make_response_promise<embeddings>();
          return caller;
        },
        [this](cancel_atom, const call_id& which) {
          if (which == id)
            caller.deliver(make_failure(errc::cancelled, "given up"));
        },
    };
  }

  embedder_actor::pointer self;
  call_id id;
  caf::typed_response_promise<embeddings> caller;
};

struct room {
  virtual_time time;
  embedder_actor embedder = spawn_stub_embedder(time.system);
  vector_index_actor index = spawn_vector_index(time.system);

  room() {
    auto indexer = spawn_indexer(time.system, embedder, index);
    std::vector<document> documents = {{"a b", {{"lang", "en"}, {"year", "1"}}},
        {"a b", {{"lang", "de"}, {"year", "1"}}}, {"a c", {{"lang", "en"}, {"year", "2"}}},
        {"d", {}}};
    auto added = ask<document_ids>(time, indexer, add_atom_v, documents, time.context());
    time.settle();
    REQUIRE(added->result);
    CHECK(added->result->ids == id_list{1, 2, 3, 4});
  }

  auto retrieve(const retriever_options& options, const retrieval_query& query) {
    auto retriever = spawn_retriever(time.system, embedder, index, options);
    auto result = ask<found_list>(time, retriever, retrieve_atom_v, query, time.context());
    time.settle();
    return result;
  }

  id_list ids(const retriever_options& options, const retrieval_query& query) {
    auto found = retrieve(options, query);
    REQUIRE(found->result);
    id_list result;
    for (const auto& x : *found->result)
      result.push_back(x.id);
    return result;
  }
};

} // namespace

TEST_CASE("a retriever finds the documents nearest to a text") {
  room here;
  CHECK(here.ids({}, {"a b", 3, {}}) == id_list{1, 2, 3});
  CHECK(here.ids({}, {"d", 1, {}}) == id_list{4});
}

TEST_CASE("a retriever's filter and the query's apply together, and a conflict finds nothing") {
  room here;
  retriever_options english;
  english.filter.equal["lang"] = "en";
  CHECK(here.ids(english, {"a b", 4, {}}) == id_list{1, 3});
  CHECK(here.ids(english, {"a b", 4, {{{"year", "2"}}}}) == id_list{3});
  CHECK(here.ids(english, {"a b", 4, {{{"lang", "en"}}}}) == id_list{1, 3});
  CHECK(here.ids(english, {"a b", 4, {{{"lang", "de"}}}}).empty());
}

TEST_CASE("a retriever leaves out what is below its threshold, and seeks variety when told to") {
  room here;
  retriever_options options;
  options.score_threshold = 0.4;
  CHECK(here.ids(options, {"a b", 4, {}}) == id_list{1, 2, 3});
  options.score_threshold = 0.9;
  CHECK(here.ids(options, {"a b", 4, {}}) == id_list{1, 2});
  options = {};
  options.mmr_lambda = 0.3;
  CHECK(here.ids(options, {"a b", 2, {}}) == id_list{1, 4});
}

TEST_CASE("a query without a text or without a place for documents is refused") {
  room here;
  CHECK(here.retrieve({}, {"", 4, {}})->error == errc::invalid_input);
  CHECK(here.retrieve({}, {"a", 0, {}})->error == errc::invalid_input);
}

TEST_CASE("a retriever passes on what the index says of another model") {
  room here;
  here.embedder = spawn_stub_embedder(here.time.system, 32);
  auto found = here.retrieve({}, {"a", 1, {}});
  CHECK(found->error == errc::invalid_input);
  CHECK(sentence_of(found->error).find("stub-32") != std::string::npos);
}

TEST_CASE("a cancelled retrieval is given up by the embedder, and one past its deadline ends") {
  room here;
  here.embedder =
      here.time.system.spawn<caf::stateful_actor<patient_embedder_state, embedder_actor::impl>>();
  auto retriever = spawn_retriever(here.time.system, here.embedder, here.index);
  auto context = here.time.context();
  auto found =
      ask<found_list>(here.time, retriever, retrieve_atom_v, retrieval_query{"a", 1, {}}, context);
  here.time.settle();
  CHECK(found->pending());
  compat::anon_send(retriever, cancel_atom_v, context.id);
  here.time.settle();
  CHECK(found->error == errc::cancelled);
  auto late = ask<found_list>(
      here.time, retriever, retrieve_atom_v, retrieval_query{"a", 1, {}}, here.time.context(0s));
  here.time.settle();
  CHECK(late->error == errc::timed_out);
}

TEST_CASE("the death of the embedder or of the index ends a retrieval") {
  room here;
  caf::anon_send_exit(here.index, caf::exit_reason::kill);
  here.time.settle();
  CHECK(here.retrieve({}, {"a", 1, {}})->error == errc::shut_down);
  caf::anon_send_exit(here.embedder, caf::exit_reason::kill);
  here.time.settle();
  CHECK(here.retrieve({}, {"a", 1, {}})->error == errc::shut_down);
}

TEST_CASE("an indexer adds nothing for no documents, and all or none otherwise") {
  room here;
  auto indexer = spawn_indexer(here.time.system, here.embedder, here.index);
  auto add = [&](std::vector<document> documents) {
    auto result = ask<document_ids>(
        here.time, indexer, add_atom_v, std::move(documents), here.time.context());
    here.time.settle();
    return result;
  };
  CHECK(add({})->result->ids.empty());
  CHECK(add({{"fine", {}}, {"", {}}})->error == errc::invalid_input);
  CHECK(add({{"fine", {}}})->result->ids == id_list{5});
}

TEST_CASE("a program adds documents and waits for their IDs") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  auto embedder = spawn_stub_embedder(system);
  auto index = spawn_vector_index(system);
  auto ids = add_documents(self, embedder, index, {{"a", {}}, {"b", {}}}, 1min);
  REQUIRE(ids);
  CHECK(ids->ids == id_list{1, 2});
  auto patient = system.spawn<caf::stateful_actor<patient_embedder_state, embedder_actor::impl>>();
  CHECK(add_documents(self, patient, index, {{"a", {}}}, 1ms).error() == errc::timed_out);
  caf::anon_send_exit(patient, caf::exit_reason::kill);
  caf::anon_send_exit(index, caf::exit_reason::kill);
  CHECK(add_documents(self, embedder, index, {{"a", {}}}, 1min).error() == errc::shut_down);
}

TEST_CASE("retrievers and indexers with parts that can never work are not spawned") {
  room here;
  auto spawn = [&here](retriever_options options) {
    spawn_retriever(here.time.system, here.embedder, here.index, options);
  };
  auto nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(spawn({1.5, 20, {}, {}}), std::invalid_argument);
  CHECK_THROWS_AS(spawn({nan, 20, {}, {}}), std::invalid_argument);
  CHECK_THROWS_AS(spawn({-1, 20, {}, nan}), std::invalid_argument);
  CHECK_THROWS_AS(spawn_retriever(here.time.system, {}, here.index), std::invalid_argument);
  CHECK_THROWS_AS(spawn_indexer(here.time.system, here.embedder, {}), std::invalid_argument);
}

} // namespace retriever_test

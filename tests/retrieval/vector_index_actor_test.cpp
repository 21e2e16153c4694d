#include "support/stub_embedder.hpp"
#include "support/temporary_folder.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/retrieval/vector_index_actor.hpp>

#include <caf/scoped_actor.hpp>
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <limits>
#include <random>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace vector_index_actor_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

using id_list = document_ids;
using found_list = std::vector<scored_document>;

document about(std::string text, const std::string& lang = "en") {
  return {std::move(text), {{"lang", lang}}};
}

embeddings vectors_of(const std::vector<document>& documents) {
  std::vector<std::string> texts;
  for (const auto& x : documents)
    texts.push_back(x.content);
  return hashed(texts);
}

search_options best(uint32_t k, metadata_filter filter = {}) {
  return {k, std::move(filter), -1, 20};
}

/// An index with a thread of its own, and a caller that waits for it.
class disk {
  struct config : caf::actor_system_config {
    config() { set("caf.scheduler.max-threads", 1); }
  };

  config config_;

public:
  caf::actor_system system{config_};
  caf::scoped_actor self{system};
  vector_index_actor index;

  explicit disk(const std::string& folder) : index(spawn_vector_index(system, {folder})) {}

  template <class Result, class... Ts>
  Result ask(Ts... xs) {
    Result result{};
    compat::request(self.ptr(), index, std::move(xs)...)
        .receive([&](Result& x) { result = std::move(x); },
            [&](caf::error& error) { throw std::runtime_error{describe(error)}; });
    return result;
  }

  id_list add(const std::vector<document>& documents) {
    return ask<id_list>(add_atom_v, documents, vectors_of(documents), call_context{});
  }

  void save() {
    compat::request(self.ptr(), index, save_atom_v, call_context{})
        .receive([] {}, [](caf::error& error) { throw std::runtime_error{describe(error)}; });
  }

  index_status status() { return ask<index_status>(status_atom_v); }

  /// Whether each document that is found is one whose vector was searched for.
  bool is_consistent() {
    for (uint64_t i = 1; i <= 60; ++i) {
      auto text = "word" + std::to_string(i);
      for (const auto& x : ask<found_list>(search_atom_v, hashed({text}), best(3), call_context{}))
        if (x.score > 0.999 && hashed({x.found.content}).numbers != hashed({text}).numbers)
          return false;
    }
    return true;
  }
};

std::string problem_with(const std::string& folder) {
  try {
    disk here{folder};
    return {};
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

struct room {
  virtual_time time;
  vector_index_actor index = spawn_vector_index(time.system);

  template <class Result, class... Ts>
  std::shared_ptr<reply<Result>> ask(Ts... xs) {
    auto result = test::ask<Result>(time, index, std::move(xs)...);
    time.settle();
    return result;
  }

  auto add(const std::vector<document>& documents, const embeddings& rows) {
    return ask<id_list>(add_atom_v, documents, rows, time.context());
  }

  auto add(const std::vector<document>& documents) { return add(documents, vectors_of(documents)); }

  auto search(const std::string& text, const search_options& options) {
    return ask<found_list>(search_atom_v, hashed({text}), options, time.context());
  }

  index_status status() { return *ask<index_status>(status_atom_v)->result; }
};

std::vector<std::string> contents(const std::shared_ptr<reply<found_list>>& found) {
  REQUIRE(found->result);
  std::vector<std::string> result;
  for (const auto& x : *found->result)
    result.push_back(x.found.content);
  return result;
}

} // namespace

// -- in memory --------------------------------------------------------------------------------

TEST_CASE("an index finds documents by their vectors, with scores and metadata") {
  room here;
  CHECK(*here.add({about("red apple"), about("green apple", "de"), about("blue sky")})->result ==
        id_list{{1, 2, 3}});
  auto found = here.search("red apple", best(2));
  CHECK(contents(found) == std::vector{"red apple"s, "green apple"s});
  CHECK((*found->result)[0].score == Catch::Approx(1));
  CHECK((*found->result)[1].score == Catch::Approx(0.5));
  CHECK((*found->result)[1].id == 2);
  CHECK((*found->result)[1].found.metadata.at("lang") == "de");
  CHECK(contents(here.search("red apple", best(4, {{{"lang", "de"}}}))) ==
        std::vector{"green apple"s});
  CHECK(contents(here.search("red apple", best(4, {{{"lang", "fr"}}}))).empty());
}

TEST_CASE("an index searches with marginal relevance when it is told to") {
  room here;
  here.add({about("a b c"), about("a b c"), about("a x y")});
  CHECK(contents(here.search("a b c", best(2))) == std::vector{"a b c"s, "a b c"s});
  search_options diverse{2, {}, 0.3, 3};
  CHECK(contents(here.search("a b c", diverse)) == std::vector{"a b c"s, "a x y"s});
}

TEST_CASE("a large index links its graph between the calls") {
  virtual_time time;
  auto index = spawn_vector_index(time.system, {{}, 10});
  std::vector<document> many;
  for (int i = 0; i < 100; ++i)
    many.push_back(about("word" + std::to_string(i)));
  ask<id_list>(time, index, add_atom_v, many, vectors_of(many), time.context());
  auto is_exact = [&] {
    auto status = ask<index_status>(time, index, status_atom_v);
    time.settle();
    return status->result->is_exact;
  };
  auto finds = [&](const std::string& text) {
    auto found = ask<found_list>(
        time, index, search_atom_v, vectors_of({about(text)}), best(1), time.context());
    time.settle();
    return found->result->at(0).score > 0.999;
  };
  time.settle();
  CHECK(is_exact());
  time.advance(1ms);
  CHECK_FALSE(is_exact());
  CHECK(finds("word1"));
  CHECK(finds("word99"));
  for (int i = 0; i < 10; ++i)
    time.advance(1ms);
  CHECK(finds("word1"));
  CHECK(finds("word99"));
}

TEST_CASE("an index that is empty finds nothing, and says so") {
  room here;
  CHECK(contents(here.search("x", best(3))).empty());
  auto status = here.status();
  CHECK(status.documents == 0);
  CHECK(status.dimension == 0);
  CHECK(status.is_exact);
  CHECK_FALSE(status.has_unsaved_changes);
  CHECK(*here.add({})->result == id_list{});
}

TEST_CASE("an index takes all documents or none") {
  room here;
  here.add({about("first")});
  auto refused = [&here](const std::vector<document>& documents, const embeddings& rows) {
    auto result = here.add(documents, rows);
    CHECK(result->error == errc::invalid_input);
    CHECK(here.status().documents == 1);
    return sentence_of(result->error);
  };
  refused({about("a"), about("b")}, hashed({"a"}));
  refused({}, hashed({"a"}));
  refused({about("a")}, {});
  refused({about("a"), about("b")}, hashed({"a", ""}));
  CHECK(refused({about("a")}, hashed({"a"}, 32)).find("stub-32") != std::string::npos);
  CHECK(*here.add({about("second")})->result == id_list{{2}});
  CHECK(here.status().model == "stub-64");
  CHECK(here.status().dimension == 64);
}

TEST_CASE("searches that can never work are refused") {
  room here;
  here.add({about("first")});
  auto code = [&here](const embeddings& query, const search_options& options) {
    return code_of(here.ask<found_list>(search_atom_v, query, options, here.time.context())->error);
  };
  auto nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(code(hashed({"a"}), best(0)) == errc::invalid_input);
  CHECK(code({}, best(1)) == errc::invalid_input);
  CHECK(code(hashed({"a", "b"}), best(1)) == errc::invalid_input);
  CHECK(code(hashed({"a"}, 32), best(1)) == errc::invalid_input);
  CHECK(code(hashed({""}), best(1)) == errc::invalid_input);
  CHECK(code(hashed({"a"}), {1, {}, 1.5, 20}) == errc::invalid_input);
  CHECK(code(hashed({"a"}), {1, {}, nan, 20}) == errc::invalid_input);
  CHECK(code(hashed({"a"}), {1, {}, 0.5, 2001}) == errc::invalid_input);
  CHECK(code(hashed({"a"}), best(UINT32_MAX)) == errc::none);
}

TEST_CASE("documents are erased by ID and by metadata, and listed by key") {
  room here;
  here.add({about("a", "en"), about("b", "de"), about("c", "de"), about("d", "fr")});
  auto context = here.time.context();
  CHECK(here.ask<metadata_texts>(list_atom_v, "lang"s, context)->result->texts ==
        std::vector{"de"s, "en"s, "fr"s});
  CHECK(*here.ask<uint64_t>(erase_atom_v, id_list{{1, 1, 9}}, context)->result == 1);
  CHECK(*here.ask<uint64_t>(erase_atom_v, metadata_filter{{{"lang", "de"}}}, context)->result == 2);
  CHECK(contents(here.search("a", best(9))) == std::vector{"d"s});
  CHECK(*here.ask<uint64_t>(erase_atom_v, metadata_filter{}, context)->result == 1);
  CHECK(here.status().documents == 0);
  CHECK(*here.add({about("e")})->result == id_list{{5}});
}

TEST_CASE("an index begins no work past the deadline") {
  room here;
  auto late = here.time.context(0s);
  CHECK(here.ask<id_list>(add_atom_v, std::vector{about("a")}, hashed({"a"}), late)->error ==
        errc::timed_out);
  CHECK(
      here.ask<found_list>(search_atom_v, hashed({"a"}), best(1), late)->error == errc::timed_out);
  CHECK(here.status().documents == 0);
}

TEST_CASE("an index in memory cannot be saved, and says what to do") {
  room here;
  auto saved = ask<caf::unit_t>(
      here.time, caf::actor_cast<caf::actor>(here.index), save_atom_v, here.time.context());
  here.time.settle();
  CHECK(saved->error == errc::unsupported);
  CHECK(sentence_of(saved->error).find("folder") != std::string::npos);
}

// -- on disk ------------------------------------------------------------------------------------

TEST_CASE("an index that was saved is there again, with the same IDs") {
  temporary_folder folder;
  {
    disk here{folder.path("index")};
    CHECK(here.add({about("red apple"), about("blue sky")}) == id_list{{1, 2}});
    CHECK(here.status().has_unsaved_changes);
    here.save();
    CHECK_FALSE(here.status().has_unsaved_changes);
  }
  disk here{folder.path("index")};
  CHECK(here.status().documents == 2);
  CHECK(here.status().model == "stub-64");
  CHECK(here.status().dropped_at_open == 0);
  auto found = here.ask<found_list>(search_atom_v, hashed({"blue sky"}), best(1), call_context{});
  REQUIRE(found.size() == 1);
  CHECK(found[0].id == 2);
  CHECK(found[0].found.content == "blue sky");
}

TEST_CASE("what was added after the last save is dropped when the index is opened again") {
  temporary_folder folder;
  auto path = folder.path("index");
  auto child = fork();
  if (child == 0) {
    disk here{path};
    here.add({about("one"), about("two"), about("three")});
    here.save();
    here.add({about("four"), about("five")});
    here.ask<uint64_t>(erase_atom_v, id_list{{2, 5}}, call_context{});
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  {
    disk here{path};
    CHECK(here.status().documents == 2);
    CHECK(here.status().dropped_at_open == 2); // the document of "four", the vector of "two"
    CHECK(here.status().has_unsaved_changes);
    auto found = here.ask<found_list>(search_atom_v, hashed({"two"}), best(9), call_context{});
    CHECK(found.size() == 2);
    CHECK(here.add({about("six")}) == id_list{{6}});
    here.save();
  }
  disk here{path};
  CHECK(here.status().documents == 3);
  CHECK(here.status().dropped_at_open == 0);
}

TEST_CASE("an index whose documents are an older copy takes new ones") {
  temporary_folder folder;
  auto path = folder.path("index");
  auto documents = path + "/documents.sqlite";
  {
    disk here{path};
    here.add({about("one"), about("two")});
    here.save();
  }
  auto older = read_file(documents);
  {
    disk here{path};
    here.add({about("three"), about("four")});
    here.save();
  }
  write_file(documents, older);
  disk here{path};
  CHECK(here.status().documents == 2);
  CHECK(here.status().dropped_at_open == 2);
  CHECK(here.add({about("five")}) == id_list{{5}});
  CHECK(here.is_consistent());
}

TEST_CASE("an index that is killed at any moment never mixes up documents") {
  temporary_folder folder;
  auto path = folder.path("index");
  std::mt19937 random{std::random_device{}()};
  for (int round = 0; round < 10; ++round) {
    int at_work[2];
    REQUIRE(pipe(at_work) == 0);
    auto child = fork();
    if (child == 0) {
      disk here{path};
      for (uint64_t next = 1;; next = next % 60 + 1) {
        auto ids = here.add({about("word" + std::to_string(next)), about("passing")});
        here.save();
        here.ask<uint64_t>(erase_atom_v, id_list{{ids.ids[1]}}, call_context{});
        if (write(at_work[1], "x", 1) != 1)
          _exit(1);
      }
    }
    close(at_work[1]);
    char ignored = 0;
    CHECK(read(at_work[0], &ignored, 1) == 1);
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds{random() % 20000};
    while (std::chrono::steady_clock::now() < until) {
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    close(at_work[0]);
    REQUIRE(WIFSIGNALED(status));
    disk here{path};
    CHECK(here.status().documents > 0);
    CHECK(here.status().dropped_at_open <= 4);
    CHECK(here.is_consistent());
    here.save();
  }
}

TEST_CASE("a folder is open once at a time, and free when the last handle is gone") {
  temporary_folder folder;
  disk here{folder.path("index")};
  here.add({about("one")});
  here.save();
  auto problem = problem_with(folder.path("index"));
  CHECK(problem.find("another index has it open") != std::string::npos);
  CHECK(problem.find(folder.path("index")) != std::string::npos);
  here.index = nullptr;
  auto until = std::chrono::steady_clock::now() + 10s;
  while (!problem_with(folder.path("index")).empty() && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  CHECK(problem_with(folder.path("index")).empty());
}

TEST_CASE("a folder that cannot be an index's is refused, with the reason, and left as it is") {
  temporary_folder folder;
  CHECK(problem_with(folder.path("none/index")).find("cannot be made") != std::string::npos);
  write_file(folder.path("file"), "x");
  CHECK_FALSE(problem_with(folder.path("file")).empty());
  for (auto name : {"one", "two"}) {
    disk here{folder.path(name)};
    here.add({about(name)});
    here.save();
  }
  auto vectors = read_file(folder.path("one/vectors"));
  write_file(folder.path("one/vectors"), vectors.substr(0, vectors.size() / 2));
  CHECK(problem_with(folder.path("one")).find("index the documents again") != std::string::npos);
  write_file(folder.path("one/vectors"), read_file(folder.path("two/vectors")));
  CHECK(problem_with(folder.path("one")).find("another documents.sqlite") != std::string::npos);
  write_file(folder.path("one/vectors"), vectors);
  disk here{folder.path("one")};
  CHECK(here.status().documents == 1);
}

} // namespace vector_index_actor_test

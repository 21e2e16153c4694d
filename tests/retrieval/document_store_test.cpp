#include "support/temporary_folder.hpp"

#include <chainmail/errors.hpp>
#include <chainmail/retrieval/document_store.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <sqlite3.h>

namespace document_store_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

using id_list = std::vector<uint64_t>;

document_store opened(const std::string& path) {
  auto store = document_store::open(path);
  if (!store)
    FAIL(describe(store.error()));
  return std::move(*store);
}

void execute(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

const std::vector<document> three = {{"one", {{"lang", "en"}, {"source", "a"}}},
    {"zwei \0 mit Null"s, {{"lang", "de"}, {"source", "a"}}}, {"", {}}};

} // namespace

TEST_CASE("documents come back by ID, in the order asked for, also after a restart") {
  temporary_folder folder;
  auto path = folder.path("d");
  uint64_t mark = 0;
  {
    auto store = opened(path);
    mark = store.mark();
    CHECK(*store.add(three) == id_list{1, 2, 3});
    CHECK(*store.add({}) == id_list{});
  }
  auto store = opened(path);
  CHECK(store.mark() == mark);
  CHECK(*store.ids() == id_list{1, 2, 3});
  auto found = store.get(id_list{3, 2, 1, 2});
  REQUIRE(found);
  CHECK(*found == std::vector{three[2], three[1], three[0], three[1]});
  CHECK(store.get(id_list{1, 9}).error() == errc::not_found);
  CHECK(store.get(id_list{0}).error() == errc::not_found);
  CHECK(opened(folder.path("other")).mark() != mark);
}

TEST_CASE("an ID is never used twice, not even that of the last document") {
  temporary_folder folder;
  {
    auto store = opened(folder.path("d"));
    REQUIRE(store.add(three));
    CHECK(*store.remove(id_list{3, 2, 2, 77}) == 2);
    CHECK(*store.ids() == id_list{1});
  }
  auto store = opened(folder.path("d"));
  CHECK(*store.add(three) == id_list{4, 5, 6});
}

TEST_CASE("a filter passes the documents that have all of its values") {
  auto store = opened(":memory:");
  REQUIRE(store.add(three));
  auto matching = [&store](std::map<std::string, std::string> equal) {
    return *store.matching({std::move(equal)});
  };
  CHECK(matching({}) == id_list{1, 2, 3});
  CHECK(matching({{"source", "a"}}) == id_list{1, 2});
  CHECK(matching({{"source", "a"}, {"lang", "de"}}) == id_list{2});
  CHECK(matching({{"source", "b"}, {"lang", "de"}}).empty());
  CHECK(matching({{"lang", "de"}, {"source", "b"}}).empty());
  CHECK(matching({{"LANG", "de"}}).empty());
  REQUIRE(store.remove(id_list{2}));
  CHECK(matching({{"source", "a"}}) == id_list{1});
}

TEST_CASE("the distinct values of a key are listed in order") {
  auto store = opened(":memory:");
  REQUIRE(store.add(three));
  CHECK(*store.values_of("lang") == std::vector{"de"s, "en"s});
  CHECK(*store.values_of("source") == std::vector{"a"s});
  CHECK(store.values_of("none")->empty());
}

TEST_CASE("what is no database of documents is refused, and left as it is") {
  temporary_folder folder;
  write_file(folder.path("text"), std::string(5000, 'x'));
  execute(folder.path("theirs"), "CREATE TABLE t (x)");
  execute(folder.path("marked"), "PRAGMA application_id = 5");
  { opened(folder.path("newer")); }
  execute(folder.path("newer"), "PRAGMA user_version = 2");
  for (auto name : {"text", "theirs", "marked", "newer"}) {
    CAPTURE(name);
    auto before = read_file(folder.path(name));
    auto store = document_store::open(folder.path(name));
    REQUIRE_FALSE(store);
    CHECK(store.error() == errc::malformed_response);
    CHECK(sentence_of(store.error()).find(folder.path(name)) != std::string::npos);
    CHECK(read_file(folder.path(name)) == before);
  }
  CHECK(document_store::open(folder.path("none/d")).error() == errc::invalid_input);
}

TEST_CASE("an empty file becomes a database of documents") {
  temporary_folder folder;
  write_file(folder.path("d"), "");
  CHECK(*opened(folder.path("d")).add(three) == id_list{1, 2, 3});
}

TEST_CASE("a damaged database gives errors, not documents that never were") {
  temporary_folder folder;
  {
    auto store = opened(folder.path("d"));
    REQUIRE(store.add(std::vector<document>(500, {std::string(200, 'a'), {{"k", "v"}}})));
  }
  auto bytes = read_file(folder.path("d"));
  for (size_t i = 4096; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(bytes[i] ^ 0x55);
  write_file(folder.path("d"), bytes);
  auto store = document_store::open(folder.path("d"));
  if (store)
    CHECK(store->ids().error() == errc::internal);
  else
    CHECK(store.error() == errc::malformed_response);
}

} // namespace document_store_test

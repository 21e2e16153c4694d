// The cache on the disk.
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/llm/sqlite_cache.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <sqlite3.h>

namespace sqlite_cache_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

using Catch::Matchers::ContainsSubstring;

namespace {

struct cache_fixture {
  temporary_folder folder;
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  sqlite_cache_options options{.path = folder.path("answers.sqlite")};

  cache_actor open() { return spawn_sqlite_cache(system, options); }

  void save(const cache_actor& cache, const std::string& key, const std::string& text,
      caf::timespan time_to_live = 1h) {
    llm_result answer;
    answer.completions = {{text, "stop"}};
    answer.usage = {1, 2, 3};
    answer.model = "m";
    answer.attempts.resize(2);
    answer.limits.emplace();
    compat::request_within(20s, self.ptr(), cache, save_atom_v, key, answer, time_to_live)
        .receive([] {}, [](const caf::error& why) { FAIL(describe(why)); });
  }

  caf::expected<llm_result> load(const cache_actor& cache, const std::string& key) {
    caf::expected<llm_result> result{caf::error{}};
    compat::request_within(20s, self.ptr(), cache, load_atom_v, key)
        .receive(
            [&](const llm_result& x) { result = x; }, [&](const caf::error& why) { result = why; });
    return result;
  }

  std::string text(const cache_actor& cache, const std::string& key) {
    auto found = load(cache, key);
    return found ? found->text() : to_string(code_of(found.error()));
  }

  void execute(const std::string& sql) const {
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(options.path.c_str(), &database) == SQLITE_OK);
    sqlite3_busy_timeout(database, 5'000); // an actor may still be closing it
    CHECK(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(database);
  }

  std::string refusal() {
    try {
      open();
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "accepted";
  }
};

} // namespace

TEST_CASE("a cache on the disk gives back what was saved, and says that it is cached") {
  cache_fixture f;
  auto cache = f.open();
  CHECK(f.text(cache, "key") == "not_found");
  f.save(cache, "key", "an answer");
  auto found = f.load(cache, "key");
  REQUIRE(found);
  CHECK(found->text() == "an answer");
  CHECK(found->completions[0].finish_reason == "stop");
  CHECK(found->usage.total_tokens == 3);
  CHECK(found->model == "m");
  CHECK(found->is_cached);
  CHECK(found->attempts.empty());
  CHECK_FALSE(found->limits);
  f.save(cache, "key", "a newer one");
  CHECK(f.text(cache, "key") == "a newer one");
}

TEST_CASE("a cache on the disk survives its actor, and is shared by several") {
  cache_fixture f;
  {
    auto first = f.open();
    f.save(first, "key", "an answer");
  }
  auto second = f.open();
  CHECK(f.text(second, "key") == "an answer");
  auto third = f.open();
  f.save(third, "other", "from the third");
  CHECK(f.text(second, "other") == "from the third");
}

TEST_CASE("any text can be a key of a cache on the disk") {
  cache_fixture f;
  auto cache = f.open();
  auto with_zero = "a\0b"s;
  auto large = std::string(1'000'000, 'x');
  f.save(cache, with_zero, "one");
  f.save(cache, "a", "two");
  f.save(cache, large, "three");
  f.save(cache, "\xff\xfe", "four");
  CHECK(f.text(cache, with_zero) == "one");
  CHECK(f.text(cache, "a") == "two");
  CHECK(f.text(cache, large) == "three");
  CHECK(f.text(cache, "\xff\xfe") == "four");
}

TEST_CASE("a cache on the disk forgets what is too old") {
  cache_fixture f;
  auto cache = f.open();
  f.save(cache, "key", "an answer");
  f.save(cache, "other", "another");
  f.execute("UPDATE answers SET ends_ms = 1 WHERE id = 1");
  CHECK(f.text(cache, "key") == "not_found");
  CHECK(f.text(cache, "other") == "another");
  f.save(cache, "gone at once", "x", 0s);
  CHECK(f.text(cache, "gone at once") == "not_found");
}

TEST_CASE("a cache on the disk keeps to its size, and the oldest go first") {
  cache_fixture f;
  f.options.max_bytes = 10'000;
  auto cache = f.open();
  for (auto i = 0; i < 100; ++i)
    f.save(cache, "key " + std::to_string(i), std::string(1'000, 'x'));
  CHECK(f.text(cache, "key 0") == "not_found");
  CHECK(f.text(cache, "key 99") == std::string(1'000, 'x'));
  CHECK(f.text(cache, "key 93") == std::string(1'000, 'x'));
  CHECK(f.text(cache, "key 85") == "not_found");
  f.save(cache, "huge", std::string(20'000, 'x'));
  CHECK(f.text(cache, "huge") == "not_found");
  CHECK(f.text(cache, "key 99") == std::string(1'000, 'x'));
}

TEST_CASE("a row that cannot be read is as good as none") {
  cache_fixture f;
  auto cache = f.open();
  f.save(cache, "key", "an answer");
  for (const auto* broken : {"x''", "x'01'", "x'02ffff'", "x'01ffffffff'"}) {
    f.execute("UPDATE answers SET answer = "s + broken);
    CHECK(f.text(cache, "key") == "not_found");
  }
}

TEST_CASE("a cache is not made of what is something else") {
  cache_fixture f;
  SECTION("text") {
    write_file(f.options.path, std::string(5'000, 'x'));
    CHECK_THAT(f.refusal(), ContainsSubstring(f.options.path) && ContainsSubstring("delete"));
    CHECK(read_file(f.options.path) == std::string(5'000, 'x'));
  }
  SECTION("another database") {
    f.execute("CREATE TABLE t (x)");
    CHECK_THAT(f.refusal(), ContainsSubstring("another program"));
  }
  SECTION("a cache of another version") {
    f.open();
    f.execute("PRAGMA user_version = 77");
    CHECK_THAT(f.refusal(), ContainsSubstring("another version"));
  }
  SECTION("a file in no folder") {
    f.options.path = f.folder.path("no/such/folder/x");
    CHECK_THAT(f.refusal(), ContainsSubstring("cannot be opened"));
  }
  SECTION("nothing") {
    f.options.path.clear();
    CHECK_THAT(refusal_of([&] { f.open(); }), ContainsSubstring("path"));
  }
}

TEST_CASE("a cache that can no longer save does not save, and goes on") {
  cache_fixture f;
  auto cache = f.open();
  f.save(cache, "key", "an answer");
  f.execute("CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'full'); END");
  f.save(cache, "other", "lost");
  CHECK(f.text(cache, "other") == "not_found");
  CHECK(f.text(cache, "key") == "an answer");
}

} // namespace sqlite_cache_test

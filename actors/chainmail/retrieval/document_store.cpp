// The schema, and the statements.
#include <chainmail/errors.hpp>
#include <chainmail/retrieval/document_store.hpp>
#include <chainmail/sqlite/database.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <utility>

namespace chainmail {

namespace {

/// "chmd": tells our databases from those of others.
constexpr int64_t application_id = 0x63686d64;
constexpr int64_t schema_version = 1;

constexpr auto schema = R"(
  CREATE TABLE documents (id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL);
  CREATE TABLE metadata (
    key TEXT NOT NULL, value TEXT NOT NULL,
    id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    PRIMARY KEY (key, value, id)) WITHOUT ROWID;
  CREATE INDEX metadata_by_id ON metadata (id);
  CREATE TABLE about (mark INTEGER NOT NULL);
  PRAGMA application_id = 1667788132;
  PRAGMA user_version = 1;
)";

constexpr sqlite::identity store_identity = {application_id, schema_version, schema,
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"};

/// Every database has a mark of its own: who makes it sets it.
uint64_t mark_of(sqlite3* database) {
  std::random_device random;
  auto mark = (uint64_t{random()} << 32U) | random();
  sqlite::statement{database, "INSERT INTO about SELECT ? WHERE NOT EXISTS (SELECT 1 FROM about)"}
      .with(mark)
      .run();
  return static_cast<uint64_t>(sqlite::number(database, "SELECT mark FROM about"));
}

std::vector<uint64_t> ids_of(sqlite::statement& query) {
  std::vector<uint64_t> result;
  while (query.step())
    result.push_back(static_cast<uint64_t>(query.integer(0)));
  query.with();
  return result;
}

} // namespace

struct document_store::database {
  explicit database(const std::string& path) : open(sqlite::open_database(path, store_identity)) {}

  /// Turns what `body` throws into an error.
  template <class F>
  auto guard(F body) -> caf::expected<decltype(body())> {
    try {
      return body();
    } catch (const sqlite::failure& failure) {
      return make_failure(errc::internal, "the database of documents failed: " + failure.words);
    }
  }

  sqlite::connection open;
  uint64_t mark = mark_of(open.get());
  sqlite::statement insert_document{open.get(), "INSERT INTO documents (content) VALUES (?)"};
  sqlite::statement insert_metadata{
      open.get(), "INSERT INTO metadata (key, value, id) VALUES (?, ?, ?)"};
  sqlite::statement get_content{open.get(), "SELECT content FROM documents WHERE id = ?"};
  sqlite::statement get_metadata{open.get(), "SELECT key, value FROM metadata WHERE id = ?"};
  sqlite::statement remove{open.get(), "DELETE FROM documents WHERE id = ?"};
  sqlite::statement all{open.get(), "SELECT id FROM documents ORDER BY id"};
  sqlite::statement match{
      open.get(), "SELECT id FROM metadata WHERE key = ? AND value = ? ORDER BY id"};
  sqlite::statement list{
      open.get(), "SELECT DISTINCT value FROM metadata WHERE key = ? ORDER BY value"};
};

caf::expected<document_store> document_store::open(const std::string& path) {
  auto advice = "; put a copy of it back, or delete its folder and index the documents again";
  try {
    return document_store{std::make_unique<database>(path)};
  } catch (const sqlite::foreign_database& foreign) {
    return make_failure(errc::malformed_response, path + " " + foreign.why + advice);
  } catch (const sqlite::failure& failure) {
    if (failure.code == SQLITE_CANTOPEN || failure.code == SQLITE_PERM ||
        failure.code == SQLITE_READONLY || failure.code == SQLITE_BUSY)
      return make_failure(
          errc::invalid_input, "the database " + path + " cannot be opened: " + failure.words);
    return make_failure(
        errc::malformed_response, path + " is damaged, or no database: " + failure.words + advice);
  }
}

document_store::document_store(std::unique_ptr<database> opened) : database_(std::move(opened)) {
}

document_store::document_store(document_store&&) noexcept = default;
document_store& document_store::operator=(document_store&&) noexcept = default;
document_store::~document_store() = default;

uint64_t document_store::mark() const {
  return database_->mark;
}

caf::expected<std::vector<uint64_t>> document_store::add(const std::vector<document>& documents) {
  auto& db = *database_;
  return db.guard([&] {
    std::vector<uint64_t> result;
    sqlite::transaction adding{db.open.get()};
    for (const auto& [content, metadata] : documents) {
      db.insert_document.with(content).run();
      auto id = static_cast<uint64_t>(sqlite3_last_insert_rowid(db.open.get()));
      for (const auto& [key, text] : metadata)
        db.insert_metadata.with(key, text, id).run();
      result.push_back(id);
    }
    adding.commit();
    return result;
  });
}

caf::expected<std::vector<document>> document_store::get(std::span<const uint64_t> ids) {
  auto& db = *database_;
  std::optional<uint64_t> missing;
  auto result = db.guard([&] {
    std::vector<document> found;
    for (auto id : ids) {
      if (!db.get_content.with(id).step()) {
        missing = id;
        db.get_content.with();
        break;
      }
      document next;
      next.content = db.get_content.text(0);
      db.get_content.with();
      db.get_metadata.with(id);
      while (db.get_metadata.step())
        next.metadata.emplace(db.get_metadata.text(0), db.get_metadata.text(1));
      db.get_metadata.with();
      found.push_back(std::move(next));
    }
    return found;
  });
  if (missing)
    return make_failure(errc::not_found, "there is no document " + std::to_string(*missing));
  return result;
}

caf::expected<uint64_t> document_store::remove(std::span<const uint64_t> ids) {
  auto& db = *database_;
  return db.guard([&] {
    uint64_t removed = 0;
    sqlite::transaction removing{db.open.get()};
    for (auto id : ids) {
      db.remove.with(id).run();
      removed += static_cast<uint64_t>(sqlite3_changes(db.open.get()));
    }
    removing.commit();
    return removed;
  });
}

caf::error document_store::skip_ids(uint64_t last) {
  auto& db = *database_;
  auto skipped = db.guard([&] {
    sqlite::transaction skipping{db.open.get()};
    sqlite::execute(db.open.get(), "INSERT INTO sqlite_sequence (name, seq) SELECT 'documents', 0 "
                                   "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence)");
    sqlite::statement skip{db.open.get(), "UPDATE sqlite_sequence SET seq = ?1 WHERE seq < ?1"};
    skip.with(last).run();
    skipping.commit();
    return true;
  });
  return skipped ? caf::error{} : std::move(skipped.error());
}

caf::expected<std::vector<uint64_t>> document_store::ids() {
  auto& db = *database_;
  return db.guard([&] { return ids_of(db.all.with()); });
}

caf::expected<std::vector<uint64_t>> document_store::matching(const metadata_filter& filter) {
  if (filter.equal.empty())
    return ids();
  auto& db = *database_;
  return db.guard([&] {
    std::vector<uint64_t> result;
    auto is_first = true;
    for (const auto& [key, text] : filter.equal) {
      auto some = ids_of(db.match.with(key, text));
      std::vector<uint64_t> both;
      std::set_intersection(
          some.begin(), some.end(), result.begin(), result.end(), std::back_inserter(both));
      result = std::exchange(is_first, false) ? std::move(some) : std::move(both);
    }
    return result;
  });
}

caf::expected<std::vector<std::string>> document_store::values_of(const std::string& key) {
  auto& db = *database_;
  return db.guard([&] {
    std::vector<std::string> result;
    db.list.with(key);
    while (db.list.step())
      result.push_back(db.list.text(0));
    db.list.with();
    return result;
  });
}

} // namespace chainmail

// The schema, and the statements.
#include <chainmail/errors.hpp>
#include <chainmail/retrieval/document_store.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <sqlite3.h>
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

/// Thrown and caught in this file only.
struct sqlite_failure {
  int code;
  std::string words;
};

struct foreign_database {
  const char* why;
};

void check(sqlite3* database, int code) {
  if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
    throw sqlite_failure{code & 0xff, sqlite3_errmsg(database)};
}

void execute(sqlite3* database, const char* sql) {
  check(database, sqlite3_exec(database, sql, nullptr, nullptr, nullptr));
}

class statement {
public:
  statement(sqlite3* database, const char* sql) : database_(database) {
    check(database,
        sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr));
  }
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;
  ~statement() { sqlite3_finalize(statement_); }

  /// Starts it anew with these parameters.
  template <class... Ts>
  statement& with(const Ts&... xs) {
    sqlite3_reset(statement_); // repeats the code of a failure that was reported
    int index = 0;
    (bind(++index, xs), ...);
    return *this;
  }

  /// True for a row.
  bool step() {
    auto code = sqlite3_step(statement_);
    check(database_, code);
    return code == SQLITE_ROW;
  }

  void run() {
    while (step()) {
    }
    sqlite3_reset(statement_);
  }

  int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }

  std::string text(int column) {
    auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    return data == nullptr ? std::string{} : std::string{data, size};
  }

  std::vector<uint64_t> ids() {
    std::vector<uint64_t> result;
    while (step())
      result.push_back(static_cast<uint64_t>(integer(0)));
    sqlite3_reset(statement_);
    return result;
  }

private:
  void bind(int index, int64_t x) { check(database_, sqlite3_bind_int64(statement_, index, x)); }
  void bind(int index, uint64_t x) { bind(index, static_cast<int64_t>(x)); }

  /// The text outlives the run.
  void bind(int index, const std::string& x) {
    check(database_,
        sqlite3_bind_text64(statement_, index, x.data(), x.size(), SQLITE_STATIC, SQLITE_UTF8));
  }

  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
};

int64_t number(sqlite3* database, const char* sql) {
  statement query{database, sql};
  return query.step() ? query.integer(0) : 0;
}

/// Undone unless committed.
class transaction {
public:
  explicit transaction(sqlite3* database) : database_(database) {
    execute(database, "BEGIN IMMEDIATE");
  }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;
  ~transaction() {
    if (sqlite3_get_autocommit(database_) == 0)
      sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  }

  void commit() { execute(database_, "COMMIT"); }

private:
  sqlite3* database_;
};

struct close_database {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};

using connection = std::unique_ptr<sqlite3, close_database>;

/// Refuses what is not ours before it changes anything.
void prepare(sqlite3* database) {
  sqlite3_busy_timeout(database, 5000);
  auto is_empty = number(database, "SELECT count(*) FROM sqlite_master") == 0;
  auto application = number(database, "PRAGMA application_id");
  auto version = number(database, "PRAGMA user_version");
  if (is_empty && (application != 0 || version != 0))
    throw foreign_database{"is the database of another program"};
  if (!is_empty && application != application_id)
    throw foreign_database{"is the database of another program"};
  if (!is_empty && version != schema_version)
    throw foreign_database{"has the schema of another version of this program"};
  execute(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                    "PRAGMA foreign_keys = ON;");
  if (!is_empty)
    return;
  transaction making{database};
  execute(database, schema);
  std::random_device random;
  auto mark = (uint64_t{random()} << 32U) | random();
  statement{database, "INSERT INTO about VALUES (?)"}.with(mark).run();
  making.commit();
}

connection open_database(const std::string& path) {
  constexpr auto flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  sqlite3* opened = nullptr;
  auto code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
  connection result{opened};
  check(opened, code);
  prepare(opened);
  return result;
}

} // namespace

struct document_store::database {
  explicit database(const std::string& path) : open(open_database(path)) {}

  /// Turns what `body` throws into an error.
  template <class F>
  auto guard(F body) -> caf::expected<decltype(body())> {
    try {
      return body();
    } catch (const sqlite_failure& failure) {
      return make_failure(errc::internal, "the database of documents failed: " + failure.words);
    }
  }

  connection open;
  uint64_t mark = static_cast<uint64_t>(number(open.get(), "SELECT mark FROM about"));
  statement insert_document{open.get(), "INSERT INTO documents (content) VALUES (?)"};
  statement insert_metadata{open.get(), "INSERT INTO metadata (key, value, id) VALUES (?, ?, ?)"};
  statement get_content{open.get(), "SELECT content FROM documents WHERE id = ?"};
  statement get_metadata{open.get(), "SELECT key, value FROM metadata WHERE id = ?"};
  statement remove{open.get(), "DELETE FROM documents WHERE id = ?"};
  statement all{open.get(), "SELECT id FROM documents ORDER BY id"};
  statement match{open.get(), "SELECT id FROM metadata WHERE key = ? AND value = ? ORDER BY id"};
  statement list{open.get(), "SELECT DISTINCT value FROM metadata WHERE key = ? ORDER BY value"};
};

caf::expected<document_store> document_store::open(const std::string& path) {
  auto advice = "; put a copy of it back, or delete its folder and index the documents again";
  try {
    return document_store{std::make_unique<database>(path)};
  } catch (const foreign_database& foreign) {
    return make_failure(errc::malformed_response, path + " " + foreign.why + advice);
  } catch (const sqlite_failure& failure) {
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
    transaction adding{db.open.get()};
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
    transaction removing{db.open.get()};
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
    transaction skipping{db.open.get()};
    execute(db.open.get(), "INSERT INTO sqlite_sequence (name, seq) SELECT 'documents', 0 "
                           "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence)");
    statement skip{db.open.get(), "UPDATE sqlite_sequence SET seq = ?1 WHERE seq < ?1"};
    skip.with(last).run();
    skipping.commit();
    return true;
  });
  return skipped ? caf::error{} : std::move(skipped.error());
}

caf::expected<std::vector<uint64_t>> document_store::ids() {
  auto& db = *database_;
  return db.guard([&] { return db.all.with().ids(); });
}

caf::expected<std::vector<uint64_t>> document_store::matching(const metadata_filter& filter) {
  if (filter.equal.empty())
    return ids();
  auto& db = *database_;
  return db.guard([&] {
    std::vector<uint64_t> result;
    auto is_first = true;
    for (const auto& [key, text] : filter.equal) {
      auto some = db.match.with(key, text).ids();
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

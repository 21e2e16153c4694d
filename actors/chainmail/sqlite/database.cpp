// What SQLite wants to be called like.
#include <chainmail/sqlite/database.hpp>

namespace chainmail::sqlite {

void check(sqlite3* database, int code) {
  if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
    throw failure{code & 0xff, sqlite3_errmsg(database)};
}

void execute(sqlite3* database, const char* sql) {
  check(database, sqlite3_exec(database, sql, nullptr, nullptr, nullptr));
}

// -- statements -------------------------------------------------------------------------

statement::statement(sqlite3* database, const char* sql) : database_(database) {
  check(database,
      sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr));
}

bool statement::step() {
  auto code = sqlite3_step(statement_);
  check(database_, code);
  return code == SQLITE_ROW;
}

void statement::run() {
  while (step()) {
  }
  sqlite3_reset(statement_);
}

std::string statement::text(int column) {
  auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string{} : std::string{data, size};
}

std::string_view statement::blob(int column) {
  auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string_view{} : std::string_view{data, size};
}

void statement::bind(int index, const std::string& x) {
  check(database_,
      sqlite3_bind_text64(statement_, index, x.data(), x.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void statement::bind(int index, std::string_view blob) {
  check(database_, sqlite3_bind_blob64(statement_, index, blob.data(), blob.size(), SQLITE_STATIC));
}

int64_t number(sqlite3* database, const char* sql) {
  statement query{database, sql};
  return query.step() ? query.integer(0) : 0;
}

transaction::~transaction() {
  if (sqlite3_get_autocommit(database_) == 0)
    sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
}

// -- opening ----------------------------------------------------------------------------

namespace {

void prepare(sqlite3* database, const identity& of) {
  sqlite3_busy_timeout(database, 5000);
  auto is_empty = number(database, "SELECT count(*) FROM sqlite_master") == 0;
  auto application = number(database, "PRAGMA application_id");
  auto version = number(database, "PRAGMA user_version");
  if (is_empty && (application != 0 || version != 0))
    throw foreign_database{"is the database of another program"};
  if (!is_empty && application != of.application)
    throw foreign_database{"is the database of another program"};
  if (!is_empty && version != of.version)
    throw foreign_database{"has the schema of another version of this program"};
  execute(database, of.pragmas);
  if (!is_empty)
    return;
  transaction making{database};
  // Another process may have been faster.
  if (number(database, "SELECT count(*) FROM sqlite_master") == 0)
    execute(database, of.schema);
  making.commit();
}

} // namespace

connection open_database(const std::string& path, const identity& of) {
  constexpr auto flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  sqlite3* opened = nullptr;
  auto code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
  connection result{opened};
  check(opened, code);
  prepare(opened, of);
  return result;
}

} // namespace chainmail::sqlite

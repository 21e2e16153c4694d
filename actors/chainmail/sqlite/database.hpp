// SQLite for the .cpp files of stores: connections, statements and transactions that end with their
// scope. What fails throws a sqlite_failure, which those files catch.
#pragma once

#include <cstdint>
#include <memory>
#include <sqlite3.h>
#include <string>
#include <string_view>

namespace chainmail::sqlite {

struct failure {
  int code;
  /// SQLite's own.
  std::string words;
};

/// A database that is not the one asked for.
struct foreign_database {
  const char* why;
};

/// Throws a failure unless the code is one of success.
void check(sqlite3* database, int code);

void execute(sqlite3* database, const char* sql);

/// A prepared statement. Its connection outlives it.
class statement {
public:
  statement(sqlite3* database, const char* sql);
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;
  ~statement() { sqlite3_finalize(statement_); }

  /// Starts it anew with these parameters, which outlive the run.
  template <class... Ts>
  statement& with(const Ts&... xs) {
    sqlite3_reset(statement_); // repeats the code of a failure that was reported
    int index = 0;
    (bind(++index, xs), ...);
    return *this;
  }

  /// True for a row.
  bool step();

  /// Steps to the end.
  void run();

  int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  std::string text(int column);

  /// Valid until the next step.
  std::string_view blob(int column);

private:
  void bind(int index, int64_t x) { check(database_, sqlite3_bind_int64(statement_, index, x)); }
  void bind(int index, uint64_t x) { bind(index, static_cast<int64_t>(x)); }
  void bind(int index, const std::string& x);
  void bind(int index, std::string_view blob);

  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
};

/// The first column of the first row; 0 without one.
int64_t number(sqlite3* database, const char* sql);

/// Undone unless committed.
class transaction {
public:
  explicit transaction(sqlite3* database) : database_(database) {
    execute(database, "BEGIN IMMEDIATE");
  }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;
  ~transaction();

  void commit() { execute(database_, "COMMIT"); }

private:
  sqlite3* database_;
};

struct close_database {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};

using connection = std::unique_ptr<sqlite3, close_database>;

/// What tells a database from those of others.
struct identity {
  /// SQLite's application_id, which `schema` sets.
  int64_t application = 0;
  /// SQLite's user_version, which `schema` sets.
  int64_t version = 0;
  const char* schema = "";
  /// Run at every opening, before the schema is made.
  const char* pragmas = "";
};

/// Opens a database, or makes it when the file is missing or empty; waits up to 5 s for other
/// processes. Throws a foreign_database, before anything is changed, for one that is not `of` this
/// identity.
connection open_database(const std::string& path, const identity& of);

} // namespace chainmail::sqlite

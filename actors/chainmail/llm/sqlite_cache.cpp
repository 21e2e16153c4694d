// Answers by key, in an SQLite database.
#include <chainmail/llm/sqlite_cache.hpp>
#include <chainmail/sqlite/database.hpp>

#include <caf/actor_system.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>

namespace chainmail {

namespace {

/// "chmc": tells our databases from those of others.
constexpr sqlite::identity cache_identity = {0x63686d63, 1, R"(
  CREATE TABLE answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, answer BLOB NOT NULL,
    ends_ms INTEGER NOT NULL);
  CREATE INDEX answers_by_end ON answers (ends_ms);
  CREATE TABLE total (bytes INTEGER NOT NULL);
  INSERT INTO total VALUES (0);
  CREATE TRIGGER adding AFTER INSERT ON answers BEGIN
    UPDATE total SET bytes = bytes + length(NEW.key) + length(NEW.answer); END;
  CREATE TRIGGER removing AFTER DELETE ON answers BEGIN
    UPDATE total SET bytes = bytes - length(OLD.key) - length(OLD.answer); END;
  PRAGMA application_id = 1667788131;
  PRAGMA user_version = 1;
)",
    // What a crash of the machine loses is asked again.
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"};

int64_t now_ms() {
  using std::chrono::milliseconds;
  auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<milliseconds>(since).count();
}

/// The connection and its statements.
struct cache_database {
  explicit cache_database(const std::string& path)
    : open(sqlite::open_database(path, cache_identity)) {
    remove_old.with(now_ms()).run();
  }

  sqlite::connection open;
  sqlite::statement find{open.get(), "SELECT answer, ends_ms FROM answers WHERE key = ?"};
  sqlite::statement remove{open.get(), "DELETE FROM answers WHERE key = ?"};
  sqlite::statement remove_old{open.get(), "DELETE FROM answers WHERE ends_ms <= ?"};
  sqlite::statement remove_first{
      open.get(), "DELETE FROM answers WHERE id IN (SELECT id FROM answers ORDER BY id LIMIT 1)"};
  sqlite::statement add{open.get(), "INSERT INTO answers (key, answer, ends_ms) VALUES (?, ?, ?)"};
  sqlite::statement total{open.get(), "SELECT bytes FROM total"};
};

struct sqlite_cache_state {
  static constexpr const char* name = "chainmail.sqlite_cache";

  sqlite_cache_state(cache_actor::pointer self_ptr, std::shared_ptr<cache_database> opened,
      sqlite_cache_options opts)
    : self(self_ptr), database(std::move(opened)), options(std::move(opts)) {}

  cache_actor::behavior_type make_behavior() {
    return {
        [this](load_atom, const std::string& key) -> caf::result<llm_result> {
          try {
            return load(key);
          } catch (const sqlite::failure& failure) {
            return make_failure(
                errc::internal, "the cache " + options.path + " failed: " + failure.words);
          }
        },
        [this](save_atom, const std::string& key, llm_result& answer, caf::timespan time_to_live) {
          try {
            save(key, answer, time_to_live);
          } catch (const sqlite::failure&) { // NOLINT(bugprone-empty-catch)
            // Then it is not kept: nobody waits for that, and the answer itself is not lost.
          }
        },
    };
  }

  caf::result<llm_result> load(const std::string& key) {
    auto& db = *database;
    llm_result result;
    auto is_there = false;
    auto is_old = false;
    if (db.find.with(std::string_view{key}).step()) {
      is_old = db.find.integer(1) <= now_ms();
      is_there = !is_old && read(db.find.blob(0), result);
    }
    db.find.with();
    if (is_old)
      db.remove.with(std::string_view{key}).run();
    if (!is_there)
      return make_failure(errc::not_found, "no answer is kept for this request");
    return result;
  }

  void save(const std::string& key, llm_result& answer, caf::timespan time_to_live) {
    auto& db = *database;
    auto bytes = write(answer);
    if (key.size() + bytes.size() > options.max_bytes)
      return;
    auto ends =
        now_ms() + std::chrono::duration_cast<std::chrono::milliseconds>(time_to_live).count();
    sqlite::transaction saving{db.open.get()};
    db.remove.with(std::string_view{key}).run();
    db.add.with(std::string_view{key}, std::string_view{bytes}, ends).run();
    while (bytes_kept() > options.max_bytes)
      db.remove_first.with().run();
    saving.commit();
  }

  size_t bytes_kept() const {
    auto& total = database->total.with();
    auto result = total.step() ? static_cast<size_t>(total.integer(0)) : 0;
    total.with();
    return result;
  }

  // -- format -----------------------------------------------------------------------------

  /// Of the bytes behind it. A row of another one is as good as none.
  static constexpr char format = 3;

  std::string write(llm_result& answer) {
    answer.attempts = {};
    answer.node.clear();
    answer.limits.reset();
    answer.is_cached = true;
    caf::byte_buffer buffer;
    caf::binary_serializer sink{self->system(), buffer};
    if (!sink.apply(answer))
      return {};
    std::string result{format};
    return result.append(reinterpret_cast<const char*>(buffer.data()), buffer.size());
  }

  bool read(std::string_view bytes, llm_result& into) {
    if (bytes.empty() || bytes.front() != format)
      return false;
    caf::binary_deserializer source{self->system(), bytes.data() + 1, bytes.size() - 1};
    return source.apply(into) && !into.completions.empty();
  }

  cache_actor::pointer self;
  std::shared_ptr<cache_database> database;
  sqlite_cache_options options;
};

} // namespace

caf::error check(const sqlite_cache_options& options) {
  if (options.path.empty())
    return make_failure(errc::invalid_input, "sqlite_cache_options::path must name a file");
  if (options.max_bytes == 0)
    return make_failure(errc::invalid_input, "sqlite_cache_options::max_bytes must be at least 1");
  return {};
}

cache_actor spawn_sqlite_cache(caf::actor_system& system, sqlite_cache_options options) {
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  std::shared_ptr<cache_database> opened;
  try {
    opened = std::make_shared<cache_database>(options.path);
  } catch (const sqlite::foreign_database& foreign) {
    throw std::runtime_error{
        "the cache " + options.path + " " + foreign.why + "; name another file"};
  } catch (const sqlite::failure& failure) {
    throw std::runtime_error{"the cache " + options.path + " cannot be opened: " + failure.words +
                             "; if it is damaged, delete it"};
  }
  return system.spawn<caf::stateful_actor<sqlite_cache_state, cache_actor::impl>, caf::detached>(
      std::move(opened), std::move(options));
}

} // namespace chainmail

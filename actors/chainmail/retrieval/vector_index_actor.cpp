// The index actor: a document store and a vector index that agree.
#include <chainmail/caf/compat.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/retrieval/document_store.hpp>
#include <chainmail/retrieval/vector_index_actor.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace chainmail {

namespace {

/// Marginal relevance compares each candidate with each that it takes.
constexpr uint32_t most_candidates = 2000;

// -- the folder ------------------------------------------------------------------------------

/// Keeps a folder to ourselves for as long as it lives, and no longer, however the process ends.
class folder_lock {
public:
  explicit folder_lock(const std::string& folder)
    : fd_(::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0)
      return;
    auto why = errno == EWOULDBLOCK ? "another index has it open, in this process or in another"
                                    : std::system_category().message(errno);
    if (fd_ >= 0)
      ::close(fd_);
    throw std::runtime_error{"the index folder " + folder + " cannot be used: " + why};
  }
  folder_lock(const folder_lock&) = delete;
  folder_lock& operator=(const folder_lock&) = delete;
  ~folder_lock() { ::close(fd_); }

private:
  int fd_;
};

/// What an index consists of. Nobody else has the folder as long as it is open.
struct open_index {
  std::unique_ptr<folder_lock> lock;
  /// Of the vectors; empty in memory.
  std::string path;
  std::optional<document_store> documents;
  vector_index vectors;
  uint64_t dropped = 0;
};

template <class T>
T value_or_throw(caf::expected<T> x) {
  if (!x)
    throw std::runtime_error{sentence_of(x.error())};
  return std::move(*x);
}

std::vector<uint64_t> difference(
    const std::vector<uint64_t>& from, const std::vector<uint64_t>& without) {
  std::vector<uint64_t> result;
  std::set_difference(
      from.begin(), from.end(), without.begin(), without.end(), std::back_inserter(result));
  return result;
}

/// An ID is never used again, so what has the same ID in both files belongs together.
void drop_halves(open_index& index) {
  auto documents = value_or_throw(index.documents->ids());
  auto vectors = index.vectors.ids();
  auto without_vector = difference(documents, vectors);
  auto without_document = difference(vectors, documents);
  value_or_throw(index.documents->remove(without_vector));
  index.vectors.remove(without_document);
  index.dropped = without_vector.size() + without_document.size();
}

std::unique_ptr<open_index> open(const index_options& options) {
  auto result = std::make_unique<open_index>();
  result->vectors = vector_index{options.exact_up_to};
  if (options.folder.empty()) {
    result->documents = value_or_throw(document_store::open(":memory:"));
    return result;
  }
  if (::mkdir(options.folder.c_str(), 0755) != 0 && errno != EEXIST)
    throw std::runtime_error{"the index folder " + options.folder +
                             " cannot be made: " + std::system_category().message(errno)};
  result->lock = std::make_unique<folder_lock>(options.folder);
  result->path = options.folder + "/vectors";
  result->documents = value_or_throw(document_store::open(options.folder + "/documents.sqlite"));
  uint64_t mark = 0;
  auto vectors = vector_index::load(result->path, mark, options.exact_up_to);
  if (vectors) {
    if (mark != result->documents->mark())
      throw std::runtime_error{"the vectors in " + options.folder +
                               " belong to another documents.sqlite; put that back, or delete the "
                               "folder and index the documents again"};
    result->vectors = std::move(*vectors);
    // An older copy of the documents would give IDs again that removed vectors had.
    if (auto error = result->documents->skip_ids(result->vectors.last_id()))
      throw std::runtime_error{sentence_of(error)};
  } else if (vectors.error() != errc::not_found) {
    throw std::runtime_error{sentence_of(vectors.error())};
  }
  drop_halves(*result);
  return result;
}

// -- the actor -------------------------------------------------------------------------------

/// About 20 ms of work.
constexpr size_t links_a_turn = 16;

struct vector_index_state {
  static constexpr const char* name = "chainmail.vector_index";

  using actor_type = caf::stateful_actor<vector_index_state, vector_index_actor::impl>;
  using ids_result = caf::result<document_ids>;
  using count_result = caf::result<uint64_t>;
  using search_result = caf::result<std::vector<scored_document>>;
  using list_result = caf::result<metadata_texts>;

  vector_index_state(vector_index_actor::pointer self_ptr, std::unique_ptr<open_index> opened)
    : self(self_ptr),
      index(std::move(opened)),
      documents(*index->documents),
      vectors(index->vectors),
      has_changes(index->dropped != 0) {}

  vector_index_actor::behavior_type make_behavior() {
    catch_up();
    return {
        [this](add_atom, const std::vector<document>& added, const embeddings& rows,
            const call_context& context) -> ids_result {
          if (auto error = too_late(context))
            return error;
          return add(added, rows);
        },
        [this](erase_atom, const document_ids& which, const call_context& context) -> count_result {
          if (auto error = too_late(context))
            return error;
          return erase(which.ids);
        },
        [this](erase_atom, const metadata_filter& filter,
            const call_context& context) -> count_result {
          if (auto error = too_late(context))
            return error;
          auto ids = documents.matching(filter);
          return ids ? erase(*ids) : std::move(ids.error());
        },
        [this](search_atom, const embeddings& query, const search_options& options,
            const call_context& context) -> search_result {
          if (auto error = too_late(context))
            return error;
          return search(query, options);
        },
        [this](list_atom, const std::string& key, const call_context& context) -> list_result {
          if (auto error = too_late(context))
            return error;
          auto texts = documents.values_of(key);
          if (!texts)
            return std::move(texts.error());
          return metadata_texts{std::move(*texts)};
        },
        [this](save_atom, const call_context& context) -> caf::result<void> {
          if (auto error = too_late(context))
            return error;
          if (auto error = save())
            return error;
          return caf::unit;
        },
        [this](status_atom) { return status(); },
    };
  }

  /// Work that nobody waits for any more is not begun.
  [[nodiscard]] caf::error too_late(const call_context& context) const {
    if (!context.due.has_passed(self->clock().now()))
      return {};
    return make_failure(errc::timed_out, "the deadline passed before the index came to the call");
  }

  caf::expected<document_ids> add(const std::vector<document>& added, const embeddings& rows) {
    if (added.size() != rows.size())
      return invalid_input("there are " + std::to_string(added.size()) + " documents for " +
                           std::to_string(rows.size()) + " vectors; each needs one");
    if (added.empty())
      return document_ids{};
    if (auto error = vectors.check(rows))
      return error;
    auto ids = documents.add(added);
    if (!ids)
      return std::move(ids.error());
    if (auto error = vectors.add(*ids, rows)) {
      documents.remove(*ids);
      return error;
    }
    has_changes = true;
    catch_up();
    return document_ids{std::move(*ids)};
  }

  caf::expected<uint64_t> erase(const std::vector<uint64_t>& ids) {
    auto erased = documents.remove(ids);
    if (!erased)
      return erased;
    vectors.remove(ids);
    has_changes = has_changes || *erased > 0;
    catch_up();
    return erased;
  }

  /// Linking a graph takes minutes when it is large, so it is done in turns between the calls.
  void catch_up() {
    if (is_linking || vectors.unlinked() == 0)
      return;
    is_linking = true;
    compat::run_at(self, self->clock().now(), [this] {
      is_linking = false;
      vectors.link(links_a_turn);
      catch_up();
    });
  }

  caf::expected<std::vector<scored_document>> search(
      const embeddings& query, const search_options& options) {
    auto is_diverse = !(options.mmr_lambda < 0);
    if (options.k == 0)
      return invalid_input("a search for k = 0 documents finds nothing; k is at least 1");
    if (query.size() != 1)
      return invalid_input(
          "a search takes one vector, and there are " + std::to_string(query.size()));
    if (is_diverse && !(options.mmr_lambda <= 1))
      return invalid_input("mmr_lambda is at most 1, or negative for plain similarity");
    auto wanted = is_diverse ? std::max(options.k, options.fetch_k) : options.k;
    if (is_diverse && wanted > most_candidates)
      return invalid_input("marginal relevance looks at no more than " +
                           std::to_string(most_candidates) + " candidates; lower k and fetch_k");
    if (vectors.size() == 0)
      return std::vector<scored_document>{};
    // Says which two models do not compare.
    if (auto error = vectors.check(query))
      return error;
    auto found = nearest(query.row(0), options.filter, wanted);
    if (!found)
      return std::move(found.error());
    if (is_diverse)
      found = vectors.diverse(*found, options.k, options.mmr_lambda);
    return with_documents(*found);
  }

  caf::expected<std::vector<vector_match>> nearest(
      std::span<const float> query, const metadata_filter& filter, size_t k) {
    if (filter.equal.empty())
      return vectors.nearest(query, k);
    auto allowed = documents.matching(filter);
    if (!allowed)
      return std::move(allowed.error());
    return vectors.nearest_of(*allowed, query, k);
  }

  caf::expected<std::vector<scored_document>> with_documents(
      const std::vector<vector_match>& matches) {
    std::vector<uint64_t> ids;
    ids.reserve(matches.size());
    for (const auto& match : matches)
      ids.push_back(match.id);
    auto found = documents.get(ids);
    if (!found)
      return std::move(found.error());
    std::vector<scored_document> result;
    result.reserve(matches.size());
    for (size_t i = 0; i < matches.size(); ++i)
      result.push_back({ids[i], std::move((*found)[i]), double{matches[i].score}});
    return result;
  }

  caf::error save() {
    if (index->path.empty())
      return make_failure(errc::unsupported,
          "the index is kept in memory and cannot be saved; give it a folder (index_options)");
    if (auto error = vectors.save(index->path, documents.mark()))
      return error;
    has_changes = false;
    return {};
  }

  [[nodiscard]] index_status status() const {
    return {vectors.size(), vectors.dimension(), vectors.model(), vectors.is_exact(), has_changes,
        index->dropped};
  }

  vector_index_actor::pointer self;
  std::unique_ptr<open_index> index;
  document_store& documents;
  vector_index& vectors;
  bool has_changes;
  bool is_linking = false;
};

} // namespace

vector_index_actor spawn_vector_index(caf::actor_system& system, const index_options& options) {
  auto opened = open(options);
  if (options.folder.empty())
    return system.spawn<vector_index_state::actor_type>(std::move(opened));
  return system.spawn<vector_index_state::actor_type, caf::detached>(std::move(opened));
}

} // namespace chainmail

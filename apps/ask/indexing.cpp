// Comparing, embedding, saving.
#include "indexing.hpp"

#include "corpus.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/gather/calls.hpp>
#include <chainmail/retrieval/retriever.hpp>

#include <caf/expected.hpp>
#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace chainmail::asking {

namespace {

/// Pieces to embed with one call: some requests at once, and a step of the progress bar.
constexpr size_t batch = 512;

class update {
public:
  update(caf::scoped_actor& self, const embedder_actor& embedder, const vector_index_actor& index,
      const std::filesystem::path& folder, const std::function<void(const index_progress&)>& listen)
    : self_(self), embedder_(embedder), index_(index), folder_(folder), on_progress_(listen) {}

  caf::expected<index_report> run() {
    auto listing = list_folder(folder_);
    if (!listing)
      return std::move(listing.error());
    auto known = ask_index<metadata_texts>(list_atom_v, std::string{"fingerprint"});
    if (!known)
      return std::move(known.error());
    stale_ = {known->texts.begin(), known->texts.end()};
    report_.complaints = std::move(listing->complaints);
    progress_.all_files = listing->names.size();
    auto failed = add_files(listing->names);
    if (!failed && report_.files > 0) // an empty folder may be one that is not mounted
      failed = drop_stale();
    if (auto unsaved = save(); unsaved && !failed)
      failed = std::move(unsaved);
    if (failed)
      return failed;
    return std::move(report_);
  }

private:
  template <class Result, class... Ts>
  caf::expected<Result> ask_index(Ts&&... xs) {
    caf::expected<Result> result{caf::error{}};
    compat::request_within(
        default_timeout, self_.ptr(), index_, std::forward<Ts>(xs)..., make_context(self_.ptr()))
        .receive([&result](Result& found) { result = std::move(found); },
            [&result](caf::error& error) { result = to_failure(std::move(error), "the index"); });
    return result;
  }

  caf::error add_files(const std::vector<std::string>& names) {
    for (const auto& name : names) {
      auto file = read_source(folder_, name);
      if (!file) {
        leave_out(sentence_of(file.error()));
        continue;
      }
      if (stale_.erase(file->fingerprint) > 0) {
        ++report_.files;
        ++progress_.files;
        on_progress_(progress_);
        continue;
      }
      auto pieces = split_source(*file);
      if (pieces.empty()) {
        leave_out(name + " holds no text");
        continue;
      }
      ++report_.files;
      ++report_.added;
      ++waiting_files_;
      std::ranges::move(pieces, std::back_inserter(waiting_));
      if (waiting_.size() >= batch)
        if (auto error = add_waiting())
          return error;
    }
    return add_waiting();
  }

  void leave_out(std::string complaint) {
    report_.complaints.push_back(std::move(complaint));
    --progress_.all_files;
  }

  /// Saves as often as the number of pieces doubles: the work of a process that is killed is half
  /// lost at most, and an index is written no more than a few times.
  caf::error add_waiting() {
    on_progress_(progress_);
    auto count = waiting_.size();
    if (count > 0)
      if (auto added =
              add_documents(self_, embedder_, index_, std::move(waiting_), default_timeout);
          !added)
        return std::move(added.error());
    waiting_.clear();
    progress_.pieces += count;
    progress_.files += std::exchange(waiting_files_, 0);
    on_progress_(progress_);
    if (progress_.pieces < 2 * saved_pieces_ || progress_.pieces < batch)
      return {};
    saved_pieces_ = progress_.pieces;
    return save();
  }

  caf::error drop_stale() {
    for (const auto& fingerprint : stale_) {
      auto dropped =
          ask_index<uint64_t>(erase_atom_v, metadata_filter{{{"fingerprint", fingerprint}}});
      if (!dropped)
        return std::move(dropped.error());
    }
    return {};
  }

  caf::error save() {
    caf::error result;
    compat::request_within(
        default_timeout, self_.ptr(), index_, save_atom_v, make_context(self_.ptr()))
        .receive([] {},
            [&result](caf::error& error) { result = to_failure(std::move(error), "the index"); });
    return result;
  }

  caf::scoped_actor& self_;
  const embedder_actor& embedder_;
  const vector_index_actor& index_;
  const std::filesystem::path& folder_;
  const std::function<void(const index_progress&)>& on_progress_;
  /// Fingerprints that the index has and the folder does not.
  std::set<std::string> stale_;
  std::vector<document> waiting_;
  size_t waiting_files_ = 0;
  size_t saved_pieces_ = 0;
  index_progress progress_;
  index_report report_;
};

} // namespace

caf::expected<index_report> update_index(caf::scoped_actor& self, const embedder_actor& embedder,
    const vector_index_actor& index, const std::filesystem::path& folder,
    const std::function<void(const index_progress&)>& on_progress) {
  return update{self, embedder, index, folder, on_progress}.run();
}

} // namespace chainmail::asking

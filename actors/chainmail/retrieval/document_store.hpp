// Documents by ID, in an SQLite database.
#pragma once

#include <chainmail/retrieval.hpp>
#include <chainmail/values.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace chainmail {

/// Keeps documents; what was changed is on the disk when the call returns (WAL, synchronous=FULL).
/// A database that fails gives errc::internal with SQLite's own words. For one thread at a time;
/// calls wait for the disk.
class document_store {
public:
  /// Opens the database, or makes it when the file is missing or empty. ":memory:" keeps it in
  /// memory. errc::malformed_response for a file that is something else, is damaged, or has the
  /// schema of another version; errc::invalid_input for one that cannot be opened.
  static caf::expected<document_store> open(const std::string& path);

  document_store(document_store&&) noexcept;
  document_store& operator=(document_store&&) noexcept;
  ~document_store();

  /// A random number that the database got when it was made.
  [[nodiscard]] uint64_t mark() const;

  /// Adds all or none. The IDs ascend and are never used again.
  caf::expected<std::vector<uint64_t>> add(const std::vector<document>& documents);

  /// Documents that are added from now on get IDs above this one.
  caf::error skip_ids(uint64_t last);

  /// In the order of the IDs. errc::not_found for an ID that has no document.
  caf::expected<std::vector<document>> get(std::span<const uint64_t> ids);

  /// How many of them there were.
  caf::expected<uint64_t> remove(std::span<const uint64_t> ids);

  /// Ascending.
  caf::expected<std::vector<uint64_t>> ids();

  /// The IDs of the documents that pass, ascending.
  caf::expected<std::vector<uint64_t>> matching(const metadata_filter& filter);

  /// The distinct values under a metadata key, sorted by their bytes.
  caf::expected<std::vector<std::string>> values_of(const std::string& key);

private:
  struct database;

  explicit document_store(std::unique_ptr<database> opened);

  std::unique_ptr<database> database_;
};

} // namespace chainmail

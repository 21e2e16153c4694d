// The documents of a folder: which files there are, what they say, and in which pieces.
#pragma once

#include <chainmail/values.hpp>

#include <caf/fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::asking {

/// One file of text.
struct source_file {
  /// Below the folder, with slashes: what is named as the source.
  std::string name;
  std::string text;
  /// Of name and text: the same for the same file, another once it changed.
  std::string fingerprint;
};

/// What a folder holds.
struct folder_listing {
  /// Text (.txt, .text) and Markdown (.md, .markdown), sorted by name. Left out are hidden files and
  /// folders, folders that are links, and CMakeLists.txt.
  std::vector<std::string> names;
  /// A sentence for each folder that cannot be read, and for each file whose name cannot be cited.
  std::vector<std::string> complaints;
};

/// errc::invalid_input when there is no such folder, or it cannot be read.
caf::expected<folder_listing> list_folder(const std::filesystem::path& folder);

/// 32 hexadecimal digits of SHA-256.
std::string fingerprint_of(const std::string& name, const std::string& text);

/// errc::invalid_input for a file that is gone, larger than 16 MiB, or not UTF-8.
caf::expected<source_file> read_source(
    const std::filesystem::path& folder, const std::string& name);

/// The file in pieces small enough to look up, each with "source", "fingerprint" and, below a
/// Markdown heading, "heading" in its metadata.
std::vector<document> split_source(const source_file& file);

/// "docs/limits.md (Retries > Budget)": where a document comes from.
std::string place_of(const document& piece);

} // namespace chainmail::asking

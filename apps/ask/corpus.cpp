// Reading folders.
#include "corpus.hpp"

#include <chainmail/documents/text_splitter.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

namespace chainmail::ask {

namespace fs = std::filesystem;

namespace {

constexpr uintmax_t largest_file = 16U << 20U;
/// In characters: small enough that a prompt of four is short, large enough for a whole answer.
constexpr size_t piece_size = 1'000;

bool is_markdown(const fs::path& path) {
  return path.extension() == ".md" || path.extension() == ".markdown";
}

bool is_text(const fs::path& path) {
  return is_markdown(path) || path.extension() == ".txt" || path.extension() == ".text";
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

} // namespace

std::string fingerprint_of(const std::string& name, const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  auto all = name + '\n' + text;
  if (EVP_Digest(all.data(), all.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error{"SHA-256 is not to be had from OpenSSL"};
  constexpr auto digits = "0123456789abcdef";
  std::string result;
  for (size_t i = 0; i < 16; ++i)
    result += {digits[digest[i] >> 4U], digits[digest[i] & 15U]};
  return result;
}

caf::expected<folder_listing> list_folder(const fs::path& folder) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed))
    return make_failure(errc::invalid_input, "there is no folder '" + folder.string() + "'");
  folder_listing result;
  fs::recursive_directory_iterator each{
      folder, fs::directory_options::skip_permission_denied, failed};
  for (; !failed && each != fs::recursive_directory_iterator{}; each.increment(failed)) {
    if (is_hidden(each->path())) {
      each.disable_recursion_pending();
      continue;
    }
    std::error_code unknown;
    if (each->is_regular_file(unknown) && is_text(each->path()))
      result.names.push_back(each->path().lexically_relative(folder).generic_string());
  }
  if (failed)
    result.complaints.push_back("the folder could not be read to its end: " + failed.message());
  std::ranges::sort(result.names);
  return result;
}

caf::expected<source_file> read_source(const fs::path& folder, const std::string& name) {
  auto refuse = [&](const std::string& why) {
    return make_failure(errc::invalid_input, name + " " + why);
  };
  std::error_code failed;
  auto size = fs::file_size(folder / name, failed);
  if (failed)
    return refuse("cannot be read: " + failed.message());
  if (size > largest_file)
    return refuse("is larger than 16 MiB");
  std::ifstream in{folder / name, std::ios::binary};
  std::ostringstream text;
  text << in.rdbuf();
  if (!in)
    return size == 0 ? caf::expected<source_file>{source_file{name, {}, fingerprint_of(name, {})}}
                     : caf::expected<source_file>{refuse("cannot be read")};
  source_file result{name, std::move(text).str(), {}};
  if (!is_utf8(result.text))
    return refuse("is not UTF-8 text");
  result.fingerprint = fingerprint_of(name, result.text);
  return result;
}

std::vector<document> split_source(const source_file& file) {
  text_splitter_options size;
  size.chunk_size = piece_size;
  size.chunk_overlap = 0;
  auto splitter =
      is_markdown(file.name) ? text_splitter::markdown(size) : text_splitter::recursive(size);
  return splitter->split({{file.text, {{"source", file.name}, {"fingerprint", file.fingerprint}}}});
}

std::string place_of(const document& piece) {
  auto source = piece.metadata.find("source");
  auto heading = piece.metadata.find("heading");
  std::string result = source == piece.metadata.end() ? "?" : source->second;
  if (heading != piece.metadata.end() && !heading->second.empty())
    result += " (" + heading->second + ")";
  return result;
}

} // namespace chainmail::ask

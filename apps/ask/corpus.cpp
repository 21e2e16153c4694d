// Reading folders.
#include "corpus.hpp"

#include <chainmail/documents/text_splitter.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace chainmail::asking {

namespace fs = std::filesystem;

namespace {

constexpr uintmax_t largest_file = 16U << 20U;
/// In characters: small enough that a prompt of four is short, large enough for a whole answer.
constexpr size_t piece_size = 1'000;

bool is_markdown(const fs::path& path) {
  return path.extension() == ".md" || path.extension() == ".markdown";
}

/// CMake's build files are programs that have the ending of a text.
bool is_text(const fs::path& path) {
  return is_markdown(path) || path.extension() == ".text" ||
         (path.extension() == ".txt" && path.filename() != "CMakeLists.txt");
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

/// A name as a sentence can hold it.
std::string shown(const std::string& name) {
  return one_line(name, 200);
}

/// Prompts name sources, and a name with a newline could pass for more of the prompt.
bool is_plain(const std::string& name) {
  return is_utf8(name) && std::ranges::none_of(name, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
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
  std::vector<fs::path> pending{folder};
  while (!pending.empty()) {
    auto at = std::move(pending.back());
    pending.pop_back();
    fs::directory_iterator each{at, failed};
    for (; !failed && each != fs::directory_iterator{}; each.increment(failed)) {
      std::error_code unknown;
      if (is_hidden(each->path()))
        continue;
      if (each->is_directory(unknown) && !each->is_symlink(unknown))
        pending.push_back(each->path());
      else if (is_text(each->path()) && each->is_regular_file(unknown))
        result.names.push_back(each->path().lexically_relative(folder).generic_string());
    }
    if (failed && at == folder)
      return make_failure(errc::invalid_input,
          "the folder '" + folder.string() + "' cannot be read: " + failed.message());
    if (failed)
      result.complaints.push_back(shown(at.lexically_relative(folder).generic_string()) +
                                  " cannot be read: " + failed.message());
  }
  std::erase_if(result.names, [&](const std::string& name) {
    if (is_plain(name))
      return false;
    result.complaints.push_back(
        shown(name) + " has a name that is not UTF-8, or with control characters");
    return true;
  });
  std::ranges::sort(result.names);
  std::ranges::sort(result.complaints);
  return result;
}

caf::expected<source_file> read_source(const fs::path& folder, const std::string& name) {
  auto refuse = [&](const std::string& why) {
    return make_failure(errc::invalid_input, shown(name) + " " + why);
  };
  errno = 0;
  std::ifstream in{folder / name, std::ios::binary};
  if (!in)
    return refuse("cannot be read: " + std::system_category().message(errno));
  std::error_code failed;
  auto size = fs::file_size(folder / name, failed);
  if (failed)
    return refuse("cannot be read: " + failed.message());
  if (size > largest_file)
    return refuse("is larger than 16 MiB");
  source_file result{name, std::string(size, '\0'), {}};
  in.read(result.text.data(), static_cast<std::streamsize>(size));
  if (in.bad())
    return refuse("cannot be read");
  result.text.resize(static_cast<size_t>(in.gcount()));
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

} // namespace chainmail::asking

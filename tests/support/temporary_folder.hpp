// A folder for the length of a test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace chainmail::test {

class temporary_folder {
public:
  temporary_folder() : path_(std::filesystem::temp_directory_path() / "chainmail-test-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr)
      throw std::runtime_error{"the test gets no temporary folder"};
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }

private:
  std::string path_;
};

inline std::string read_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Anew: writing over a file waits for the disk on some file systems.
inline void write_file(const std::string& path, const std::string& content) {
  std::filesystem::remove(path);
  std::ofstream out{path, std::ios::binary | std::ios::trunc};
  out << content;
}

} // namespace chainmail::test

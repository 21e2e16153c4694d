// This process as /proc shows it, and its environment.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>

namespace chainmail::test {

inline size_t entries_of(const char* folder) {
  size_t result = 0;
  std::error_code ignored;
  for (std::filesystem::directory_iterator i{folder, ignored}, end; i != end; i.increment(ignored))
    ++result;
  return result;
}

/// The one that looks is always among them.
inline size_t open_files() {
  return entries_of("/proc/self/fd");
}

inline size_t threads() {
  return entries_of("/proc/self/task");
}

/// Sets a variable of the environment, and puts back what was there.
class environment_variable {
public:
  environment_variable(std::string name, const std::string& content) : name_(std::move(name)) {
    if (auto* before = std::getenv(name_.c_str()))
      before_ = before;
    setenv(name_.c_str(), content.c_str(), 1);
  }
  environment_variable(const environment_variable&) = delete;
  environment_variable& operator=(const environment_variable&) = delete;
  ~environment_variable() {
    if (before_)
      setenv(name_.c_str(), before_->c_str(), 1);
    else
      unsetenv(name_.c_str());
  }

private:
  std::string name_;
  std::optional<std::string> before_;
};

} // namespace chainmail::test

// A resolver whose speed and answers a test decides, for names that end in ".test".
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace chainmail::test {

/// One name, for as long as the object lives: 127.0.0.1, or no such host. This program's own
/// getaddrinfo() answers for it, in whatever thread libcurl calls it.
class fake_name {
public:
  enum class kind { local, unknown };

  explicit fake_name(
      std::string name, std::chrono::milliseconds delay = {}, kind what = kind::local);
  fake_name(const fake_name&) = delete;
  fake_name& operator=(const fake_name&) = delete;
  ~fake_name();

  /// How often the name was looked up, which is how many threads libcurl started for it.
  [[nodiscard]] size_t lookups() const;

  /// "http://NAME:PORT/".
  [[nodiscard]] std::string url(unsigned port) const;

private:
  std::string name_;
};

} // namespace chainmail::test

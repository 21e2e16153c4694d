// What an HTTP engine may use, and whom it trusts.
#pragma once

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <cstddef>
#include <string>

namespace chainmail {

struct http_options {
  /// Engines, each one thread, started when they are needed. One does 30,000 exchanges a second on
  /// loopback; more of them help with bursts of new connections, and when TLS keeps one thread busy.
  /// 0 for two, where the machine has the cores and max_in_flight is more than 128.
  size_t workers = 0;
  /// Exchanges at once, over all workers of this engine: each is one connection. 0 means 10,000, or
  /// what the limit on open files leaves when that is less. Engines do not know of each other: a
  /// process with two has to divide its open files between them.
  size_t max_in_flight = 0;
  /// Calls that wait for a place; one more is answered with errc::overloaded.
  size_t max_queued = 20'000;
  /// From the start of an exchange until there is a connection, TLS included.
  caf::timespan connect_timeout = std::chrono::seconds{10};
  /// Over this, a call has timed out even without a deadline. A stream has when nothing of it moved
  /// for so long: no piece came, and its sink took none. LangChain's time-out.
  caf::timespan max_call_time = std::chrono::seconds{600};
  /// Of a response's body, decompressed.
  size_t max_response_bytes = size_t{32} << 20U;
  /// PEM file of the authorities to trust instead of the system's.
  std::string ca_file = {};
  /// Such as "http://proxy:3128". Empty for none: proxies of the environment are not used.
  std::string proxy = {};
};

/// errc::invalid_input for options that cannot work, more exchanges than open files among them.
caf::error check(const http_options& options);

/// How many exchanges the options allow at once in this process, with its limit on open files.
size_t capacity_of(const http_options& options);

/// Raises this process's soft limit on open files to the hard one. For main functions: a library
/// has no business changing its process. Returns the limit then in force.
size_t raise_open_file_limit();

} // namespace chainmail

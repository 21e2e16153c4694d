// The limit on open files, and what it allows.
#include <chainmail/errors.hpp>
#include <chainmail/http/http_options.hpp>

#include <algorithm>
#include <sys/resource.h>
#include <unistd.h>

namespace chainmail {

namespace {

/// Left to the rest of the process: files, pipes, the sockets of other libraries.
constexpr size_t reserved_files = 128;

size_t open_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<size_t>(limit.rlim_cur);
}

size_t most_connections() {
  auto limit = open_file_limit();
  return limit > 2 * reserved_files ? limit - reserved_files : limit / 2;
}

} // namespace

caf::error check(const http_options& options) {
  if (options.workers > 64)
    return invalid_input("http_options::workers must be at most 64");
  if (options.max_in_flight > most_connections())
    return invalid_input("http_options::max_in_flight is " + std::to_string(options.max_in_flight) +
                         ", but the limit on open files (" + std::to_string(open_file_limit()) +
                         ") leaves " + std::to_string(most_connections()) +
                         " connections; raise it with ulimit -n, or ask for less");
  if (options.max_in_flight != 0 && options.max_in_flight < options.workers)
    return invalid_input("http_options::max_in_flight must be at least the number of workers");
  if (options.connect_timeout.count() <= 0 || options.max_call_time.count() <= 0)
    return invalid_input("the times of http_options must be positive");
  if (options.max_response_bytes == 0)
    return invalid_input("http_options::max_response_bytes must be at least 1");
  if (!options.ca_file.empty() && access(options.ca_file.c_str(), R_OK) != 0)
    return invalid_input("http_options::ca_file " + options.ca_file + " cannot be read");
  return {};
}

size_t capacity_of(const http_options& options) {
  if (options.max_in_flight != 0)
    return options.max_in_flight;
  return std::max(std::min<size_t>(10'000, most_connections()), options.workers);
}

size_t raise_open_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return open_file_limit();
}

} // namespace chainmail

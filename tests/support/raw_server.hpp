// A server that does to its clients what a test's script says, right or wrong.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <support/certificate.hpp>
#include <thread>
#include <vector>

namespace chainmail::test {

/// What arrived.
struct raw_request {
  std::string head;
  std::string body;

  /// "POST /v1/completions HTTP/1.1".
  [[nodiscard]] std::string first_line() const;

  /// The path and the query, or what else stands there.
  [[nodiscard]] std::string target() const;

  /// The value of the first header of that name, whose case does not matter. Empty for none.
  [[nodiscard]] std::string header(std::string_view name) const;
};

/// A 200 with that body, and its length.
std::string ok_reply(std::string_view body, std::string_view more_headers = {});

/// One client's connection, for one thread. Every wait ends when the server stops.
class raw_connection {
public:
  using clock = std::chrono::steady_clock;

  raw_connection(int fd, int stop_fd, ssl_st* tls, size_t number);
  raw_connection(const raw_connection&) = delete;
  raw_connection& operator=(const raw_connection&) = delete;
  ~raw_connection();

  /// Waits for a whole request. Nothing when the client leaves first.
  std::optional<raw_request> read_request();

  /// Waits for bytes of whatever kind. Empty when the client leaves.
  std::string read_some();

  /// False when the client has left.
  bool send(std::string_view text);

  /// Ends the connection in order (FIN).
  void close();

  /// Ends the connection with a TCP reset.
  void reset();

  /// True when the client ends the connection within that time; what it sends is thrown away.
  bool wait_for_close(std::chrono::milliseconds within = std::chrono::seconds{30});

  /// False when the server stops.
  bool pause(std::chrono::milliseconds time);

  /// 0 for the server's first connection.
  [[nodiscard]] size_t number() const { return number_; }

  /// Called by read_request with each request.
  std::function<void(const raw_request&)> on_request;

private:
  bool wait(short events, clock::time_point until);
  std::optional<size_t> receive(char* data, size_t size, clock::time_point until);

  int fd_;
  int stop_fd_;
  ssl_st* tls_;
  size_t number_;
  std::string buffer_;
};

/// Listens on 127.0.0.1 and runs the script for each connection, in a thread of its own. The
/// connection is closed when the script returns.
class raw_server {
public:
  using script = std::function<void(raw_connection&)>;

  explicit raw_server(script what);

  /// Speaks TLS with that certificate.
  raw_server(script what, const certificate& identity);

  raw_server(const raw_server&) = delete;
  raw_server& operator=(const raw_server&) = delete;

  /// Cuts all connections.
  ~raw_server();

  [[nodiscard]] uint16_t port() const { return port_; }

  /// "http://127.0.0.1:PORT", or https, and the path.
  [[nodiscard]] std::string url(std::string_view path = "/") const;

  [[nodiscard]] size_t connections() const { return accepted_; }
  [[nodiscard]] size_t open_connections() const { return open_; }
  [[nodiscard]] std::vector<raw_request> requests() const;
  [[nodiscard]] size_t request_count() const;

private:
  void listen();
  void accept_all();
  void serve(int fd, size_t number);

  script script_;
  std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> tls_;
  int listener_ = -1;
  int stop_fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<size_t> accepted_{0};
  std::atomic<size_t> open_{0};
  mutable std::mutex mutex_;
  std::vector<raw_request> requests_;
  std::vector<std::jthread> serving_; // touched by the accepting thread, then by the destructor
  std::jthread accepting_;
};

} // namespace chainmail::test

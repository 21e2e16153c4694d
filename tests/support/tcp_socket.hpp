// A TCP socket for tests that look at bytes.
#pragma once

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace chainmail::test {

/// Belongs to the network namespace of the thread that made it. Throws std::system_error.
class tcp_socket {
public:
  /// Listens on a port that the system chooses.
  static tcp_socket listening(const std::string& host) {
    tcp_socket result{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto here = address_of(host, 0);
    must(bind(result.fd_, reinterpret_cast<sockaddr*>(&here), sizeof here), "bind");
    must(listen(result.fd_, 16), "listen");
    return result;
  }

  static tcp_socket connected(const std::string& host, uint16_t port) {
    tcp_socket result{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto there = address_of(host, port);
    must(connect(result.fd_, reinterpret_cast<sockaddr*>(&there), sizeof there), "connect");
    return result;
  }

  tcp_socket(tcp_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  tcp_socket& operator=(tcp_socket&&) = delete;
  ~tcp_socket() {
    if (fd_ >= 0)
      ::close(fd_);
  }

  [[nodiscard]] tcp_socket accept() const {
    return tcp_socket{accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)};
  }

  [[nodiscard]] uint16_t port() const {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    must(getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size), "getsockname");
    return ntohs(own.sin_port);
  }

  void send(const std::string& text) const {
    auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
    must(sent == static_cast<ssize_t>(text.size()) ? 0 : -1, "send");
  }

  [[nodiscard]] int fd() const { return fd_; }

  /// Sends no more, and may still receive.
  void end() const { shutdown(fd_, SHUT_WR); }

  /// What comes next: empty at the connection's end, nothing when nothing comes in that time.
  [[nodiscard]] std::optional<std::string> receive(
      std::chrono::milliseconds within = std::chrono::seconds{10}) const {
    pollfd ready{fd_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(within.count())) != 1)
      return std::nullopt;
    std::array<char, 4096> some{};
    auto count = recv(fd_, some.data(), some.size(), 0);
    return std::string{some.data(), count > 0 ? static_cast<size_t>(count) : 0};
  }

private:
  explicit tcp_socket(int fd) : fd_(fd) { must(fd, "socket"); }

  static void must(int result, const char* what) {
    if (result < 0)
      throw std::system_error{errno, std::generic_category(), what};
  }

  static sockaddr_in address_of(const std::string& host, uint16_t port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    inet_pton(AF_INET, host.c_str(), &result.sin_addr);
    return result;
  }

  int fd_;
};

} // namespace chainmail::test

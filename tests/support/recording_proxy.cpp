// The proxy's poll loop.
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <iterator>
#include <list>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <support/recording_proxy.hpp>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace chainmail::test {

namespace {

/// Unsent bytes, beyond which a side is not read from.
constexpr size_t most_pending = size_t{1} << 20U;

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

int open_socket() {
  auto fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    fail("socket");
  return fd;
}

sockaddr_in address_of(const std::string& host, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &result.sin_addr) != 1)
    throw std::invalid_argument{"not an IPv4 address: " + host};
  return result;
}

void send_at_once(int fd) {
  int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

} // namespace

/// One side's socket, and what is to be sent to it.
struct recording_proxy::connection {
  struct side {
    int fd = -1;
    std::string pending;
    bool has_ended = false; // it sends no more
    bool was_told = false;  // that the other one has ended
  };

  std::array<side, 2> sides;

  connection(int left, int right) {
    sides[0].fd = left;
    sides[1].fd = right;
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection() {
    close(sides[0].fd);
    close(sides[1].fd);
  }

  [[nodiscard]] short wanted(size_t i) const {
    const auto& own = sides[i];
    const auto& other = sides[1 - i];
    auto reads = !own.has_ended && other.pending.size() < most_pending;
    return static_cast<short>((reads ? POLLIN : 0) | (own.pending.empty() ? 0 : POLLOUT));
  }

  /// False when the connection is broken.
  bool receive(size_t i, recording_proxy& proxy) {
    auto& own = sides[i];
    std::array<char, 65'536> some{};
    auto count = recv(own.fd, some.data(), some.size(), 0);
    if (count > 0) {
      proxy.record(some.data(), static_cast<size_t>(count));
      sides[1 - i].pending.append(some.data(), static_cast<size_t>(count));
    } else if (count == 0) {
      own.has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
      return false;
    }
    return true;
  }

  /// False when the connection is broken.
  bool flush(size_t i) {
    auto& own = sides[i];
    while (!own.pending.empty()) {
      auto count = ::send(own.fd, own.pending.data(), own.pending.size(), MSG_NOSIGNAL);
      if (count < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
      own.pending.erase(0, static_cast<size_t>(count));
    }
    if (sides[1 - i].has_ended && !own.was_told) {
      own.was_told = true;
      shutdown(own.fd, SHUT_WR);
    }
    return true;
  }

  [[nodiscard]] bool is_over() const { return sides[0].was_told && sides[1].was_told; }
};

recording_proxy::recording_proxy(uint16_t to_port, const std::string& host)
  : host_(host), to_port_(to_port) {
  address_of(host, to_port);
  listener_ = open_socket();
  auto own = address_of("127.0.0.1", 0);
  socklen_t size = sizeof own;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&own), size) != 0 ||
      listen(listener_, SOMAXCONN) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&own), &size) != 0)
    fail("listen");
  port_ = ntohs(own.sin_port);
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0)
    fail("eventfd");
  thread_ = std::thread{[this] { run(); }};
}

recording_proxy::~recording_proxy() {
  is_over_ = true;
  wake_up();
  thread_.join();
  close(listener_);
  close(wake_fd_);
}

void recording_proxy::swallow(bool yes) {
  {
    std::lock_guard guard{passing_};
    is_swallowing_ = yes;
  }
  wake_up();
}

std::string recording_proxy::recorded() const {
  std::lock_guard guard{mutex_};
  return recorded_;
}

void recording_proxy::record(const char* bytes, size_t count) {
  std::lock_guard guard{mutex_};
  recorded_.append(bytes, count);
}

void recording_proxy::wake_up() const {
  eventfd_write(wake_fd_, 1);
}

void recording_proxy::run() {
  std::list<connection> connections;
  std::vector<pollfd> ready;
  while (!is_over_) {
    ready.assign({{wake_fd_, POLLIN, 0}});
    if (!is_swallowing_) {
      ready.push_back({listener_, POLLIN, 0});
      for (const auto& x : connections)
        for (size_t i = 0; i < 2; ++i)
          // A side that has ended is not asked about: it would be ready all the time.
          ready.push_back({x.wanted(i) != 0 ? x.sides[i].fd : -1, x.wanted(i), 0});
    }
    if (poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR)
      return;
    eventfd_t ignored = 0;
    eventfd_read(wake_fd_, &ignored);
    std::lock_guard guard{passing_};
    if (is_swallowing_ || ready.size() == 1)
      continue;
    size_t at = 2;
    for (auto x = connections.begin(); x != connections.end(); at += 2) {
      auto is_fine = true;
      for (size_t i = 0; i < 2 && is_fine; ++i)
        if ((ready[at + i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 && !x->sides[i].has_ended)
          is_fine = x->receive(i, *this);
      for (size_t i = 0; i < 2 && is_fine; ++i)
        is_fine = x->flush(i);
      x = is_fine && !x->is_over() ? std::next(x) : connections.erase(x);
    }
    if ((ready[1].revents & POLLIN) != 0) {
      auto client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client < 0)
        continue;
      auto server = open_socket();
      auto there = address_of(host_, to_port_);
      send_at_once(client);
      send_at_once(server);
      // A connection that fails shows when it is read from.
      static_cast<void>(connect(server, reinterpret_cast<sockaddr*>(&there), sizeof there));
      connections.emplace_back(client, server);
    }
  }
}

} // namespace chainmail::test

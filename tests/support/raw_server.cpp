// Sockets, and what little HTTP and TLS the scripts need.
#include <openssl/ssl.h>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <support/raw_server.hpp>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace chainmail::test {

namespace {

constexpr auto patience = std::chrono::seconds{30};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
      [](char x, char y) { return lower(x) == lower(y); });
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

} // namespace

// -- requests and replies -------------------------------------------------------------

std::string raw_request::first_line() const {
  return head.substr(0, head.find("\r\n"));
}

std::string raw_request::target() const {
  auto line = first_line();
  auto start = line.find(' ') + 1;
  return line.substr(start, line.find(' ', start) - start);
}

std::string raw_request::header(std::string_view name) const {
  std::string_view rest = head;
  while (!rest.empty()) {
    auto end = rest.find("\r\n");
    auto line = rest.substr(0, end);
    auto colon = line.find(':');
    if (colon != std::string_view::npos && equal_ignoring_case(line.substr(0, colon), name)) {
      auto start = line.find_first_not_of(' ', colon + 1);
      return start == std::string_view::npos ? std::string{} : std::string{line.substr(start)};
    }
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  }
  return {};
}

std::string ok_reply(std::string_view body, std::string_view more_headers) {
  std::string result = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  result += more_headers;
  result += "\r\n";
  result += body;
  return result;
}

// -- one connection -------------------------------------------------------------------

raw_connection::raw_connection(int fd, int stop_fd, ssl_st* tls, size_t number)
  : fd_(fd), stop_fd_(stop_fd), tls_(tls), number_(number) {
  if (tls_ != nullptr) {
    SSL_set_fd(tls_, fd_);
    SSL_set_accept_state(tls_);
  }
}

raw_connection::~raw_connection() {
  close();
}

bool raw_connection::wait(short events, clock::time_point until) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
  pollfd fds[] = {{stop_fd_, POLLIN, 0}, {fd_, events, 0}};
  auto count = poll(fds, fd_ < 0 ? 1 : 2, static_cast<int>(std::max<int64_t>(left, 0)));
  return count > 0 && fds[0].revents == 0;
}

/// The number of bytes, 0 at the end of the connection, nothing when time is up.
std::optional<size_t> raw_connection::receive(char* data, size_t size, clock::time_point until) {
  while (fd_ >= 0) {
    short wanted = POLLIN;
    if (tls_ == nullptr) {
      if (auto got = recv(fd_, data, size, 0); got >= 0)
        return static_cast<size_t>(got);
      if (errno != EAGAIN && errno != EINTR)
        return 0;
    } else {
      auto got = SSL_read(tls_, data, static_cast<int>(size));
      if (got > 0)
        return static_cast<size_t>(got);
      auto why = SSL_get_error(tls_, got);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return 0;
      wanted = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    }
    if (!wait(wanted, until))
      return std::nullopt;
  }
  return 0;
}

std::string raw_connection::read_some() {
  std::string result(16384, '\0');
  result.resize(receive(result.data(), result.size(), clock::now() + patience).value_or(0));
  return result;
}

std::optional<raw_request> raw_connection::read_request() {
  size_t head_end = 0;
  while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    auto more = read_some();
    if (more.empty())
      return std::nullopt;
    buffer_ += more;
  }
  raw_request result;
  result.head = buffer_.substr(0, head_end + 2);
  buffer_.erase(0, head_end + 4);
  size_t length = 0;
  auto text = result.header("Content-Length");
  std::from_chars(text.data(), text.data() + text.size(), length);
  while (buffer_.size() < length) {
    auto more = read_some();
    if (more.empty())
      return std::nullopt;
    buffer_ += more;
  }
  result.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  if (on_request)
    on_request(result);
  return result;
}

bool raw_connection::send(std::string_view text) {
  auto until = clock::now() + patience;
  while (!text.empty() && fd_ >= 0) {
    short wanted = POLLOUT;
    if (tls_ == nullptr) {
      if (auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); sent >= 0) {
        text.remove_prefix(static_cast<size_t>(sent));
        continue;
      }
      if (errno != EAGAIN && errno != EINTR)
        return false;
    } else {
      auto sent = SSL_write(tls_, text.data(), static_cast<int>(text.size()));
      if (sent > 0) {
        text.remove_prefix(static_cast<size_t>(sent));
        continue;
      }
      auto why = SSL_get_error(tls_, sent);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return false;
      wanted = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    }
    if (!wait(wanted, until))
      return false;
  }
  return text.empty();
}

void raw_connection::close() {
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
}

void raw_connection::reset() {
  linger hard{1, 0};
  if (fd_ >= 0)
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

bool raw_connection::wait_for_close(std::chrono::milliseconds within) {
  auto until = clock::now() + within;
  std::string ignored(16384, '\0');
  while (true) {
    auto got = receive(ignored.data(), ignored.size(), until);
    if (!got)
      return false;
    if (*got == 0)
      return true;
  }
}

bool raw_connection::pause(std::chrono::milliseconds time) {
  pollfd stop{stop_fd_, POLLIN, 0};
  return poll(&stop, 1, static_cast<int>(time.count())) == 0;
}

// -- the server -----------------------------------------------------------------------

raw_server::raw_server(script what) : script_(std::move(what)), tls_(nullptr, SSL_CTX_free) {
  listen();
}

raw_server::raw_server(script what, const certificate& identity)
  : script_(std::move(what)), tls_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
  if (SSL_CTX_use_certificate(tls_.get(), identity.x509()) != 1 ||
      SSL_CTX_use_PrivateKey(tls_.get(), identity.key()) != 1)
    throw std::runtime_error{"the test's certificate cannot be used"};
  listen();
}

raw_server::~raw_server() {
  uint64_t one = 1;
  [[maybe_unused]] auto written = write(stop_fd_, &one, sizeof one); // never read: stays on
  accepting_.join();
  serving_.clear();
  ::close(listener_);
  ::close(stop_fd_);
}

void raw_server::listen() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  stop_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  auto* address = reinterpret_cast<sockaddr*>(&where);
  if (listener_ < 0 || stop_fd_ < 0 || bind(listener_, address, size) != 0 ||
      ::listen(listener_, 512) != 0 || getsockname(listener_, address, &size) != 0)
    fail("raw_server");
  port_ = ntohs(where.sin_port);
  accepting_ = std::jthread{[this] { accept_all(); }};
}

void raw_server::accept_all() {
  while (true) {
    pollfd fds[] = {{stop_fd_, POLLIN, 0}, {listener_, POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[0].revents != 0)
      return;
    auto fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
      continue;
    ++open_;
    auto number = accepted_++;
    serving_.emplace_back([this, fd, number] { serve(fd, number); });
  }
}

void raw_server::serve(int fd, size_t number) {
  // OpenSSL writes without MSG_NOSIGNAL. For this thread only: the engine must not raise it.
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
  int at_once = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  std::unique_ptr<SSL, void (*)(SSL*)> tls{tls_ ? SSL_new(tls_.get()) : nullptr, SSL_free};
  {
    raw_connection connection{fd, stop_fd_, tls.get(), number};
    connection.on_request = [this](const raw_request& request) {
      std::lock_guard guard{mutex_};
      requests_.push_back(request);
    };
    script_(connection);
  }
  --open_;
}

std::string raw_server::url(std::string_view path) const {
  return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_) +
         std::string{path};
}

std::vector<raw_request> raw_server::requests() const {
  std::lock_guard guard{mutex_};
  return requests_;
}

size_t raw_server::request_count() const {
  std::lock_guard guard{mutex_};
  return requests_.size();
}

} // namespace chainmail::test

// Addresses, and whether somebody is there.
#include <chainmail/cluster/node_address.hpp>
#include <chainmail/errors.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace chainmail {

namespace {

using addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

/// Null, and the reason, when the host is not known.
addresses look_up(const node_address& address, int& reason) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  reason = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  return {found, [](addrinfo* x) {
            if (x != nullptr)
              freeaddrinfo(x);
          }};
}

bool is_loopback_address(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in x{};
    std::memcpy(&x, address, sizeof(x));
    return (ntohl(x.sin_addr.s_addr) >> 24U) == 127;
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 x{};
    std::memcpy(&x, address, sizeof(x));
    return IN6_IS_ADDR_LOOPBACK(&x.sin6_addr);
  }
  return false;
}

/// 0, or an errno.
int connect_within(const addrinfo& to, std::chrono::milliseconds timeout) {
  auto fd = socket(to.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return errno;
  auto result = connect(fd, to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
  if (result == EINPROGRESS) {
    pollfd waited{fd, POLLOUT, 0};
    auto ready = poll(&waited, 1, static_cast<int>(timeout.count()));
    socklen_t size = sizeof(result);
    if (ready == 0)
      result = ETIMEDOUT;
    else if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) != 0)
      result = errno;
  }
  close(fd);
  return result;
}

} // namespace

std::string to_string(const node_address& address) {
  auto is_numeric_6 = address.host.find(':') != std::string::npos;
  return (is_numeric_6 ? "[" + address.host + "]" : address.host) + ":" +
         std::to_string(address.port);
}

caf::expected<node_address> parse_address(const std::string& text) {
  auto refuse = [&text] {
    return make_failure(
        errc::invalid_input, std::string{"'"}.append(text, 0, 200) +
                                 "' is no address: write HOST:PORT, such as 10.0.0.1:4700");
  };
  auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return refuse();
  node_address result;
  result.host = text.substr(0, colon);
  if (result.host.front() == '[' && result.host.back() == ']')
    result.host = text.substr(1, colon - 2);
  else if (result.host.find(':') != std::string::npos)
    return refuse();
  auto first = text.data() + colon + 1;
  auto last = text.data() + text.size();
  auto [end, error] = std::from_chars(first, last, result.port);
  if (first == last || end != last || error != std::errc{} || result.host.empty())
    return refuse();
  return result;
}

bool is_loopback(const std::string& host) {
  auto reason = 0;
  auto found = look_up({host, 0}, reason);
  if (!found)
    return false;
  for (auto* x = found.get(); x != nullptr; x = x->ai_next)
    if (!is_loopback_address(x->ai_addr))
      return false;
  return true;
}

caf::error try_connect(const node_address& address, caf::timespan timeout) {
  auto reason = 0;
  auto found = look_up(address, reason);
  if (!found)
    return make_failure(errc::connection_failed,
        "the host of " + to_string(address) + " is not known (" + gai_strerror(reason) + ")");
  auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
  auto error = 0;
  for (auto* x = found.get(); x != nullptr; x = x->ai_next) {
    error = connect_within(*x, millis);
    if (error == 0)
      return {};
  }
  return make_failure(errc::connection_failed, "nothing accepts connections at " +
                                                   to_string(address) + " (" +
                                                   std::generic_category().message(error) + ")");
}

} // namespace chainmail

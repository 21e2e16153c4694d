// The engine's sockets: what epoll is told of them, and when it need not be.
#include <chainmail/http/curl_engine.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace chainmail {

curl_engine::socket_watch& curl_engine::watch_of(curl_socket_t fd) {
  auto index = static_cast<size_t>(fd);
  if (sockets_.size() <= index)
    sockets_.resize(2 * index + 64);
  return sockets_[index];
}

void curl_engine::tell_epoll(curl_socket_t fd, socket_watch& of, uint32_t events) {
  epoll_event event{};
  event.data.fd = fd;
  event.events = events;
  // Of what is no connection, a number may be another socket's by now: one was closed unseen.
  if (epoll_ctl(epoll_fd_, of.is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
    epoll_ctl(epoll_fd_, of.is_known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
  of.is_known = true;
  of.events = events;
}

void curl_engine::take_from_epoll(curl_socket_t fd, socket_watch& of) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  of.is_known = false;
  of.is_idle = false;
}

/// libcurl is done with a connection's socket at the end of each call, and wants it again at the
/// begin of the next. In between, epoll keeps it, which saves two system calls a call.
int curl_engine::on_socket(CURL*, curl_socket_t fd, int what, void* s, void*) {
  auto& home = *static_cast<shard*>(s);
  auto& self = *home.engine;
  auto& known = self.watch_of(fd);
  if (what == CURL_POLL_REMOVE) {
    if (known.is_connection && known.is_known)
      known.is_idle = true;
    else
      self.take_from_epoll(fd, known);
    return 0;
  }
  auto events =
      ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
  known.home = &home;
  known.is_idle = false;
  if (!known.is_connection || !known.is_known || known.events != events)
    self.tell_epoll(fd, known, events);
  return 0;
}

curl_socket_t curl_engine::on_open(void* engine, curlsocktype, curl_sockaddr* address) {
  auto fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0)
    return CURL_SOCKET_BAD;
  static_cast<curl_engine*>(engine)->watch_of(fd) = {.is_connection = true};
  return fd;
}

int curl_engine::on_close(void* engine, curl_socket_t fd) {
  auto& self = *static_cast<curl_engine*>(engine);
  auto& known = self.watch_of(fd);
  if (known.is_known)
    self.take_from_epoll(fd, known);
  known = {};
  return close(fd);
}

} // namespace chainmail

// Two HTTP clients for the simulator's tests: one that behaves, one that does not.

#pragma once

#include "simulator/simulator.hpp"

#include <catch2/catch_test_macros.hpp>
#include <curl/curl.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstddef>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace chainmail::simulator::test {

// -- a client that behaves ----------------------------------------------------

struct response {
  CURLcode code = CURLE_OK;
  long status = 0;
  long new_connections = 0;
  std::map<std::string, std::string> fields; ///< names in lower case
  std::string body;
  int pieces = 0; ///< in how many reads the body came
};

/// Keeps its connection from one request to the next.
class client {
public:
  client() : curl_(curl_easy_init(), curl_easy_cleanup) {}

  response get(const std::string& url) { return perform(url, {}); }

  response post(const std::string& url, const std::string& body,
      const std::vector<std::string>& fields = {}) {
    curl_easy_setopt(curl_.get(), CURLOPT_POST, 1L);
    curl_easy_setopt(curl_.get(), CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(
        curl_.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    return perform(url, fields);
  }

private:
  response perform(const std::string& url, const std::vector<std::string>& fields) {
    response result;
    curl_slist* list = nullptr;
    for (const auto& field : fields)
      list = curl_slist_append(list, field.c_str());
    curl_easy_setopt(curl_.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl_.get(), CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl_.get(), CURLOPT_TIMEOUT_MS, 4000L);
    curl_easy_setopt(curl_.get(), CURLOPT_WRITEFUNCTION, &client::on_body);
    curl_easy_setopt(curl_.get(), CURLOPT_WRITEDATA, &result);
    curl_easy_setopt(curl_.get(), CURLOPT_HEADERFUNCTION, &client::on_field);
    curl_easy_setopt(curl_.get(), CURLOPT_HEADERDATA, &result);
    result.code = curl_easy_perform(curl_.get());
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &result.status);
    curl_easy_getinfo(curl_.get(), CURLINFO_NUM_CONNECTS, &result.new_connections);
    curl_slist_free_all(list);
    return result;
  }

  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* to) {
    auto* result = static_cast<response*>(to);
    result->body.append(data, size);
    ++result->pieces;
    return size;
  }

  static std::size_t on_field(char* data, std::size_t, std::size_t size, void* to) {
    std::string line(data, size);
    if (auto colon = line.find(": "); colon != std::string::npos) {
      auto name = line.substr(0, colon);
      for (auto& c : name)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      static_cast<response*>(to)->fields[name] = line.substr(colon + 2, line.size() - colon - 4);
    }
    return size;
  }

  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
};

// -- a client that does not ---------------------------------------------------

class raw_client {
public:
  explicit raw_client(const server& to) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    timeval patience{.tv_sec = 4, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }

  ~raw_client() { leave(); }

  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  void leave() {
    if (socket_ >= 0)
      close(socket_);
    socket_ = -1;
  }

  void send(std::string_view text) {
    REQUIRE(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }

  void send_post(const std::string& body, const std::string& fields = {},
      const std::string& path = "/v1/completions") {
    send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  /// 0: the server closed the connection; below: the errno, negated.
  ssize_t receive() {
    std::array<char, 4096> piece;
    auto size = recv(socket_, piece.data(), piece.size(), 0);
    if (size < 0)
      return -errno;
    received.append(piece.data(), static_cast<std::size_t>(size));
    return size;
  }

  ssize_t receive_until_closed() {
    ssize_t size = 1;
    while (size > 0)
      size = receive();
    return size;
  }

  /// Reads until `count` answers have arrived completely; returns how many did.
  std::size_t receive_answers(std::size_t count) {
    while (answers() < count && receive() > 0)
      ;
    return answers();
  }

  std::string received;

private:
  std::size_t answers() const {
    std::size_t count = 0;
    for (std::size_t at = 0;;) {
      constexpr std::string_view field = "Content-Length: ";
      auto length = received.find(field, at);
      auto body = received.find("\r\n\r\n", at);
      if (length == std::string::npos || body == std::string::npos)
        return count;
      at = body + 4 + std::stoul(received.substr(length + field.size()));
      if (at > received.size())
        return count;
      ++count;
    }
  }

  int socket_;
};

} // namespace chainmail::simulator::test

// A wire tap that can be cut.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace chainmail::test {

/// Takes TCP connections on 127.0.0.1 and passes their bytes on to an address, and back.
class recording_proxy {
public:
  /// `host` is an IPv4 address. Nobody needs to listen there yet.
  explicit recording_proxy(uint16_t to_port, const std::string& host = "127.0.0.1");
  recording_proxy(const recording_proxy&) = delete;
  recording_proxy& operator=(const recording_proxy&) = delete;

  /// Closes all connections.
  ~recording_proxy();

  [[nodiscard]] uint16_t port() const { return port_; }

  /// While swallowing, from when this returns, nothing passes in either direction and nothing is
  /// closed, as if the wire was cut. Afterwards, what was sent in the meantime arrives.
  void swallow(bool yes);

  /// The bytes that came from either side so far, in the order in which they came.
  [[nodiscard]] std::string recorded() const;

private:
  struct connection;

  void run();
  void wake_up() const;
  void record(const char* bytes, size_t count);

  std::string host_;
  uint16_t to_port_;
  int listener_ = -1;
  int wake_fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> is_over_{false};
  /// Held while bytes pass.
  std::mutex passing_;
  std::atomic<bool> is_swallowing_{false};
  mutable std::mutex mutex_;
  std::string recorded_;
  std::thread thread_;
};

} // namespace chainmail::test

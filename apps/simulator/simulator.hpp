// The simulated OpenAI endpoint: an HTTP server on loopback that never asks a model, and says so.

#pragma once

#include "options.hpp"
#include "stats.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace chainmail::simulator {

/// Serves from construction on, on one thread of its own. Every answer carries the header
/// `x-chainmail-simulation: true`.
class server {
public:
  /// @throws std::invalid_argument for options that make no sense
  /// @throws std::runtime_error when the address cannot be used; the sentence says why
  explicit server(const options& opts = {});
  ~server();

  server(const server&) = delete;
  server& operator=(const server&) = delete;

  std::uint16_t port() const;
  std::string base_url() const; ///< "http://127.0.0.1:PORT/v1"
  stats snapshot() const;       ///< callable from any thread, also after stop()

  /// While it is on, every POST request that arrives gets 503 at once, or a reset if the options say
  /// so. Requests that wait for their answer get it. Callable from any thread.
  void set_outage(bool is_on);

  /// Closes every connection, whatever it waits for. Returns when the thread has ended.
  void stop();

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace chainmail::simulator

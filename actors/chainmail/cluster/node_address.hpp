// Where nodes are: "HOST:PORT".
#pragma once

#include <caf/expected.hpp>
#include <caf/timespan.hpp>

#include <cstdint>
#include <string>

namespace chainmail {

struct node_address {
  /// A name, or a numeric address without brackets.
  std::string host;
  uint16_t port = 0;

  friend bool operator==(const node_address&, const node_address&) = default;
};

/// "10.0.0.1:4700"
std::string to_string(const node_address& address);

/// Reads "10.0.0.1:4700", "node-1:4700" or "[::1]:4700"; errc::invalid_input for anything else.
caf::expected<node_address> parse_address(const std::string& text);

/// Whether all of what the host means is this machine: 127.0.0.0/8, ::1. Blocks while a name is
/// looked up.
bool is_loopback(const std::string& host);

/// Whether something accepts connections there; closes it again. Blocks, at most `timeout` for each
/// address of the host. errc::connection_failed with a sentence.
caf::error try_connect(const node_address& address, caf::timespan timeout);

} // namespace chainmail

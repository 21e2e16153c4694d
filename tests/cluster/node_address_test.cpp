#include <chainmail/cluster/node_address.hpp>
#include <chainmail/errors.hpp>

#include <catch2/catch_test_macros.hpp>

namespace node_address_test {

using namespace chainmail;
using namespace std::literals;

TEST_CASE("addresses are a host and a port", "[node_address]") {
  CHECK(parse_address("10.0.0.1:4700") == node_address{"10.0.0.1", 4700});
  CHECK(parse_address("node-1.example:1") == node_address{"node-1.example", 1});
  CHECK(parse_address("[::1]:65535") == node_address{"::1", 65535});
  for (auto* text : {"", ":", ":4700", "host", "host:", "host:x", "host:70000", "host:-1",
           "::1:4700", "[]:1", "host:4700 "})
    CHECK(!parse_address(text));
  CHECK(to_string(node_address{"::1", 1}) == "[::1]:1");
  CHECK(to_string(node_address{"host", 4700}) == "host:4700");
}

TEST_CASE("loopback is what stays on this machine", "[node_address]") {
  CHECK(is_loopback("127.0.0.1"));
  CHECK(is_loopback("127.8.9.10"));
  CHECK(is_loopback("::1"));
  CHECK(is_loopback("localhost"));
  CHECK(!is_loopback("0.0.0.0"));
  CHECK(!is_loopback("::"));
  CHECK(!is_loopback("10.0.0.1"));
  CHECK(!is_loopback("192.0.2.1"));
}

TEST_CASE("nobody at an address is said with the address", "[node_address]") {
  auto error = try_connect({"127.0.0.1", 1}, 100ms);
  CHECK(code_of(error) == errc::connection_failed);
  CHECK(sentence_of(error).find("127.0.0.1:1") != std::string::npos);
  CHECK(code_of(try_connect({"no-such-host.invalid", 1}, 100ms)) == errc::connection_failed);
}

} // namespace node_address_test

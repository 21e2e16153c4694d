// Values: every alternative survives the wire, and what is no value is refused.
#include <chainmail/caf/compat.hpp>
#include <chainmail/messages.hpp>

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/byte_buffer.hpp>
#include <caf/deep_to_string.hpp>
#include <catch2/catch_test_macros.hpp>

namespace values_test {

using namespace chainmail;
using namespace std::string_literals;

namespace {

caf::byte_buffer saved(const values& what) {
  caf::byte_buffer result;
  auto sink = compat::writer_to(result);
  REQUIRE(sink.apply(what));
  return result;
}

bool load(const caf::byte_buffer& from, values& to) {
  auto source = compat::reader_of(from);
  return source.apply(to) && source.remaining() == 0;
}

} // namespace

TEST_CASE("every alternative of a value crosses the wire", "[values]") {
  values sent{{"text", "a"}, {"integer", -3}, {"number", 0.5}, {"truth", true},
      {"texts", std::vector{"a"s, ""s}}, {"documents", std::vector{document{"b", {{"k", "v"}}}}},
      {"chat", std::vector{chat_message{"user", "c"}}}};
  values received;
  REQUIRE(load(saved(sent), received));
  CHECK(received == sent);
}

TEST_CASE("a value of an unknown type is refused", "[values]") {
  auto bytes = saved({{"k", true}});
  REQUIRE(bytes.size() == 5); // how many, length of the key, the key, the type, the truth
  values received;
  CHECK(load(bytes, received));
  bytes[3] = caf::byte_buffer::value_type{std::variant_size_v<value>};
  CHECK_FALSE(load(bytes, received));
}

TEST_CASE("values can be read in a log", "[values]") {
  auto words = caf::deep_to_string(values{{"name", "socks"}});
  CHECK(words.find("name") != std::string::npos);
  CHECK(words.find("socks") != std::string::npos);
}

} // namespace values_test

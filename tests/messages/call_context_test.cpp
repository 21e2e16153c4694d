#include <chainmail/caf/compat.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/byte_buffer.hpp>
#include <catch2/catch_test_macros.hpp>

#include <set>

namespace call_context_test {

using namespace chainmail;
using namespace std::literals;

namespace {

/// What a value is after a trip over the wire.
template <class T>
T over_the_wire(T x) {
  caf::byte_buffer bytes;
  auto sink = compat::writer_to(bytes);
  REQUIRE(sink.apply(x));
  T result;
  auto source = compat::reader_of(bytes);
  REQUIRE(source.apply(result));
  return result;
}

} // namespace

TEST_CASE("new call IDs are roots that differ from each other and from nothing") {
  std::set<call_id> seen;
  for (int i = 0; i < 1'000; ++i) {
    auto id = call_id::make();
    CHECK(id);
    CHECK(id.step == 0);
    seen.insert(id);
  }
  CHECK(seen.size() == 1'000);
  CHECK_FALSE(call_id{});
}

TEST_CASE("children keep the root and differ by parent and index") {
  auto root = call_id::make();
  std::set<call_id> seen;
  for (uint64_t i = 0; i < 100; ++i) {
    auto child = root.child(i);
    CHECK(child.root == root.root);
    CHECK(child.step != 0);
    CHECK(child == root.child(i));
    seen.insert(child);
    for (uint64_t j = 0; j < 100; ++j)
      seen.insert(child.child(j));
  }
  CHECK(seen.size() == 100 + 100 * 100);
}

TEST_CASE("children of an unnamed call have no name either") {
  CHECK_FALSE(call_id{}.child(3));
}

TEST_CASE("a deadline crosses the wire as remaining time") {
  call_context sent;
  sent.id = call_id::make();
  sent.due.at = deadline::clock::now() + 10s;
  sent.tenant = "acme";
  sent.priority = -3;
  auto got = over_the_wire(sent);
  CHECK(got.id == sent.id);
  CHECK(got.tenant == "acme");
  CHECK(got.priority == -3);
  auto drift = got.due.at - sent.due.at;
  CHECK(drift >= 0s);
  CHECK(drift < 1s);
}

TEST_CASE("a deadline of never stays never over the wire") {
  CHECK(over_the_wire(call_context{}).due.is_never());
}

TEST_CASE("a deadline that passed is still passed on the other side") {
  deadline late{deadline::clock::now() - 5s};
  CHECK(over_the_wire(late).has_passed(deadline::clock::now()));
}

TEST_CASE("a remaining time that would overflow the clock means never") {
  caf::byte_buffer bytes;
  auto sink = compat::writer_to(bytes);
  REQUIRE(sink.apply(std::numeric_limits<int64_t>::max() - 1));
  deadline got{deadline::clock::now()};
  auto source = compat::reader_of(bytes);
  REQUIRE(source.apply(got));
  CHECK(got.is_never());
}

TEST_CASE("every alternative of a chain value survives the wire") {
  values sent{{"text", "a"}, {"integer", 42}, {"real", 2.5}, {"flag", true},
      {"list", std::vector<std::string>{"x", "y"}},
      {"documents", std::vector<document>{{"body", {{"source", "f.txt"}}}}}};
  CHECK(std::holds_alternative<std::string>(sent.at("text")));
  CHECK(std::holds_alternative<int64_t>(sent.at("integer")));
  CHECK(over_the_wire(sent) == sent);
}

TEST_CASE("secret headers neither cross the wire nor print, but leave a mark") {
  http_request sent;
  sent.url = "http://127.0.0.1/v1";
  sent.secrets = secret_headers{{"Authorization: Bearer sk-very-secret"}};
  caf::byte_buffer bytes;
  auto sink = compat::writer_to(bytes);
  REQUIRE(sink.apply(sent));
  std::string raw{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  CHECK(raw.find("sk-very-secret") == std::string::npos);
  CHECK(caf::deep_to_string(sent).find("sk-very-secret") == std::string::npos);
  auto got = over_the_wire(sent);
  CHECK(got.secrets.lines() == nullptr);
  CHECK(got.secrets.stayed_home());
  CHECK_FALSE(over_the_wire(http_request{}).secrets.stayed_home());
  CHECK(over_the_wire(got).secrets.stayed_home());
}

TEST_CASE("gather options without an observer survive the wire") {
  caf::actor_system_config config;
  caf::actor_system system{config}; // handles are read and written with one
  gather_options sent;
  sent.max_in_flight = 7;
  caf::byte_buffer bytes;
  auto sink = compat::writer_to(system, bytes);
  REQUIRE(sink.apply(sent));
  gather_options got;
  auto source = compat::reader_of(system, bytes);
  REQUIRE(source.apply(got));
  CHECK(got.max_in_flight == 7);
  CHECK_FALSE(got.observer);
}

} // namespace call_context_test

#include <chainmail/caf/compat.hpp>
#include <chainmail/cluster/frame_rules.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/exit_reason.hpp>
#include <caf/system_messages.hpp>
#include <catch2/catch_test_macros.hpp>

#include <thread>

namespace frame_rules_test {

using namespace chainmail;
using caf::io::basp::header;
using caf::io::basp::message_type;

namespace {

caf::node_id numbered_node(uint32_t number) {
  return caf::make_node_id(number, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
}

const auto self = numbered_node(1);
const auto peer = numbered_node(2);

template <class... Ts>
caf::byte_buffer bytes(const Ts&... xs) {
  caf::byte_buffer result;
  auto sink = compat::writer_to(result);
  auto ok = (sink.apply(xs) && ...);
  REQUIRE(ok);
  return result;
}

template <class... Ts>
caf::byte_buffer message_of(const Ts&... xs) {
  if constexpr (compat::messages_have_stages)
    return bytes(std::vector<caf::strong_actor_ptr>{}, caf::make_message(xs...));
  else
    return bytes(caf::make_message(xs...));
}

frame_state greeted() {
  frame_state result;
  result.is_accepted = true;
  result.is_greeted = true;
  result.peer = peer;
  return result;
}

header head(message_type type, const caf::byte_buffer& payload) {
  auto is_message = type == message_type::direct_message;
  return {type, 0, static_cast<uint32_t>(payload.size()), 0, is_message ? 7U : 0U,
      is_message ? 8U : 0U};
}

const auto answering = caf::make_message_id(7).response_id().integer_value();

/// What the rules say of a message; empty for nothing.
std::string verdict(const caf::byte_buffer& payload, uint64_t message_id = 0) {
  auto state = greeted();
  auto frame = head(message_type::direct_message, payload);
  frame.operation_data = message_id;
  if (const auto* why = check_header(frame, state))
    return why;
  const auto* why = check_payload(frame, payload, state, self);
  return why == nullptr ? "" : why;
}

} // namespace

TEST_CASE("plain data and chainmail's messages may come in", "[frame_rules]") {
  CHECK(verdict(message_of(int32_t{1}, std::string{"text"})).empty());
  CHECK(verdict(message_of(generate_atom_v, llm_request{}, call_context{})).empty());
  CHECK(verdict(message_of(make_failure(errc::timed_out, "late")), answering).empty());
  CHECK(verdict(message_of()).empty());
}

TEST_CASE("commands of CAF may not come in, nor what can nest", "[frame_rules]") {
  auto of_type = [](caf::type_id_t type) {
    auto payload = message_of();
    payload.back() = caf::byte_buffer::value_type{1};
    auto rest = bytes(type, uint64_t{0});
    payload.insert(payload.end(), rest.begin(), rest.end());
    return verdict(payload);
  };
  CHECK(of_type(caf::type_id_v<uint64_t>).empty());
  for (auto type :
      {caf::type_id_v<caf::exit_msg>, caf::type_id_v<caf::down_msg>,
          caf::type_id_v<caf::node_down_msg>, caf::type_id_v<caf::link_atom>,
          caf::type_id_v<caf::unlink_atom>, caf::type_id_v<caf::sys_atom>,
          caf::type_id_v<caf::action>, caf::type_id_v<caf::message>,
          caf::type_id_v<caf::config_value>, caf::type_id_v<reply_atom>, caf::type_id_v<turn_atom>})
    CHECK(!of_type(type).empty());
  // Of all that CAF has, numbers, text, times, handles and nothing pass; errors have a rule of their own.
  auto passing = 0;
  for (caf::type_id_t type = 0; type < caf::first_custom_type_id; ++type)
    passing += of_type(type).empty() ? 1 : 0;
  CHECK(passing == 17);
}

TEST_CASE("an error answers something", "[frame_rules]") {
  auto error = message_of(make_failure(errc::timed_out, "late"));
  CHECK(verdict(error, answering).empty());
  CHECK(!verdict(error, 0).empty());
  CHECK(!verdict(error, caf::make_message_id(7).integer_value()).empty());
}

TEST_CASE("messages have a sender, no stages, and go no further", "[frame_rules]") {
  auto payload = message_of(int32_t{1});
  auto frame = head(message_type::direct_message, payload);
  auto state = greeted();
  CHECK(check_header(frame, state) == nullptr);
  frame.source_actor = 0;
  CHECK(check_header(frame, state) != nullptr);
  CHECK(!is_answer_of_nobody(frame));
  frame.operation_data = caf::make_message_id(7).response_id().integer_value();
  CHECK(check_header(frame, state) == nullptr);
  CHECK(is_answer_of_nobody(frame));
  frame = head(message_type::direct_message, payload);
  frame.flags = header::named_receiver_flag;
  CHECK(check_header(frame, state) != nullptr);
  frame = head(message_type::direct_message, payload);
  frame.operation = message_type::routed_message;
  CHECK(check_header(frame, state) != nullptr);
  if constexpr (compat::messages_have_stages) {
    auto with_stages = payload;
    with_stages.front() = caf::byte_buffer::value_type{1};
    CHECK(!verdict(with_stages).empty());
  }
}

TEST_CASE("a frame has a largest size, and an error a smaller one", "[frame_rules]") {
  auto frame = head(message_type::direct_message, message_of(1));
  auto state = greeted();
  frame.payload_len = largest_frame;
  CHECK(check_header(frame, state) == nullptr);
  frame.payload_len = largest_frame + 1;
  CHECK(check_header(frame, state) != nullptr);
  frame.payload_len = UINT32_MAX;
  CHECK(check_header(frame, state) != nullptr);
  CHECK(verdict(message_of(make_failure(errc::internal, std::string(15'000, 'x'))), answering)
            .empty());
  CHECK(!verdict(message_of(make_failure(errc::internal, std::string(17'000, 'x'))), answering)
             .empty());
}

TEST_CASE("the handshake comes first, once, and says who it is", "[frame_rules]") {
  frame_state state;
  state.is_accepted = true;
  auto hello = bytes(peer);
  auto frame = head(message_type::client_handshake, hello);
  CHECK(check_header(head(message_type::direct_message, message_of(1)), state) != nullptr);
  CHECK(check_header(header{message_type::heartbeat, 0, 0, 0, 0, 0}, state) != nullptr);
  // CAF reads a payload that is not there.
  CHECK(check_header(header{message_type::client_handshake, 0, 0, 0, 0, 0}, state) != nullptr);
  CHECK(check_header(header{message_type::server_handshake, 0, 0, 1, 0, 0}, state) != nullptr);
  CHECK(check_header(frame, state) == nullptr);
  CHECK(check_payload(frame, bytes(self), state, self) != nullptr);
  CHECK(check_payload(frame, bytes(caf::node_id{}), state, self) != nullptr);
  CHECK(check_payload(frame, bytes(peer, 1), state, self) != nullptr);
  CHECK(!state.is_greeted);
  CHECK(check_payload(frame, hello, state, self) == nullptr);
  CHECK(state.is_greeted);
  CHECK(state.peer == peer);
  CHECK(check_header(frame, state) != nullptr);
}

TEST_CASE("a notice is of the node that sends it, and for this one", "[frame_rules]") {
  auto state = greeted();
  auto check = [&](const caf::byte_buffer& payload) {
    auto frame = head(message_type::monitor_message, payload);
    frame.dest_actor = 9;
    if (const auto* why = check_header(frame, state))
      return why;
    return check_payload(frame, payload, state, self);
  };
  CHECK(check(bytes(peer, self)) == nullptr);
  CHECK(check(bytes(numbered_node(3), self)) != nullptr);
  CHECK(check(bytes(peer, numbered_node(3))) != nullptr);
  CHECK(check(bytes(peer)) != nullptr);
  CHECK(check(bytes(peer, self, std::string(5'000, 'x'))) != nullptr);
}

TEST_CASE("a length of too many bytes is no length", "[frame_rules]") {
  auto payload = message_of(int32_t{1});
  payload.insert(payload.begin(), 9, caf::byte_buffer::value_type{0x80});
  CHECK(!verdict(payload).empty());
}

TEST_CASE("the deepest error that may come in does not end a thread's stack", "[frame_rules]") {
  // An error whose context holds an error whose context ... as deep as the bytes go.
  caf::error deepest = make_failure(errc::internal, "x");
  auto size = [](const caf::error& x) { return message_of(x).size(); };
  while (size(deepest) < largest_error_frame - 32)
    deepest = caf::error{errc::internal, caf::make_message(deepest)};
  auto payload = message_of(deepest);
  REQUIRE(verdict(payload, answering).empty());
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto is_read = false;
  std::thread reader{[&] {
    auto source = compat::reader_of(system, payload);
    std::vector<caf::strong_actor_ptr> stages;
    caf::message content;
    is_read = (!compat::messages_have_stages || source.apply(stages)) && source.apply(content);
  }};
  reader.join();
  CHECK(is_read);
}

} // namespace frame_rules_test

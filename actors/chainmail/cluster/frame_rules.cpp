// The rules for frames.
#include <chainmail/caf/compat.hpp>
#include <chainmail/cluster/frame_rules.hpp>
#include <chainmail/type_ids.hpp>

#include <caf/actor.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/error.hpp>
#include <caf/message_id.hpp>
#include <caf/timestamp.hpp>

#include <algorithm>
#include <array>
#include <string>

namespace chainmail {

namespace {

using caf::io::basp::header;
using caf::io::basp::message_type;

/// Node IDs, application identifiers and an interface.
constexpr uint32_t largest_handshake = 64 << 10;

/// Two node IDs, and an error for one of them.
constexpr uint32_t largest_notice = 4 << 10;

/// Of CAF's own types, those that are plain data. Others are commands (exit, link, streams, groups),
/// or can nest without end (messages, configuration values).
constexpr std::array plain_types = {caf::type_id_v<bool>, caf::type_id_v<double>,
    caf::type_id_v<float>, caf::type_id_v<int16_t>, caf::type_id_v<int32_t>,
    caf::type_id_v<int64_t>, caf::type_id_v<int8_t>, caf::type_id_v<uint16_t>,
    caf::type_id_v<uint32_t>, caf::type_id_v<uint64_t>, caf::type_id_v<uint8_t>,
    caf::type_id_v<std::string>, caf::type_id_v<caf::actor>, caf::type_id_v<caf::strong_actor_ptr>,
    caf::type_id_v<caf::error>, caf::type_id_v<caf::timespan>, caf::type_id_v<caf::timestamp>,
    caf::type_id_v<caf::unit_t>};

/// Mail of an actor to itself.
constexpr std::array private_types = {caf::type_id_v<reply_atom>, caf::type_id_v<turn_atom>};

bool may_come(caf::type_id_t type) {
  if (type < caf::first_custom_type_id)
    return std::ranges::find(plain_types, type) != plain_types.end();
  return std::ranges::find(private_types, type) == private_types.end();
}

/// Reads a length as CAF writes it, of at most five bytes: its own reader shifts on without end.
bool read_length(caf::binary_deserializer& source, uint32_t& length) {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    uint8_t low = 0;
    if (!source.value(low))
      return false;
    result |= uint64_t{low & 0x7FU} << shift;
    if ((low & 0x80U) == 0) {
      length = static_cast<uint32_t>(result);
      return result <= UINT32_MAX;
    }
  }
  return false;
}

const char* check_types(const header& frame, const caf::byte_buffer& payload) {
  auto source = compat::reader_of(payload);
  uint32_t count = 0;
  if constexpr (compat::messages_have_stages) {
    uint32_t stages = 0;
    if (!read_length(source, stages) || stages != 0)
      return "a message with stages, which no node sends";
  }
  if (!read_length(source, count) || count > 16)
    return "a message of more than 16 parts";
  for (uint32_t i = 0; i < count; ++i) {
    caf::type_id_t type = 0;
    if (!source.value(type) || !may_come(type))
      return "a message with a part that no node sends";
    if (type != caf::type_id_v<caf::error>)
      continue;
    if (frame.payload_len > largest_error_frame)
      return "an error of more than 16 KiB";
    // By default, an error that answers nothing ends the actor that gets it.
    if (!caf::make_message_id(frame.operation_data).is_response())
      return "an error that answers nothing";
  }
  return nullptr;
}

bool read_node(caf::binary_deserializer& source, caf::node_id& node) {
  return source.apply(node) && node != caf::none;
}

const char* check_handshake(
    const caf::byte_buffer& payload, frame_state& state, const caf::node_id& self) {
  auto source = compat::reader_of(payload);
  caf::node_id peer;
  if (!read_node(source, peer))
    return "a handshake of nobody";
  if (peer == self && state.is_accepted)
    return "a handshake in the name of this node";
  if (state.is_accepted && source.remaining() > 0)
    return "a handshake with something behind it";
  state.peer = std::move(peer);
  state.is_greeted = true;
  return nullptr;
}

const char* check_notice(
    const caf::byte_buffer& payload, const frame_state& state, const caf::node_id& self) {
  auto source = compat::reader_of(payload);
  caf::node_id from;
  caf::node_id to;
  if (!read_node(source, from) || !read_node(source, to) || from != state.peer || to != self)
    return "a notice in the name of another node, or for one";
  return nullptr;
}

} // namespace

bool is_answer_of_nobody(const header& frame) {
  return frame.operation == message_type::direct_message && frame.source_actor == 0 &&
         caf::make_message_id(frame.operation_data).is_response();
}

const char* check_header(const header& frame, const frame_state& state) {
  if (!valid(frame))
    return "something that is no frame of the protocol";
  auto handshake =
      state.is_accepted ? message_type::client_handshake : message_type::server_handshake;
  if (!state.is_greeted && frame.operation != handshake)
    return "a frame before the handshake";
  switch (frame.operation) {
  case message_type::server_handshake:
  case message_type::client_handshake:
    if (state.is_greeted || frame.operation != handshake)
      return "a handshake out of turn";
    if (frame.payload_len == 0 || frame.payload_len > largest_handshake)
      return "a handshake of no sensible size";
    return nullptr;
  case message_type::direct_message:
    if (frame.flags != 0 || (frame.source_actor == 0 && !is_answer_of_nobody(frame)))
      return "a message without a sender, or for a service of CAF";
    return frame.payload_len > largest_frame ? "a message of more than 8 MiB" : nullptr;
  case message_type::monitor_message:
  case message_type::down_message:
    return frame.payload_len > largest_notice ? "a notice of more than 4 KiB" : nullptr;
  case message_type::heartbeat:
    return nullptr;
  default:
    return "a message to pass on to another node";
  }
}

const char* check_payload(const header& frame, const caf::byte_buffer& payload, frame_state& state,
    const caf::node_id& self) {
  switch (frame.operation) {
  case message_type::server_handshake:
  case message_type::client_handshake:
    return check_handshake(payload, state, self);
  case message_type::direct_message:
    return check_types(frame, payload);
  case message_type::monitor_message:
  case message_type::down_message:
    return check_notice(payload, state, self);
  default:
    return nullptr;
  }
}

} // namespace chainmail

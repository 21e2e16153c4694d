// What may come in over a connection to another node, decided on the bytes before CAF reads them.
//
// CAF's protocol (BASP) trusts its peers: a handshake without a payload makes it read a null pointer,
// a header can announce 4 GiB, a link message can name a local actor as if it were a proxy, an exit
// message ends whom it is for, and a message within a message within a message ends the stack.
#pragma once

#include <caf/byte_buffer.hpp>
#include <caf/io/basp/header.hpp>
#include <caf/node_id.hpp>

#include <cstdint>

namespace chainmail {

/// The most bytes of one message between two nodes: the text that message_rules allow, and room for
/// what stands around it. Reading takes up to 50 times as much memory, when they are empty lists.
inline constexpr uint32_t largest_frame = uint32_t{8} << 20U;

/// Of an error on its own: its context may hold another error, and each level takes stack.
inline constexpr uint32_t largest_error_frame = uint32_t{16} << 10U;

/// One end of a connection, as far as its frames are concerned.
struct frame_state {
  /// The other side connected to us, so that it speaks as a client.
  bool is_accepted = false;
  /// Its handshake is through.
  bool is_greeted = false;
  /// Whom the handshake named.
  caf::node_id peer;
};

/// CAF answers so for actors that are gone. Not to be read, because mail without a sender is taken for
/// this node's own; who asked hears of it by monitoring.
bool is_answer_of_nobody(const caf::io::basp::header& header);

/// Why a frame must not be read, or null when it may. The header comes alone first, so that
/// nobody waits for what will be refused.
const char* check_header(const caf::io::basp::header& header, const frame_state& state);

/// The same with its content, for a header that passed. `self` is this node. The state hears of the
/// handshake.
const char* check_payload(const caf::io::basp::header& header, const caf::byte_buffer& payload,
    frame_state& state, const caf::node_id& self);

} // namespace chainmail

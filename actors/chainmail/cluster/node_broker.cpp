// CAF's broker with rules.
#include <chainmail/caf/compat.hpp>
#include <chainmail/cluster/frame_rules.hpp>
#include <chainmail/cluster/node_broker.hpp>

#include <caf/actor_system.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/logger.hpp>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace chainmail {

namespace {

using namespace caf::io;

constexpr size_t most_accepted = 1'000;

/// Proxies of one peer's actors. A node speaks through a handful.
constexpr size_t most_proxies = 10'000;

/// From which node the message came that this thread is reading.
thread_local caf::node_id* last_hop = nullptr;

/// Larger payloads are read in pieces of that size: each is a sign of life.
constexpr uint32_t piece_size = 256 << 10;

class node_broker : public basp_broker {
public:
  using basp_broker::basp_broker;

  const char* name() const override { return "chainmail.node_broker"; }

  caf::behavior make_behavior() override {
    auto theirs = basp_broker::make_behavior();
    compat::send_self_after(this, heartbeat_interval, caf::tick_atom_v);
    return caf::message_handler{
        [this](new_data_msg& data) { on_data(data); },
        [this](const new_connection_msg& accepted) { on_connection(accepted); },
        [this](const connection_closed_msg& closed) { on_closed(closed.handle); },
        [this](caf::delete_atom, connection_handle handle, uint64_t number) {
          if (auto found = states_.find(handle);
              found != states_.end() && found->second.number == number)
            forget(handle);
        },
        [this](caf::connect_atom, scribe_ptr& stream, uint16_t port) {
          on_connect(std::move(stream), port);
        },
        // CAF's own beats as configured for all connections, which by default is too slow for us.
        [this](caf::tick_atom) {
          compat::send_self_after(this, heartbeat_interval, caf::tick_atom_v);
          instance.handle_heartbeat(context());
          on_tick();
        },
    }
        .or_else(std::move(theirs));
  }

  // -- what CAF does for nodes that it hears of -------------------------------------------

  void learned_new_node_directly(const caf::node_id&, bool) override {
    // No spawn server of theirs: it would stay for ever.
  }

  void learned_new_node_indirectly(const caf::node_id&) override {}

  void set_last_hop(caf::node_id* node) override {
    last_hop = node;
    basp_broker::set_last_hop(node);
  }

  caf::strong_actor_ptr make_proxy(caf::node_id node, caf::actor_id actor) override {
    if (!instance.tbl().lookup_direct(node)) {
      // The caller made a place for it, under a lock that is still held.
      std::lock_guard guard{unknown_nodes_mutex_};
      unknown_nodes_.insert(node);
      // A message that was still being read when its connection ended has a sender all the same: mail
      // without one is taken for this node's own.
      if (last_hop == nullptr || *last_hop != node)
        return nullptr;
    }
    return basp_broker::make_proxy(std::move(node), actor);
  }

private:
  struct connection {
    frame_state frames;
    /// Of a payload that arrives in pieces.
    caf::byte_buffer parts;
    /// Handles are used again.
    uint64_t number = 0;
  };

  void on_connection(const new_connection_msg& accepted) {
    auto open = std::ranges::count_if(
        states_, [](const auto& entry) { return entry.second.frames.is_accepted; });
    if (static_cast<size_t>(open) >= most_accepted) {
      close(accepted.handle);
      return;
    }
    begin(accepted.handle).frames.is_accepted = true;
    instance.write_server_handshake(
        context(), get_buffer(accepted.handle), local_port(accepted.source));
    flush(accepted.handle);
    configure_read(accepted.handle, receive_policy::exactly(basp::header_size));
  }

  void on_connect(scribe_ptr stream, uint16_t port) {
    auto handle = stream->hdl();
    add_scribe(std::move(stream));
    begin(handle);
    this_context->hdl = handle;
    this_context->remote_port = port;
    this_context->callback = make_response_promise();
    configure_read(handle, receive_policy::exactly(basp::header_size));
  }

  /// Its time starts now.
  connection& begin(connection_handle handle) {
    forget(handle); // what is left of an earlier one
    auto& fresh = states_[handle];
    fresh.number = next_number_++;
    set_context(handle);
    return fresh;
  }

  /// What came before the end is read first.
  void on_closed(connection_handle handle) {
    auto id = instance.queue().new_id();
    instance.queue().push(context(), id, ctrl(),
        compat::make_element(
            nullptr, caf::make_message_id(), caf::delete_atom_v, handle, states_[handle].number));
  }

  void on_data(new_data_msg& data) {
    set_context(data.handle);
    last_hop = nullptr; // that of the last message, if this thread read it
    auto& theirs = *this_context;
    auto& ours = states_[data.handle];
    auto is_payload = theirs.cstate == basp::await_payload;
    if (is_payload && !is_whole(data, theirs.hdr, ours))
      return;
    if (auto why = is_payload ? check_payload(theirs.hdr, data.buf, ours.frames, this_node())
                              : check_head(data, ours)) {
      refuse(data.handle, why);
      return;
    }
    if (is_payload && theirs.hdr.operation == basp::message_type::client_handshake &&
        !make_way(data.handle, ours.frames.peer))
      return;
    if (theirs.hdr.operation == basp::message_type::direct_message && is_payload &&
        instance.tbl().lookup_direct(data.handle) != ours.frames.peer) {
      refuse(data.handle, "a message over a connection that was given up");
      return;
    }
    auto next = is_payload && is_answer_of_nobody(theirs.hdr)
                    ? basp::await_header
                    : instance.handle(context(), data, theirs.hdr, is_payload);
    if (basp::requires_shutdown(next)) {
      drop(data.handle, basp::to_sec(next));
      return;
    }
    // Only now: a node that was joined at another address before does not hear of a second
    // connection, for which it would give up the first.
    if (is_payload && theirs.hdr.operation == basp::message_type::server_handshake) {
      instance.write_client_handshake(context(), get_buffer(data.handle));
      flush(data.handle);
    }
    if (next != theirs.cstate || is_payload) {
      auto size = next == basp::await_payload ? std::min(theirs.hdr.payload_len, piece_size)
                                              : uint32_t{basp::header_size};
      configure_read(data.handle, receive_policy::exactly(size));
      theirs.cstate = next;
    }
  }

  /// CAF ignores the handshake of a node that it has a connection with, and leaves both ends with half a
  /// connection. So one of the two goes: the old one when that node connected again, for it knows
  /// better; when both nodes connected to each other, that of the node with the higher ID.
  bool make_way(connection_handle handle, const caf::node_id& peer) {
    auto old = instance.tbl().lookup_direct(peer);
    if (!old)
      return true;
    auto found = states_.find(*old);
    auto came_from_peer = found == states_.end() || found->second.frames.is_accepted;
    if (!came_from_peer && this_node() < peer) {
      drop(handle, caf::sec::redundant_connection);
      return false;
    }
    drop(*old, caf::sec::redundant_connection);
    return true;
  }

  /// Collects the pieces of a payload; when it is whole, it is in `data`.
  bool is_whole(new_data_msg& data, const basp::header& header, connection& ours) {
    if (header.payload_len <= piece_size)
      return true;
    ours.parts.insert(ours.parts.end(), data.buf.begin(), data.buf.end());
    auto left = header.payload_len - static_cast<uint32_t>(ours.parts.size());
    if (left > 0) {
      configure_read(data.handle, receive_policy::exactly(std::min(left, piece_size)));
      return false;
    }
    data.buf = std::exchange(ours.parts, {});
    return true;
  }

  const char* check_head(new_data_msg& data, connection& ours) {
    basp::header header;
    auto source = compat::reader_of(data.buf);
    if (!source.apply(header))
      return "something that is no frame of the protocol";
    if (auto why = check_header(header, ours.frames))
      return why;
    if (header.operation == basp::message_type::direct_message &&
        proxies().count_proxies(ours.frames.peer) > most_proxies)
      return "messages of or about more than 10,000 actors";
    return nullptr;
  }

  void refuse(connection_handle handle, const char* why) {
    CAF_LOG_WARNING("chainmail: disconnected" << remote_addr(handle) << "which sent" << why);
    static_cast<void>(why); // where logging is not compiled in
    drop(handle, compat::malformed_frame);
  }

  void on_tick() {
    auto silent_since = clock().now() - silence_limit;
    std::vector<connection_handle> silent;
    for (const auto& [handle, theirs] : ctx)
      if (theirs.last_seen < silent_since)
        silent.push_back(handle);
    for (auto handle : silent)
      drop(handle, caf::sec::connection_timeout);
    std::erase_if(states_, [this](const auto& entry) { return !ctx.contains(entry.first); });
    std::unordered_set<caf::node_id> unknown;
    {
      std::lock_guard guard{unknown_nodes_mutex_};
      unknown = std::exchange(unknown_nodes_, {});
    }
    for (const auto& node : unknown)
      if (!instance.tbl().lookup_direct(node))
        proxies().erase(node);
  }

  void drop(connection_handle handle, caf::sec reason) {
    forget(handle, reason);
    close(handle);
  }

  void forget(connection_handle handle, caf::sec reason = caf::sec::none) {
    states_.erase(handle);
    connection_cleanup(handle, reason);
  }

  std::unordered_map<connection_handle, connection> states_;
  uint64_t next_number_ = 1;
  /// Asked for by the threads that read messages.
  std::mutex unknown_nodes_mutex_;
  std::unordered_set<caf::node_id> unknown_nodes_;
};

} // namespace

caf::actor find_node_broker(caf::actor_system& system) {
  return system.middleman().named_broker<node_broker>("chainmail");
}

} // namespace chainmail

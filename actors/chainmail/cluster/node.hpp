// This process as a node of a cluster: what it serves, whom it joins, and handles for what others
// serve.
#pragma once

#include <chainmail/actors.hpp>
#include <chainmail/cluster.hpp>

#include <caf/actor_cast.hpp>
#include <caf/expected.hpp>
#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace chainmail {

/// Loads what nodes need of CAF, TLS included, with its message types. To be called in the constructor
/// of a program's configuration: modules that are loaded later do not see their options.
void load_cluster(caf::actor_system_config& config);

/// Makes a chain from its spec, or says why not.
using chain_factory = std::function<caf::expected<chain_actor>(const chain_spec&)>;

struct node_options {
  /// What others call it. Empty for the host's name and the process ID.
  std::string name = {};
  /// Where others connect: "HOST:PORT", port 0 for any that is free. Empty for a node that only
  /// joins, such as a client.
  std::string listen = {};
  /// Nodes to connect to, "HOST:PORT". Each is tried again, for ever, while there is no connection.
  std::vector<std::string> join = {};
  /// Lets connections leave this machine without TLS.
  bool is_insecure = false;
  /// Spawns what other nodes ask for. Empty: they are refused.
  chain_factory spawn_chain = {};
  /// Hears of joins, losses and refusals, each a line of text. Called from a thread of CAF's.
  std::function<void(const std::string&)> log = {};
};

/// How an actor serves other nodes.
struct offer_options {
  /// Calls that may be under way at once; one more is refused, and goes elsewhere.
  uint32_t capacity = 1'000;
  /// It passes calls on to services of other nodes.
  bool is_relay = false;
};

/// Which of the services of a name a handle is for, and how it waits.
struct service_search {
  /// Those that pass calls on, too. Not for services that pass on calls themselves: calls could go
  /// in circles.
  bool with_relays = true;
  /// Only that of the node that is joined at this address: for a limiter, of which there is one.
  std::string only_from = {};
  /// See remote_service_options.
  caf::timespan patience = std::chrono::milliseconds{800};
};

/// A member of a cluster. Needs a system whose configuration has called load_cluster() and, where
/// connections leave the machine, has caf.openssl.certificate, .key and .cafile set: all nodes whose
/// certificates that file's authorities signed belong to the cluster. One per system, to be destroyed
/// before it.
///
///   chainmail::node node{system, {.join = {"10.0.0.1:4700", "10.0.0.2:4700"}}};
///   auto names = node.find<chainmail::chain_actor>("names");
///   auto answer = chainmail::run(self, names, {{"product", "socks"}});
class node {
public:
  /// Listens at once, joins in the background.
  /// @throws std::invalid_argument for options that can never work, among them TLS that is missing
  ///         where it is needed.
  /// @throws std::runtime_error when the address cannot be listened on.
  node(caf::actor_system& system, node_options options);

  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Leaves without waiting.
  ~node();

  [[nodiscard]] const std::string& name() const;

  /// Where it listens; 0 when it does not.
  [[nodiscard]] uint16_t port() const;

  /// Lets other nodes use an actor. The node holds the handle until it leaves.
  /// @throws std::invalid_argument for what other nodes would refuse: a name that is empty, longer
  ///         than 200 bytes or not UTF-8, a capacity of more than 1,000,000.
  template <class Handle>
  void offer(const std::string& name, const Handle& handle, const offer_options& options = {}) {
    offer(service{name, kind_of<Handle>(), options.capacity, options.is_relay,
        caf::actor_cast<caf::actor>(handle)});
  }

  /// A handle for all services of that name on the nodes that this one is connected to, now and
  /// later: see spawn_remote_service. Calls of LLMs and embedders are made again when a node is
  /// lost; those of other services are answered with errc::unavailable. Calling it twice gives
  /// two handles.
  /// @throws std::invalid_argument when how.only_from is no address.
  template <class Handle>
  Handle find(const std::string& name, const service_search& how = {}) {
    return caf::actor_cast<Handle>(find_service(name, kind_of<Handle>(), how));
  }

  /// Spawns a chain on the node of that name, which must be connected. Lives there until this node
  /// leaves. Blocks.
  caf::expected<chain_actor> spawn_chain(const std::string& on_node, const chain_spec& spec,
      caf::timespan timeout = std::chrono::seconds{5});

  /// Whether it is connected to so many nodes; waits for that, at most so long.
  bool wait_for_peers(size_t count, caf::timespan timeout);

  [[nodiscard]] node_status status() const;

  /// Tells the others that nothing more is to come, waits for the calls under way, at most `limit`,
  /// and leaves. False when calls were left.
  bool leave(caf::timespan limit);

private:
  template <class Handle>
  static constexpr const char* kind_of() = delete;

  void offer(service what);
  caf::actor find_service(
      const std::string& name, const std::string& kind, const service_search& how);

  struct parts;
  std::unique_ptr<parts> parts_;
};

template <>
constexpr const char* node::kind_of<llm_actor>() {
  return "llm";
}
template <>
constexpr const char* node::kind_of<chain_actor>() {
  return "chain";
}
template <>
constexpr const char* node::kind_of<embedder_actor>() {
  return "embedder";
}
template <>
constexpr const char* node::kind_of<retriever_actor>() {
  return "retriever";
}
template <>
constexpr const char* node::kind_of<tool_actor>() {
  return "tool";
}
template <>
constexpr const char* node::kind_of<rate_limiter_actor>() {
  return "rate_limiter";
}

} // namespace chainmail

// What the nodes of a cluster say to each other.
#pragma once

#include <chainmail/type_ids.hpp>

#include <caf/actor.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace chainmail {

/// Of the messages between nodes: theirs, and all that stand in messages/. Nodes with another number
/// refuse each other.
inline constexpr uint32_t cluster_protocol = 2;

/// One actor that a node lets others use.
struct service {
  /// What they ask for: "llm", or the name of a chain. The same name on several nodes stands for the
  /// same thing.
  std::string name = {};
  /// Of the actor's interface: "llm", "chain", "embedder", "retriever", "rate_limiter".
  std::string kind = {};
  /// Calls at once that a node should send here. 0 for none at present.
  uint32_t capacity = 0;
  /// It passes calls on to services of other nodes. Such are for clients, not for other relays.
  bool is_relay = false;
  caf::actor handle = {};
};

template <class Inspector>
bool inspect(Inspector& f, service& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("kind", x.kind),
      f.field("capacity", x.capacity), f.field("is_relay", x.is_relay),
      f.field("handle", x.handle));
}

/// How a node introduces itself.
struct node_hello {
  uint32_t protocol = cluster_protocol;
  /// "0.18.7"
  std::string caf_version = {};
  std::string name = {};
  std::vector<service> services = {};
};

template <class Inspector>
bool inspect(Inspector& f, node_hello& x) {
  return f.object(x).fields(f.field("protocol", x.protocol), f.field("caf_version", x.caf_version),
      f.field("name", x.name), f.field("services", x.services));
}

/// A chain in words, for a node to spawn.
struct chain_spec {
  /// "llm_chain", "llm_math_chain", ...: docs/cluster.md lists them.
  std::string kind = {};
  /// "template", "output_key", ...: what the kind takes.
  std::map<std::string, std::string> settings = {};
};

template <class Inspector>
bool inspect(Inspector& f, chain_spec& x) {
  return f.object(x).fields(f.field("kind", x.kind), f.field("settings", x.settings));
}

/// A service as its node sees it.
struct service_status {
  std::string name = {};
  std::string kind = {};
  uint32_t capacity = 0;
  /// Calls from other nodes that are under way.
  uint64_t in_flight = 0;
  uint64_t answered = 0;
  uint64_t refused = 0;
};

template <class Inspector>
bool inspect(Inspector& f, service_status& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("kind", x.kind),
      f.field("capacity", x.capacity), f.field("in_flight", x.in_flight),
      f.field("answered", x.answered), f.field("refused", x.refused));
}

struct node_status {
  std::string name = {};
  /// Names of the nodes that it is connected to, sorted.
  std::vector<std::string> peers = {};
  std::vector<service_status> services = {};
};

template <class Inspector>
bool inspect(Inspector& f, node_status& x) {
  return f.object(x).fields(
      f.field("name", x.name), f.field("peers", x.peers), f.field("services", x.services));
}

} // namespace chainmail

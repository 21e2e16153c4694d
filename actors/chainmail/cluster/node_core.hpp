// The actor behind a node. Private to the cluster folder.
#pragma once

#include <chainmail/caf/metrics.hpp>
#include <chainmail/cluster/node.hpp>
#include <chainmail/cluster/node_address.hpp>
#include <chainmail/cluster/service_port.hpp>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace chainmail {

/// The version of the CAF that this is compiled against: "0.18.7".
std::string caf_version();

/// What a node's port says of itself in CAF's handshake, before anything is sent that another version
/// could misread: a mark, the protocol and CAF's version.
std::set<std::string> handshake_words();

/// Why a node with these words cannot be talked to, as a sentence; empty when it can. `where` is its
/// address.
std::string mismatch(const std::set<std::string>& words, const std::string& where);

/// errc::invalid_input for a service that other nodes would refuse: its name, kind or capacity.
caf::error check_service(const service& what);

/// Everything but connecting and listening, which `dialer` does. Other nodes talk to the actor by
/// node_actor's messages; this process calls the functions, by way of an action.
struct node_core {
  static constexpr const char* name = "chainmail.node";

  node_core(node_actor::pointer self_ptr, node_options chosen, std::vector<node_address> seeds,
      caf::actor connector);

  node_actor::behavior_type make_behavior();

  /// Begins to join.
  void start();
  void offer(service what);
  caf::actor find_service(
      const std::string& service_name, const std::string& kind, const service_search& how);
  /// Null when no such node is connected.
  node_actor peer_called(const std::string& peer_name);
  /// A local handle for a chain of another node.
  caf::actor stand_for(const std::string& peer_name, const caf::actor& chain);
  node_status status();
  /// Closes all ports, and says so.
  void close();
  [[nodiscard]] uint64_t in_flight() const;
  /// Ends the actor and all that it owns.
  void leave();

private:
  struct spawned {
    caf::actor port;
    caf::actor chain;
    std::shared_ptr<port_counters> counters;
  };

  struct peer {
    node_actor handle;
    std::string called;
    std::vector<service> services;
    /// Spawned for it.
    std::vector<spawned> chains;
    /// The addresses that it was joined at.
    std::set<std::string> joined_at;
  };

  struct offered {
    service what;
    caf::actor port;
    std::shared_ptr<port_counters> counters;
  };

  struct seed {
    node_address address;
    std::chrono::milliseconds wait{0};
    /// Said once, not at every attempt.
    std::string last_failure;
  };

  struct watcher {
    std::string service_name;
    std::string kind;
    service_search how;
    caf::actor handle;
  };

  // Joining.
  void dial(size_t index);
  void greet(size_t index, const node_actor& gate);
  void on_failure(size_t index, const std::string& why);
  void dial_later(size_t index);

  // Peers.
  caf::result<node_hello> on_join(node_hello& hello);
  caf::error check_hello(const node_hello& hello, const caf::strong_actor_ptr& from) const;
  caf::error check_services(
      const std::vector<service>& services, const caf::strong_actor_ptr& from) const;
  peer& welcome(const caf::strong_actor_ptr& from, node_hello& hello);
  void learn(peer& from, std::vector<service> services);
  void on_down(const caf::actor_addr& gone);
  caf::result<chain_actor> on_spawn(const chain_spec& spec);

  // Services.
  [[nodiscard]] node_hello hello() const;
  [[nodiscard]] std::vector<service> services() const;
  void announce();
  void tell(const watcher& who, const peer& from, const service& what);
  void tell_of_own(const watcher& who, const service& what);
  [[nodiscard]] bool wants(const watcher& who, const peer& from, const service& what) const;
  void log(const std::string& line);

  node_actor::pointer self_;
  node_options options_;
  std::vector<seed> seeds_;
  caf::actor dialer_;
  std::unordered_map<caf::actor_addr, peer> peers_;
  metrics::gauge peer_count_{self_->system(), metrics::metric::node_peers};
  std::vector<offered> offered_;
  std::vector<watcher> watchers_;
  bool is_closed_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

using node_core_actor = caf::stateful_actor<node_core, node_actor::impl>;

} // namespace chainmail

// A node of a cluster inside the test's own process.
#pragma once

#include <chainmail/cluster/node.hpp>
#include <chainmail/gather/calls.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include <optional>
#include <string>
#include <utility>

namespace chainmail::test {

/// Files of caf.openssl.*; none for no TLS.
struct member_tls {
  std::string certificate;
  std::string key;
  std::string cafile;
};

/// An actor system with a node. Services that the test spawns go before the system does.
class member {
  struct config : caf::actor_system_config {
    explicit config(const member_tls& tls) {
      load_cluster(*this);
      set("caf.openssl.certificate", tls.certificate);
      set("caf.openssl.key", tls.key);
      set("caf.openssl.cafile", tls.cafile);
      set("caf.scheduler.max-threads", size_t{2});
      set("caf.logger.file.verbosity", "quiet");
    }
  };

  config config_;

public:
  caf::actor_system system;
  chainmail::node node;

  explicit member(node_options options, const member_tls& tls = {})
    : config_(tls), system(config_), node(system, std::move(options)) {}

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(node.port()); }
};

} // namespace chainmail::test

// A node from outside: options checked, its actors started and ended.
#include <chainmail/caf/compat.hpp>
#include <chainmail/call_context.hpp>
#include <chainmail/cluster/message_rules.hpp>
#include <chainmail/cluster/node.hpp>
#include <chainmail/cluster/node_broker.hpp>
#include <chainmail/cluster/node_core.hpp>
#include <chainmail/cluster/remote_service.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/middleman_actor.hpp>
#include <caf/openssl/session.hpp>
#include <caf/scoped_actor.hpp>

#include <array>
#include <future>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <utility>

namespace chainmail {

namespace {

using std::chrono::milliseconds;

/// To accept a connection.
constexpr std::chrono::seconds connect_timeout{1};

bool has_tls(caf::actor_system& system) {
  return system.has_openssl_manager() && system.openssl_manager().authentication_enabled();
}

/// Tries the files once: CAF reads them for each connection, and throws where nobody catches.
/// @throws std::invalid_argument
void check_tls(caf::actor_system& system) {
  if (!compat::has_tls_files(system.config()))
    throw std::invalid_argument{
        "TLS between nodes needs caf.openssl.certificate, caf.openssl.key and caf.openssl.cafile, "
        "all three"};
  try {
    caf::openssl::session probe{system};
    if (!probe.init())
      throw std::runtime_error{"OpenSSL made no session of them"};
  } catch (const std::exception& error) {
    throw std::invalid_argument{"TLS between nodes cannot start (" + std::string{error.what()} +
                                "): look at the files of caf.openssl.certificate, .key and "
                                ".cafile, and whether the key belongs to the certificate"};
  }
}

std::string default_name() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0)
    host[0] = '\0';
  auto result = std::string{host.data()};
  return (result.empty() ? "node" : result) + "-" + std::to_string(getpid());
}

/// Connects, in a thread of its own: names are looked up, and CAF's connect() waits.
caf::behavior dialer(caf::event_based_actor* self, const caf::io::middleman_actor& middleman,
    bool may_leave_machine) {
  return {[self, middleman, may_leave_machine](caf::connect_atom, std::string& host, uint16_t port)
              -> caf::result<caf::node_id, caf::strong_actor_ptr, std::set<std::string>> {
    node_address to{host, port};
    if (!may_leave_machine && !is_loopback(host))
      return make_failure(errc::invalid_input,
          to_string(to) + " is another machine, and there is no TLS: set caf.openssl.certificate, "
                          ".key and .cafile, or say --insecure");
    if (auto error = try_connect(to, connect_timeout))
      return error;
    return compat::delegate(self, middleman, caf::connect_atom_v, std::move(host), port);
  }};
}

} // namespace

void load_cluster(caf::actor_system_config& config) {
  caf::io::middleman::init_global_meta_objects();
  config.load<caf::io::middleman>();
  config.load<caf::openssl::manager>();
}

struct node::parts {
  caf::actor_system& system;
  std::string name;
  caf::io::middleman_actor middleman;
  caf::actor dialer;
  node_actor core;
  uint16_t port = 0;

  /// Runs `what(core)` inside the actor and waits for its result.
  template <class F>
  auto ask(F what) const {
    using result_type = std::invoke_result_t<F, node_core&>;
    auto* actor = static_cast<node_core_actor*>(caf::actor_cast<caf::abstract_actor*>(core));
    auto promise = std::make_shared<std::promise<result_type>>();
    auto result = promise->get_future();
    // The promise moves: should the actor be gone, the future hears of it.
    compat::run_inside(
        caf::actor_cast<caf::actor>(core), [actor, promise = std::move(promise), what] {
          if constexpr (std::is_void_v<result_type>) {
            what(compat::state_of(*actor));
            promise->set_value();
          } else {
            promise->set_value(what(compat::state_of(*actor)));
          }
        });
    return result.get();
  }

  /// Why not; empty when it does.
  std::string listen(const node_address& at) {
    caf::scoped_actor self{system};
    std::string failure;
    compat::request_within(std::chrono::seconds{5}, self.ptr(), middleman, caf::publish_atom_v,
        at.port, caf::actor_cast<caf::strong_actor_ptr>(core), handshake_words(), at.host, true)
        .receive([this](uint16_t bound) { port = bound; },
            [&failure](const caf::error& error) { failure = to_string(error); });
    return failure;
  }

  void end() {
    if (!core)
      return;
    if (port != 0) {
      caf::scoped_actor self{system};
      compat::request_within(
          std::chrono::seconds{1}, self.ptr(), middleman, caf::close_atom_v, port)
          .receive([] {}, [](const caf::error&) {});
    }
    try {
      ask([](node_core& x) { x.leave(); });
    } catch (const std::future_error&) { // it is gone already
    }
    core = nullptr;
    caf::anon_send_exit(dialer, caf::exit_reason::kill);
    caf::anon_send_exit(middleman, caf::exit_reason::kill);
  }
};

node::node(caf::actor_system& system, node_options options) {
  if (!system.has_middleman())
    throw std::invalid_argument{
        "a node needs CAF's middleman: call chainmail::load_cluster in the constructor of the "
        "configuration"};
  if (options.name.empty())
    options.name = default_name();
  if (options.name.size() > 200 || !is_utf8(options.name))
    throw std::invalid_argument{"a node's name must be UTF-8 of at most 200 bytes"};
  std::vector<node_address> seeds;
  for (const auto& text : options.join) {
    auto address = parse_address(text);
    if (!address)
      throw std::invalid_argument{sentence_of(address.error())};
    seeds.push_back(std::move(*address));
  }
  auto is_safe = has_tls(system);
  if (is_safe)
    check_tls(system);
  node_address own;
  if (!options.listen.empty()) {
    auto address = parse_address(options.listen);
    if (!address)
      throw std::invalid_argument{sentence_of(address.error())};
    own = std::move(*address);
    if (!is_safe && !options.is_insecure && !is_loopback(own.host))
      throw std::invalid_argument{
          "listening on " + options.listen +
          " needs TLS: set caf.openssl.certificate, .key and .cafile, or say --insecure"};
  }
  auto broker = find_node_broker(system);
  auto middleman = is_safe ? caf::openssl::make_middleman_actor(system, broker)
                           : caf::io::make_middleman_actor(system, broker);
  parts_ = std::make_unique<parts>(parts{system, options.name, middleman, {}, {}, 0});
  parts_->dialer =
      system.spawn<caf::detached + caf::hidden>(dialer, middleman, is_safe || options.is_insecure);
  parts_->core =
      system.spawn<node_core_actor>(std::move(options), std::move(seeds), parts_->dialer);
  auto failure = own.host.empty() ? std::string{} : parts_->listen(own);
  if (failure.empty()) {
    parts_->ask([](node_core& x) { x.start(); });
    return;
  }
  parts_->end();
  throw std::runtime_error{"cannot listen on " + to_string(own) +
                           ": is the port taken, or the address another machine's? (" + failure +
                           ")"};
}

node::~node() {
  parts_->end();
}

const std::string& node::name() const {
  return parts_->name;
}

uint16_t node::port() const {
  return parts_->port;
}

void node::offer(service what) {
  if (!what.handle)
    throw std::invalid_argument{"a service needs a valid handle"};
  if (auto error = check_service(what))
    throw std::invalid_argument{sentence_of(error)};
  parts_->ask([&what](node_core& x) { x.offer(std::move(what)); });
}

caf::actor node::find_service(
    const std::string& name, const std::string& kind, const service_search& how) {
  auto chosen = how;
  if (!how.only_from.empty()) {
    auto address = parse_address(how.only_from);
    if (!address)
      throw std::invalid_argument{sentence_of(address.error())};
    chosen.only_from = to_string(*address); // as the node writes it
  }
  return parts_->ask([&](node_core& x) { return x.find_service(name, kind, chosen); });
}

caf::expected<chain_actor> node::spawn_chain(
    const std::string& on_node, const chain_spec& spec, caf::timespan timeout) {
  auto peer = parts_->ask([&](node_core& x) { return x.peer_called(on_node); });
  if (!peer)
    return make_failure(errc::not_found, "no node named '" + on_node + "' is connected");
  caf::scoped_actor self{parts_->system};
  call_context context;
  context.due.at = self->clock().now() + timeout;
  caf::expected<chain_actor> result = caf::error{};
  compat::request_within(timeout, self.ptr(), peer, spawn_atom_v, spec, context)
      .receive([&](const chain_actor& chain) { result = chain; },
          [&](const caf::error& error) { result = error_from_peer(error, "the node"); });
  if (!result)
    return result;
  auto remote = caf::actor_cast<caf::actor>(*result);
  return caf::actor_cast<chain_actor>(
      parts_->ask([&](node_core& x) { return x.stand_for(on_node, remote); }));
}

bool node::wait_for_peers(size_t count, caf::timespan timeout) {
  auto until = std::chrono::steady_clock::now() + timeout;
  while (status().peers.size() < count) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    std::this_thread::sleep_for(milliseconds{5});
  }
  return true;
}

node_status node::status() const {
  return parts_->ask([](node_core& x) { return x.status(); });
}

bool node::leave(caf::timespan limit) {
  auto until = std::chrono::steady_clock::now() + limit;
  parts_->ask([](node_core& x) { x.close(); });
  auto left = uint64_t{0};
  // What was on its way when the others heard of it arrives, and is refused.
  do {
    std::this_thread::sleep_for(milliseconds{20});
    left = parts_->ask([](node_core& x) { return x.in_flight(); });
  } while (left > 0 && std::chrono::steady_clock::now() < until);
  parts_->end();
  return left == 0;
}

} // namespace chainmail

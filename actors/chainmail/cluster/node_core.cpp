// How nodes meet, what they tell each other, and what happens when one is lost.
#include <chainmail/caf/compat.hpp>
#include <chainmail/cluster/message_rules.hpp>
#include <chainmail/cluster/node_core.hpp>
#include <chainmail/cluster/remote_service.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/config.hpp>
#include <caf/node_id.hpp>

#include <algorithm>
#include <utility>

namespace chainmail {

namespace {

using std::chrono::milliseconds;

constexpr size_t most_services = 1'000;
constexpr size_t most_chains = 1'000;
constexpr size_t most_peers = 1'000;
constexpr size_t longest_node_name = 200;
constexpr uint32_t most_capacity = 1'000'000;

/// Of attempts to join: first, and at most.
constexpr milliseconds shortest_wait{100};
constexpr milliseconds longest_wait{2'000};

/// For a node's answer to what it should answer at once.
constexpr std::chrono::seconds patience_with_nodes{3};

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= longest_node_name && is_utf8(text);
}

const std::string mark = "chainmail node";

std::string protocol_word() {
  return "protocol " + std::to_string(cluster_protocol);
}

std::string caf_word() {
  return "CAF " + caf_version();
}

} // namespace

std::string caf_version() {
  return std::to_string(CAF_MAJOR_VERSION) + "." + std::to_string(CAF_MINOR_VERSION) + "." +
         std::to_string(CAF_PATCH_VERSION);
}

std::set<std::string> handshake_words() {
  return {mark, protocol_word(), caf_word()};
}

std::string mismatch(const std::set<std::string>& words, const std::string& where) {
  if (!words.contains(mark))
    return where + " is no node of chainmail";
  auto ours = handshake_words();
  if (words == ours)
    return {};
  std::string theirs;
  for (const auto& word : words)
    if (word != mark)
      theirs += (theirs.empty() ? "" : ", ") + one_line(word, 40);
  return where + " speaks " + theirs + ", and this node " + caf_word() + ", " + protocol_word() +
         ": all nodes of a cluster need the same versions";
}

caf::error check_service(const service& what) {
  if (is_name(what.name) && is_name(what.kind) && what.capacity <= most_capacity)
    return {};
  return make_failure(errc::invalid_input,
      "the service '" + one_line(what.name, 40) + "' must have a name and a kind of 1 to " +
          std::to_string(longest_node_name) + " bytes of UTF-8, and a capacity of at most " +
          std::to_string(most_capacity) + "; its capacity is " + std::to_string(what.capacity));
}

node_core::node_core(node_actor::pointer self_ptr, node_options chosen,
    std::vector<node_address> seeds, caf::actor connector)
  : self_(self_ptr), options_(std::move(chosen)), dialer_(std::move(connector)) {
  for (auto& address : seeds)
    seeds_.push_back({std::move(address), {}, {}});
}

node_actor::behavior_type node_core::make_behavior() {
  // CAF's default prints what comes, and other nodes may send anything.
  compat::on_other(self_, caf::drop);
  compat::on_down(self_, [this](const caf::down_msg& down) { on_down(down.source); });
  return {
      [this](join_atom, node_hello& theirs) { return on_join(theirs); },
      [this](announce_atom, std::vector<service>& theirs) -> caf::result<void> {
        auto from = self_->current_sender();
        auto found = peers_.find(caf::actor_cast<caf::actor_addr>(from));
        if (found == peers_.end())
          return make_failure(errc::bad_request, "a node has to join before it announces services");
        if (auto error = check_services(theirs, from))
          return error;
        learn(found->second, std::move(theirs));
        return caf::unit;
      },
      [this](spawn_atom, const chain_spec& spec, const call_context&) { return on_spawn(spec); },
      [this](status_atom) { return status(); },
  };
}

// -- joining ------------------------------------------------------------------------------

void node_core::start() {
  for (size_t i = 0; i < seeds_.size(); ++i)
    dial(i);
}

void node_core::dial(size_t index) {
  const auto& address = seeds_[index].address;
  // One after the other, so there is no saying how long it takes; but the dialer always answers.
  compat::request(self_, dialer_, caf::connect_atom_v, address.host, address.port)
      .then(
          [this, index](const caf::node_id& id, const caf::strong_actor_ptr& gate,
              const std::set<std::string>& words) {
            auto where = to_string(seeds_[index].address);
            if (id == self_->node())
              return; // this node itself: nobody to join
            if (auto why = mismatch(words, where); !why.empty())
              on_failure(index, why);
            else if (!gate)
              on_failure(index, where + " has nothing to join");
            else
              greet(index, caf::actor_cast<node_actor>(gate));
          },
          [this, index](const caf::error& error) {
            auto where = to_string(seeds_[index].address);
            on_failure(index, error.category() == caf::type_id_v<errc>
                                  ? sentence_of(error)
                                  : where + " closed the connection during the handshake: does it "
                                            "want TLS, or another certificate?");
          });
}

void node_core::greet(size_t index, const node_actor& gate) {
  compat::request_within(patience_with_nodes, self_, gate, join_atom_v, hello())
      .then(
          [this, index, gate](node_hello& theirs) {
            auto from = caf::actor_cast<caf::strong_actor_ptr>(gate);
            if (auto error = check_hello(theirs, from)) {
              on_failure(index, sentence_of(error));
              return;
            }
            auto& found = welcome(from, theirs);
            auto where = to_string(seeds_[index].address);
            seeds_[index].wait = {};
            seeds_[index].last_failure.clear();
            if (found.joined_at.insert(where).second)
              log("joined " + found.called + " at " + where);
            learn(found, std::move(theirs.services));
            // What was offered since the hello was on its way.
            compat::send(self_, gate, announce_atom_v, services());
          },
          [this, index](const caf::error& error) {
            auto where = to_string(seeds_[index].address);
            on_failure(index, error == caf::sec::request_timeout
                                  ? where + " did not answer"
                                  : sentence_of(error_from_peer(error, where.c_str())));
          });
}

void node_core::on_failure(size_t index, const std::string& why) {
  auto& to = seeds_[index];
  if (to.last_failure != why)
    log("cannot join " + to_string(to.address) + ": " + why);
  to.last_failure = why;
  dial_later(index);
}

void node_core::dial_later(size_t index) {
  auto& to = seeds_[index];
  to.wait = std::clamp(2 * to.wait, shortest_wait, longest_wait);
  // Half of it by chance: two nodes that dial each other must not do so in step.
  auto half = to.wait.count() / 2;
  auto wait = milliseconds{half + std::uniform_int_distribution<long>{0, half}(random_)};
  compat::run_at(self_, self_->clock().now() + wait, [this, index] {
    if (!is_closed_)
      dial(index);
  });
}

// -- peers --------------------------------------------------------------------------------

caf::result<node_hello> node_core::on_join(node_hello& theirs) {
  auto from = self_->current_sender();
  if (!from || from->node() == self_->node())
    return make_failure(errc::invalid_input, "only other nodes can join");
  if (auto error = check_hello(theirs, from))
    return error;
  if (peers_.size() >= most_peers)
    return make_failure(errc::overloaded, "this node has as many peers as it takes");
  auto is_new = !peers_.contains(caf::actor_cast<caf::actor_addr>(from));
  auto& found = welcome(from, theirs);
  if (is_new)
    log(found.called + " joined");
  learn(found, std::move(theirs.services));
  return hello();
}

caf::error node_core::check_hello(
    const node_hello& theirs, const caf::strong_actor_ptr& from) const {
  if (theirs.protocol != cluster_protocol || theirs.caf_version != caf_version())
    return make_failure(
        errc::unsupported, mismatch({mark, "protocol " + std::to_string(theirs.protocol),
                                        "CAF " + one_line(theirs.caf_version, 20)},
                               "the other node"));
  if (!is_name(theirs.name))
    return make_failure(errc::invalid_input,
        "a node's name must be UTF-8 of 1 to " + std::to_string(longest_node_name) + " bytes");
  return check_services(theirs.services, from);
}

caf::error node_core::check_services(
    const std::vector<service>& theirs, const caf::strong_actor_ptr& from) const {
  if (theirs.size() > most_services)
    return make_failure(errc::invalid_input,
        "a node may have at most " + std::to_string(most_services) + " services");
  for (const auto& each : theirs) {
    if (auto error = check_service(each))
      return error;
    if (!each.handle || each.handle.node() != from->node())
      return make_failure(errc::invalid_input, "a service must have an actor of its own node");
  }
  return {};
}

node_core::peer& node_core::welcome(const caf::strong_actor_ptr& from, node_hello& theirs) {
  auto [found, is_new] = peers_.try_emplace(caf::actor_cast<caf::actor_addr>(from));
  if (is_new) {
    found->second.handle = caf::actor_cast<node_actor>(from);
    compat::monitor(self_, found->second.handle);
    peer_count_.set(static_cast<int64_t>(peers_.size()));
  }
  found->second.called = std::move(theirs.name);
  return found->second;
}

void node_core::learn(peer& from, std::vector<service> now) {
  auto before = std::exchange(from.services, std::move(now));
  for (auto& gone : before) {
    auto is_still_there = std::ranges::any_of(
        from.services, [&](const service& x) { return x.handle == gone.handle; });
    gone.capacity = 0;
    if (!is_still_there)
      for (const auto& who : watchers_)
        tell(who, from, gone);
  }
  for (const auto& each : from.services)
    for (const auto& who : watchers_)
      tell(who, from, each);
}

void node_core::on_down(const caf::actor_addr& gone) {
  auto found = peers_.extract(gone);
  if (!found)
    return;
  peer_count_.set(static_cast<int64_t>(peers_.size()));
  auto& lost = found.mapped();
  log("lost " + lost.called);
  for (const auto& each : lost.chains) {
    self_->send_exit(each.port, caf::exit_reason::user_shutdown);
    self_->send_exit(each.chain, caf::exit_reason::user_shutdown);
  }
  for (size_t i = 0; i < seeds_.size(); ++i)
    if (lost.joined_at.contains(to_string(seeds_[i].address)) && !is_closed_)
      dial_later(i);
}

caf::result<chain_actor> node_core::on_spawn(const chain_spec& spec) {
  auto from = self_->current_sender();
  auto found = std::ranges::find_if(
      peers_, [&](const auto& x) { return from && x.second.handle.node() == from->node(); });
  if (found == peers_.end())
    return make_failure(errc::bad_request, "a node has to join before it spawns chains");
  if (!options_.spawn_chain)
    return make_failure(
        errc::unsupported, "the node " + options_.name + " spawns no chains for others");
  if (is_closed_)
    return make_failure(errc::unavailable, "the node " + options_.name + " is leaving");
  auto& chains = found->second.chains;
  if (chains.size() >= most_chains)
    return make_failure(errc::overloaded,
        "a node may spawn at most " + std::to_string(most_chains) + " chains on another one");
  auto chain = options_.spawn_chain(spec);
  if (!chain)
    return std::move(chain.error());
  auto target = caf::actor_cast<caf::actor>(*chain);
  auto counters = std::make_shared<port_counters>();
  auto port = spawn_service_port(self_->home_system(), target,
      {.name = "a chain of " + options_.name, .kind = "chain"}, counters);
  chains.push_back({port, target, std::move(counters)});
  return caf::actor_cast<chain_actor>(port);
}

// -- services -----------------------------------------------------------------------------

void node_core::offer(service what) {
  auto counters = std::make_shared<port_counters>();
  port_options chosen;
  chosen.name = what.name;
  chosen.kind = what.kind;
  chosen.capacity = what.capacity;
  chosen.keeps_sender = what.kind == "rate_limiter";
  auto port = spawn_service_port(self_->home_system(), what.handle, chosen, counters);
  for (const auto& who : watchers_)
    tell_of_own(who, what);
  offered_.push_back({std::move(what), std::move(port), std::move(counters)});
  announce();
}

std::vector<service> node_core::services() const {
  std::vector<service> result;
  for (const auto& each : offered_) {
    auto shown = each.what;
    shown.handle = each.port;
    if (is_closed_)
      shown.capacity = 0;
    result.push_back(std::move(shown));
  }
  return result;
}

node_hello node_core::hello() const {
  return {cluster_protocol, caf_version(), options_.name, services()};
}

void node_core::announce() {
  for (const auto& [address, each] : peers_)
    compat::send(self_, each.handle, announce_atom_v, services());
}

bool node_core::wants(const watcher& who, const peer& from, const service& what) const {
  return who.service_name == what.name && who.kind == what.kind &&
         (who.how.with_relays || !what.is_relay) &&
         (who.how.only_from.empty() || from.joined_at.contains(who.how.only_from));
}

void node_core::tell(const watcher& who, const peer& from, const service& what) {
  if (wants(who, from, what))
    compat::anon_send(who.handle, announce_atom_v, what, from.called);
}

/// This node is a member of its own cluster, too. Its relays are not: calls would come back to them.
void node_core::tell_of_own(const watcher& who, const service& what) {
  if (who.service_name == what.name && who.kind == what.kind && !what.is_relay &&
      who.how.only_from.empty())
    compat::anon_send(who.handle, announce_atom_v, what, options_.name);
}

caf::actor node_core::find_service(
    const std::string& service_name, const std::string& kind, const service_search& how) {
  remote_service_options chosen;
  chosen.name = service_name;
  chosen.kind = kind;
  chosen.is_repeatable = kind == "llm" || kind == "embedder";
  chosen.patience = how.patience;
  auto& added = watchers_.emplace_back(watcher{service_name, kind, how, {}});
  added.handle = spawn_remote_service(self_->home_system(), chosen);
  for (const auto& each : offered_)
    tell_of_own(added, each.what);
  for (const auto& [address, from] : peers_)
    for (const auto& each : from.services)
      tell(added, from, each);
  return added.handle;
}

node_actor node_core::peer_called(const std::string& peer_name) {
  for (const auto& [address, each] : peers_)
    if (each.called == peer_name)
      return each.handle;
  return {};
}

caf::actor node_core::stand_for(const std::string& peer_name, const caf::actor& chain) {
  remote_service_options chosen;
  chosen.name = "a chain of " + peer_name;
  chosen.kind = "chain";
  auto result = spawn_remote_service(self_->home_system(), chosen);
  watchers_.push_back({{}, {}, {}, result});
  compat::anon_send(result, announce_atom_v,
      service{chosen.name, "chain", most_capacity, false, chain}, peer_name);
  return result;
}

node_status node_core::status() {
  node_status result;
  result.name = options_.name;
  for (const auto& [address, each] : peers_)
    result.peers.push_back(each.called);
  std::ranges::sort(result.peers);
  for (const auto& each : offered_)
    result.services.push_back({each.what.name, each.what.kind, each.what.capacity,
        each.counters->in_flight, each.counters->answered, each.counters->refused});
  return result;
}

// -- leaving ------------------------------------------------------------------------------

void node_core::close() {
  is_closed_ = true;
  for (const auto& each : offered_)
    each.counters->is_closed = true;
  for (const auto& [address, each] : peers_)
    for (const auto& chain : each.chains)
      chain.counters->is_closed = true;
  announce();
}

uint64_t node_core::in_flight() const {
  uint64_t result = 0;
  for (const auto& each : offered_)
    result += each.counters->in_flight;
  for (const auto& [address, each] : peers_)
    for (const auto& chain : each.chains)
      result += chain.counters->in_flight;
  return result;
}

void node_core::leave() {
  is_closed_ = true;
  auto end = [this](const caf::actor& x) { self_->send_exit(x, caf::exit_reason::user_shutdown); };
  for (const auto& each : offered_)
    end(each.port);
  for (const auto& each : watchers_)
    end(each.handle);
  for (const auto& [address, each] : peers_)
    for (const auto& chain : each.chains) {
      end(chain.port);
      end(chain.chain);
    }
  offered_.clear();
  watchers_.clear();
  self_->quit(caf::exit_reason::user_shutdown);
}

void node_core::log(const std::string& line) {
  if (options_.log)
    options_.log(line);
}

} // namespace chainmail

// chainmail-node: a node of a cluster.
#include <chainmail/chainmail.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/settings.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <simulator/simulator.hpp>

using namespace chainmail;

namespace {

struct node_config : caf::actor_system_config {
  std::vector<std::string> roles;
  std::vector<std::string> join;
  std::string name;
  std::string listen;
  bool insecure = false;
  uint32_t capacity = 1'000;
  caf::timespan drain_limit = std::chrono::seconds{30};
  bool chat = false;
  bool shared_limits = false;
  bool simulate = false;
  caf::timespan simulated_latency = std::chrono::milliseconds{1'276};
  llm_settings llm;

  node_config() {
    load_cluster(*this);
    opt_group{custom_options_, "global"}
        .add(roles, "role", "worker, coordinator, or both (repeatable)")
        .add(join, "join", "HOST:PORT of a coordinator (repeatable)")
        .add(name, "name", "what the other nodes call this one (default: host and process)")
        .add(listen, "listen", "HOST:PORT for others (default: 127.0.0.1:4700 for coordinators)")
        .add(insecure, "insecure", "let connections leave this machine without TLS")
        .add(capacity, "capacity", with_default("calls that a worker takes at once", capacity))
        .add(drain_limit, "drain-limit",
            with_default("how long to finish calls when told to stop", drain_limit))
        .add(chat, "chat", "a worker uses the chat interface: for models that know no other")
        .add(shared_limits, "shared-limits",
            "a worker asks the limiter of the node that it joins first")
        .add(simulate, "simulate", "a worker answers from the built-in simulator: no model")
        .add(simulated_latency, "simulated-latency",
            with_default("of its answers", simulated_latency));
    llm.add_to(custom_options_);
  }
};

/// The signals in this thread and those it starts, so that only sigwait sees them.
sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void say(const std::string& line) {
  auto whole = "chainmail-node: " + line; // in one piece: several threads have something to say
  whole += '\n';
  std::cout << whole << std::flush;
}

/// The chains of the configuration: `chains { names { kind = "llm_chain", template = "..." } }`.
std::map<std::string, chain_spec> chains_in(const node_config& config) {
  std::map<std::string, chain_spec> result;
  auto* chains = caf::get_if<caf::settings>(&config, "chains");
  if (chains == nullptr)
    return result;
  for (const auto& [chain, content] : *chains) {
    auto* fields = caf::get_if<caf::settings>(&content);
    if (fields == nullptr)
      throw std::invalid_argument{"chains." + chain + " must be a section: { kind = \"...\" }"};
    chain_spec spec;
    for (const auto& [key, field] : *fields) {
      auto* text = caf::get_if<std::string>(&field);
      if (text == nullptr) {
        auto where = "chains." + chain;
        where += '.';
        where += key;
        throw std::invalid_argument{where + " must be text in quotes"};
      }
      (key == "kind" ? spec.kind : spec.settings[key]) = *text;
    }
    result.emplace(chain, std::move(spec));
  }
  return result;
}

class program {
public:
  program(caf::actor_system& system, const node_config& config)
    : system_(system), config_(config) {}

  int run() {
    auto signals = block_stop_signals();
    for (const auto& role : config_.roles)
      if (role == "worker")
        is_worker_ = true;
      else if (role == "coordinator")
        is_coordinator_ = true;
      else
        throw std::invalid_argument{"--role=" + role + " is none; there are: worker, coordinator"};
    if (!is_worker_ && !is_coordinator_)
      throw std::invalid_argument{"--role says what this node does: worker, coordinator or both"};
    if (!is_coordinator_ && config_.join.empty() && config_.listen.empty())
      throw std::invalid_argument{"a worker needs somebody to work for: --join=HOST:PORT of a "
                                  "coordinator, or --listen=HOST:PORT for clients"};
    if (config_.shared_limits && config_.join.empty() && !is_coordinator_)
      throw std::invalid_argument{"--shared-limits needs a --join: the limiter is of that node"};
    start();
    int received = 0;
    while (sigwait(&signals, &received) != 0)
      ;
    say("stopping: no new calls, " + std::to_string(in_flight()) + " to finish");
    auto is_done = node_->leave(config_.drain_limit);
    node_.reset();
    say(is_done ? "left" : "left with calls under way, which the others make again");
    end();
    return EXIT_SUCCESS;
  }

private:
  void start() {
    node_options options;
    options.name = config_.name;
    options.listen = config_.listen;
    if (options.listen.empty() && is_coordinator_)
      options.listen = "127.0.0.1:4700";
    options.join = config_.join;
    options.is_insecure = config_.insecure;
    options.log = say;
    options.spawn_chain = [this](const chain_spec& spec) -> caf::expected<chain_actor> {
      auto llm = llm_for_others();
      if (!llm)
        return make_failure(errc::unavailable, "this node is still starting");
      return spawn_chain(system_, spec, llm);
    };
    auto settings = llm_config{};
    if (auto error = config_.llm.apply_to(settings))
      throw std::invalid_argument{sentence_of(error)};
    if (config_.chat)
      settings.endpoint.api = openai_api::chat;
    if (is_worker_ && (config_.capacity == 0 || config_.capacity > most_capacity))
      throw std::invalid_argument{"--capacity must be from 1 to " + std::to_string(most_capacity)};
    if (is_worker_)
      check_endpoint();
    // Everything that can be refused was, before others see this node.
    node_ = std::make_unique<node>(system_, options);
    if (is_coordinator_) {
      limiter_ = spawn_rate_limiter(system_, settings.limits);
      node_->offer("limiter", limiter_);
    }
    if (is_worker_)
      start_worker(std::move(settings));
    if (is_coordinator_)
      start_coordinator();
    say(ready_line());
  }

  void check_endpoint() {
    if (config_.simulate || config_.llm.has_endpoint())
      return;
    throw std::invalid_argument{"a worker needs an endpoint: set OPENAI_API_KEY or "
                                "--llm.base-url, or say --simulate for answers without a model"};
  }

  void start_worker(llm_config settings) {
    if (config_.simulate) {
      simulator::options options;
      options.latency =
          std::chrono::duration_cast<std::chrono::microseconds>(config_.simulated_latency);
      simulator_ = std::make_unique<simulator::server>(options);
      settings.endpoint.base_url = simulator_->base_url();
      settings.endpoint.key = {};
      if (settings.anthropic) {
        settings.anthropic->base_url = simulator_->base_url();
        settings.anthropic->key = {};
      }
    }
    if (config_.shared_limits)
      settings.limiter = is_coordinator_ ? limiter_ : find_limiter();
    http_options http;
    http.max_in_flight = config_.capacity;
    http_ = spawn_http(system_, http);
    set_llm(spawn_llm(system_, http_, settings));
    node_->offer("llm", llm_, {.capacity = config_.capacity});
  }

  void set_llm(llm_actor llm) {
    std::lock_guard guard{llm_mutex_};
    llm_ = std::move(llm);
  }

  /// In the node's actor, which runs before this program has started everything.
  llm_actor llm_for_others() {
    std::lock_guard guard{llm_mutex_};
    return llm_;
  }

  rate_limiter_actor find_limiter() {
    service_search how;
    how.only_from = config_.join.front();
    how.patience = caf::timespan{0};
    central_ = node_->find<rate_limiter_actor>("limiter", how);
    return spawn_leasing_limiter(system_, central_);
  }

  void start_coordinator() {
    service_search how;
    how.with_relays = false;
    set_llm(node_->find<llm_actor>("llm", how));
    node_->offer("llm", llm_, {.capacity = most_calls, .is_relay = true});
    for (const auto& [chain, spec] : chains_in(config_)) {
      auto spawned = spawn_chain(system_, spec, llm_);
      if (!spawned)
        throw std::invalid_argument{"chains." + chain + ": " + sentence_of(spawned.error())};
      node_->offer(chain, *spawned, {.capacity = most_calls});
    }
  }

  std::string ready_line() const {
    auto result = node_->name() + " (";
    result += is_worker_ && is_coordinator_ ? "worker and coordinator"
              : is_worker_                  ? "worker"
                                            : "coordinator";
    result += simulator_ ? ", simulated answers: no model) ready" : ") ready";
    if (node_->port() != 0)
      result += " on port " + std::to_string(node_->port());
    return result;
  }

  uint64_t in_flight() const {
    uint64_t result = 0;
    for (const auto& each : node_->status().services)
      result += each.in_flight;
    return result;
  }

  /// Ends what is still under way: the system's destructor would wait for it.
  void end() {
    caf::anon_send_exit(http_, caf::exit_reason::user_shutdown);
    http_ = nullptr;
    set_llm({});
    limiter_ = nullptr;
    central_ = nullptr;
  }

  /// That a coordinator takes at once for each of its services.
  static constexpr uint32_t most_calls = 20'000;

  /// That other nodes believe.
  static constexpr uint32_t most_capacity = 1'000'000;

  caf::actor_system& system_;
  const node_config& config_;
  bool is_worker_ = false;
  bool is_coordinator_ = false;
  std::unique_ptr<simulator::server> simulator_;
  std::mutex llm_mutex_;
  std::unique_ptr<node> node_;
  http_actor http_;
  rate_limiter_actor limiter_;
  rate_limiter_actor central_;
  llm_actor llm_;
};

} // namespace

int main(int argc, char** argv) {
  try {
    std::vector<std::string> arguments{argv + 1, argv + argc};
    // CAF keeps the last of an option; these may come several times.
    auto roles = take_option(arguments, "--role");
    auto join = take_option(arguments, "--join");
    raise_open_file_limit();
    return run_main<node_config>(
        std::move(arguments), [&](caf::actor_system& system, node_config& config) {
          if (!roles.empty())
            config.roles = roles;
          if (!join.empty())
            config.join = join;
          return program{system, config}.run();
        });
  } catch (const std::exception& problem) {
    std::cerr << "error: " << problem.what() << std::endl;
    return 2;
  }
}

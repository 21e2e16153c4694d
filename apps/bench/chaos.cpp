// Three replies in ten are broken: every call must still be answered once, and nothing may leak.
#include "bad_days.hpp"
#include "scenarios.hpp"

#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <filesystem>
#include <thread>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

constexpr double broken_share = 0.3;
constexpr double least_success = 0.999;

constexpr std::array broken_kinds = {simulator::fault::rate_limited, simulator::fault::server_error,
    simulator::fault::unavailable, simulator::fault::reset, simulator::fault::hang,
    simulator::fault::truncated, simulator::fault::invalid_json, simulator::fault::drip};

simulator::options broken_endpoint() {
  simulator::options result;
  result.latency = 10ms;
  result.seed = 1;
  for (auto kind : broken_kinds)
    result.fault_rates.push_back({kind, broken_share / broken_kinds.size()});
  return result;
}

/// Of this process.
int64_t count_open_sockets() {
  int64_t result = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd", ignored})
    result += std::filesystem::read_symlink(entry, ignored).string().starts_with("socket:") ? 1 : 0;
  return result;
}

template <class Predicate>
void wait_a_while_for(Predicate is_so) {
  constexpr auto patience = 5s;
  auto end = std::chrono::steady_clock::now() + patience;
  while (!is_so() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(10ms);
}

struct leftovers {
  uint64_t permits = 0;
  uint64_t waiting = 0;
  uint64_t exchanges = 0;
  uint64_t server_in_flight = 0;
  /// Idle ones, for the next call.
  uint64_t connections_kept = 0;
  /// More than before, once the HTTP actor is gone.
  int64_t sockets = 0;

  [[nodiscard]] bool none_at_work() const {
    return permits == 0 && waiting == 0 && exchanges == 0 && server_in_flight == 0;
  }
};

leftovers look_for_leftovers(caf::scoped_actor& self, const rate_limiter_actor& limiter,
    const http_actor& http, const simulator::server& server) {
  leftovers result;
  constexpr auto patience = 5s;
  // What does not answer is counted as one left.
  result.permits = result.exchanges = 1;
  compat::request_within(patience, self.operator->(), limiter, status_atom_v)
      .receive(
          [&](const limiter_status& status) {
            result.permits = 0;
            for (const auto& key : status.keys) {
              result.permits += key.in_flight;
              result.waiting += key.waiting;
            }
          },
          [](const caf::error&) {});
  compat::request_within(patience, self.operator->(), http, status_atom_v)
      .receive([&](const http_status& status) { result.exchanges = status.outstanding; },
          [](const caf::error&) {});
  auto counted = server.snapshot();
  result.server_in_flight = counted.in_flight;
  result.connections_kept = counted.connections_open;
  return result;
}

void add_leftovers(report_writer& to, const leftovers& left) {
  to.add("permits_left", left.permits)
      .add("waiting_left", left.waiting)
      .add("exchanges_left", left.exchanges)
      .add("server_in_flight_left", left.server_in_flight)
      .add("connections_kept", left.connections_kept)
      .add_json("sockets_left", std::to_string(left.sockets));
  to.demand(left.permits == 0 && left.waiting == 0,
      "the limiter still counts " + std::to_string(left.permits) + " permits and " +
          std::to_string(left.waiting) + " waiting calls");
  to.demand(left.exchanges == 0,
      "the HTTP actor still has " + std::to_string(left.exchanges) + " exchanges outstanding");
  to.demand(left.server_in_flight == 0,
      "the endpoint still has " + std::to_string(left.server_in_flight) + " requests in flight");
  to.demand(left.sockets == 0, std::to_string(left.sockets) + " sockets were not closed");
}

void add_faults(report_writer& to, const simulator::stats& counted) {
  std::string faults = "{";
  uint64_t broken = 0;
  for (auto kind : broken_kinds) {
    // A hang is never answered: it ends when the client leaves.
    auto count = kind == simulator::fault::hang ? counted.aborted : counted.answered_with(kind);
    broken += count;
    faults += (faults.size() > 1 ? ",\"" : "\"") + std::string{to_string(kind)} +
              "\":" + std::to_string(count);
  }
  to.add("requests", counted.requests)
      .add("broken", broken)
      .add_json("faults", faults + "}")
      .add("distinct_calls", counted.distinct_calls);
}

} // namespace

caf::expected<report> chaos(caf::actor_system& system, const load& how_much) {
  simulator::server server{broken_endpoint()};
  caf::scoped_actor self{system};
  auto sockets_before = count_open_sockets();
  auto http = spawn_http(system);
  rate_limiter_options limits;
  // Injected 429s say nothing of how many calls the endpoint takes at once.
  limits.defaults.max_in_flight = how_much.in_flight;
  auto limiter = spawn_rate_limiter(system, limits);
  auto config = config_for(server);
  config.limiter = limiter;
  config.retry.max_attempts = 8;
  config.retry.attempt_timeout = 2s;
  call_run run{
      system, spawn_llm(system, http, config), numbered_calls(how_much.calls, how_much.in_flight)};
  run.wait();
  leftovers left;
  wait_a_while_for([&] {
    left = look_for_leftovers(self, limiter, http, server);
    return left.none_at_work();
  });
  auto totals = sum_up(run.finish());
  self->send_exit(http, caf::exit_reason::user_shutdown);
  self->wait_for(http);
  wait_a_while_for([&] {
    left.sockets = count_open_sockets() - sockets_before;
    return left.sockets == 0;
  });
  report_writer result{"chaos"};
  add_totals(result, totals, how_much.calls);
  add_faults(result, server.snapshot());
  add_leftovers(result, left);
  auto success = static_cast<double>(totals.right) / static_cast<double>(how_much.calls);
  result.add("success", success);
  result.demand(success >= least_success, "only " + digits(success) +
                                              " of the calls were answered right, not " +
                                              digits(least_success));
  return result.finish(run.first_error());
}

} // namespace chainmail::bench

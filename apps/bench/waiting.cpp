// What calls that only wait cost those that run: thousands at a slow host, others at a fast one.
#include "processes.hpp"
#include "scenarios.hpp"
#include "stack.hpp"

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

constexpr size_t waiting_rounds = 5;

/// At the fast host.
constexpr size_t in_flight = 100;

/// The bound: the CPU time of a call beside those that wait, over that of one alone.
constexpr double most_ratio = 1.2;

constexpr auto patience = 60s;

uint64_t outstanding(caf::scoped_actor& self, const http_actor& http) {
  uint64_t result = 0;
  compat::request_within(5s, self.ptr(), http, status_atom_v)
      .receive([&](const http_status& status) { result = status.outstanding; },
          [](const caf::error&) {});
  return result;
}

/// What the simulated endpoint says that it has in flight.
uint64_t in_flight_at(
    caf::scoped_actor& self, const http_actor& http, const std::string& base_url) {
  http_request request;
  request.method = "GET";
  request.url = base_url.substr(0, base_url.rfind('/')) + "/stats";
  uint64_t result = 0;
  compat::request(self.ptr(), http, fetch_atom_v, request, make_context(self.ptr(), patience))
      .receive(
          [&](const http_response& response) {
            constexpr std::string_view key = "\"in_flight\":";
            auto found = response.body.find(key);
            if (found != std::string::npos)
              result = std::strtoull(response.body.c_str() + found + key.size(), nullptr, 10);
          },
          [](const caf::error&) {});
  return result;
}

/// Asks until the answer is this one; false when it does not come to that.
template <class Ask>
bool wait_for(uint64_t wanted, Ask ask) {
  stopwatch watch;
  while (ask() != wanted) {
    if (watch.wall_s() > std::chrono::duration<double>{patience}.count())
      return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

/// An LLM and a chain for one host.
chain_actor chain_at(caf::actor_system& system, const http_actor& http, const std::string& url) {
  llm_config config;
  config.endpoint = {};
  config.endpoint.base_url = url;
  return spawn_llm_chain(system, spawn_llm(system, http, config), name_prompt);
}

struct pair_of_hosts {
  pair_of_hosts(caf::actor_system& system, const load& how_much) : plan(how_much), self(system) {}

  caf::expected<figures> run_fast() {
    gather_options options;
    options.max_in_flight = in_flight;
    stopwatch watch;
    auto outcomes =
        gather(self, fast_chain, std::vector<values>(plan.calls, name_inputs()), options);
    if (!outcomes)
      return std::move(outcomes.error());
    return summarize(*outcomes, watch);
  }

  /// Runs the fast host's calls while the slow host's wait, then gives those up.
  caf::expected<figures> run_fast_beside() {
    auto gatherer = spawn_one_gather(self->system());
    auto context = make_context(self.ptr(), 10min);
    auto waiting = compat::request(self.ptr(), gatherer, gather_atom_v, slow_chain,
        std::vector<values>(plan.in_flight, name_inputs()), gather_options{}, context);
    auto all_wait =
        wait_for(plan.in_flight, [this] { return in_flight_at(self, http, slow.base_url()); });
    auto result = run_fast();
    compat::send(self.ptr(), gatherer, cancel_atom_v, context.id);
    std::move(waiting).receive([](const std::vector<outcome>&) {}, [](const caf::error&) {});
    auto all_gone = wait_for(0, [this] { return outstanding(self, http); });
    if (!all_wait || !all_gone)
      return make_failure(errc::internal, "not as many calls waited as should");
    return result;
  }

  load plan;
  caf::scoped_actor self;
  endpoint_process slow{"10min"};
  endpoint_process fast{"0ms"};
  http_actor http = spawn_http(self->system());
  chain_actor slow_chain = chain_at(self->system(), http, slow.base_url());
  chain_actor fast_chain = chain_at(self->system(), http, fast.base_url());
};

double cost_us(const figures& of) {
  return of.cpu_s / static_cast<double>(of.calls) * 1e6;
}

} // namespace

caf::expected<report> waiting(caf::actor_system& system, const load& how_much) {
  pair_of_hosts hosts{system, how_much};
  std::vector<double> alone_us;
  std::vector<double> beside_us;
  std::vector<double> ratios;
  size_t errors = 0;
  std::string first_error;
  for (size_t round = 0; round <= waiting_rounds; ++round) {
    auto alone = hosts.run_fast();
    auto beside = hosts.run_fast_beside();
    if (!alone || !beside)
      return std::move(alone ? beside.error() : alone.error());
    for (const auto* each : {&*alone, &*beside}) {
      errors += each->errors;
      if (first_error.empty())
        first_error = each->first_error;
    }
    if (round == 0)
      continue; // warms up
    alone_us.push_back(cost_us(*alone));
    beside_us.push_back(cost_us(*beside));
    ratios.push_back(beside_us.back() / alone_us.back());
  }
  auto ratio = percentile(ratios, 0.5);
  report_writer result{"waiting"};
  result.add("calls", static_cast<uint64_t>(how_much.calls * waiting_rounds))
      .add("errors", static_cast<uint64_t>(errors))
      .add("waiting", static_cast<uint64_t>(how_much.in_flight))
      .add("alone_cpu_us_per_call", percentile(alone_us, 0.5))
      .add("beside_cpu_us_per_call", percentile(beside_us, 0.5))
      .add("ratio", ratio)
      .add("least_ratio", std::ranges::min(ratios))
      .add("most_ratio", std::ranges::max(ratios))
      .add("peak_rss_kib", static_cast<uint64_t>(peak_rss_kib()));
  result.demand(errors == 0, std::to_string(errors) + " calls ended in an error");
  result.demand(ratio <= most_ratio, "a call beside those that wait costs " +
                                         std::to_string(ratio) +
                                         " times what it costs alone, not at most 1.2");
  return result.finish(first_error);
}

} // namespace chainmail::bench

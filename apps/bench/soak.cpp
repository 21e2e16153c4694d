// A constant rate for a long time: memory must not grow, and nothing may be left at the end.
#include "measure.hpp"
#include "paced_run.hpp"
#include "processes.hpp"
#include "scenarios.hpp"
#include "stack.hpp"
#include "trend.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <thread>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

/// The caches, pools and arenas of the first minute are not a leak.
constexpr auto settling_time = 60s;

std::string in_microseconds(caf::timespan time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(time).count()) + "us";
}

uint64_t open_sockets() {
  uint64_t result = 0;
  std::error_code failed;
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fd", failed}) {
    auto target = std::filesystem::read_symlink(each.path(), failed);
    if (!failed && target.string().starts_with("socket:"))
      ++result;
  }
  return result;
}

/// Calls a second with as many in flight as go.
caf::expected<double> best_rate(stack& with, const chain_actor& chain) {
  constexpr size_t in_flight = 100;
  double best = 0;
  for (size_t calls : {2'000UL, 20'000UL}) { // the first ones warm up
    stopwatch watch;
    auto outcomes = with.run(chain, std::vector<values>(calls, name_inputs()), in_flight);
    if (!outcomes)
      return std::move(outcomes.error());
    best = static_cast<double>(calls) / watch.wall_s();
  }
  return best;
}

/// Permits that are out, and callers that wait for one.
uint64_t permits_in_use(caf::scoped_actor& self, const rate_limiter_actor& limiter) {
  uint64_t result = 0;
  compat::request_within(5s, self.ptr(), limiter, status_atom_v)
      .receive(
          [&](const limiter_status& status) {
            for (const auto& key : status.keys)
              result += key.in_flight + key.waiting;
          },
          [](const caf::error&) {});
  return result;
}

/// Sockets that stay open after a while.
uint64_t sockets_left(uint64_t before) {
  stopwatch watch;
  auto now = open_sockets();
  for (; now > before && watch.wall_s() < 5; now = open_sockets())
    std::this_thread::sleep_for(20ms);
  return now - std::min(now, before);
}

void add_memory(report_writer& to, const std::vector<sample>& samples, double settled_after_s) {
  std::vector<sample> settled;
  std::ranges::copy_if(samples, std::back_inserter(settled),
      [&](const sample& each) { return each.at_s >= settled_after_s; });
  auto memory = fit(settled);
  auto noise = 3 * memory.scatter + memory.mean / 100;
  to.add("rss_mean_kib", memory.mean)
      .add("rss_slope_kib_per_min", 60 * memory.slope_per_s)
      .add("rss_slope_error_kib_per_min", 60 * memory.slope_error_per_s)
      .add("rss_scatter_kib", memory.scatter)
      .add("rss_growth_kib", memory.growth)
      .add("rss_noise_kib", noise);
  to.demand(
      memory.growth <= noise, "memory grew by " + std::to_string(memory.growth) +
                                  " KiB, which is more than scatter: " + std::to_string(noise));
  std::string series = "[";
  auto step = std::max<size_t>(samples.size() / 600, 1);
  for (size_t i = 0; i < samples.size(); i += step)
    series.append(i > 0 ? ",[" : "[")
        .append(std::to_string(samples[i].at_s))
        .append(",")
        .append(std::to_string(samples[i].value))
        .append("]");
  to.add_json("rss_kib", series + "]");
}

} // namespace

caf::expected<report> soak(caf::actor_system& system, const load& how_much) {
  std::optional<endpoint_process> simulated;
  auto config = how_much;
  if (!config.has_endpoint)
    config.llm.endpoint.base_url = simulated.emplace(in_microseconds(how_much.latency)).base_url();
  config.llm.limiter = spawn_rate_limiter(system);
  auto sockets_before = open_sockets();
  auto seconds = std::chrono::duration<double>{how_much.duration}.count();
  std::vector<sample> samples;
  pace plan;
  paced_figures found;
  {
    stack with{system, config, capacity_of({})};
    auto chain = spawn_llm_chain(system, with.llm, name_prompt);
    auto best = how_much.per_second > 0 ? 2 * how_much.per_second : best_rate(with, chain);
    if (!best)
      return std::move(best.error());
    plan.per_second = *best / 2;
    plan.calls = static_cast<uint64_t>(plan.per_second * seconds);
    stopwatch watch;
    found = run_at_pace(system, chain, plan, [&] {
      samples.push_back({watch.wall_s(), static_cast<double>(rss_kib())});
    });
  }
  caf::scoped_actor self{system};
  auto permits = permits_in_use(self, config.llm.limiter);
  auto sockets = sockets_left(sockets_before);
  auto result = paced_report("soak", plan, found);
  auto settling_s = std::chrono::duration<double>{settling_time}.count();
  add_memory(result, samples, std::min(settling_s, seconds / 3));
  result.add("permits_left", permits).add("sockets_left", sockets);
  result.demand(permits == 0, std::to_string(permits) + " permits are out");
  result.demand(sockets == 0, std::to_string(sockets) + " sockets are open");
  return result.finish(found.first_error);
}

} // namespace chainmail::bench

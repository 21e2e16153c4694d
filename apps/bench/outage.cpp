// An endpoint that is down for a while: it must not be asked more often, nor stay unused after.
#include "bad_days.hpp"
#include "scenarios.hpp"

#include <chainmail/chainmail.hpp>

#include <algorithm>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

constexpr double calls_per_second = 500;
constexpr double most_requests_per_call = 1.2;
constexpr double longest_recovery_s = 2;

/// The time is cut into pieces this long, each with the calls that started in it.
constexpr double piece_s = 0.1;
/// Of a piece's calls, answered right within this many seconds.
constexpr double well_share = 0.99;
constexpr double well_s = 1;

/// From `end_s` until the first piece that went well; negative if none did.
double recovery_after(double end_s, const std::vector<call_record>& calls) {
  struct piece {
    size_t calls = 0;
    size_t well = 0;
  };
  std::vector<piece> pieces;
  for (const auto& x : calls) {
    if (x.started_s < end_s)
      continue;
    auto index = static_cast<size_t>((x.started_s - end_s) / piece_s);
    pieces.resize(std::max(pieces.size(), index + 1));
    ++pieces[index].calls;
    pieces[index].well += x.is_right && x.took_s <= well_s ? 1 : 0;
  }
  for (size_t i = 0; i < pieces.size(); ++i)
    if (pieces[i].calls > 0 &&
        static_cast<double>(pieces[i].well) >= well_share * static_cast<double>(pieces[i].calls))
      return static_cast<double>(i) * piece_s;
  return -1;
}

} // namespace

caf::expected<report> outage(caf::actor_system& system, const load& how_much) {
  using seconds = std::chrono::duration<double>;
  auto outage_s = seconds{how_much.outage}.count();
  auto before_s = std::min(outage_s, 2.0);
  auto after_s = std::clamp(outage_s, 3.0, 5.0);
  simulator::options endpoint;
  endpoint.latency = 20ms;
  simulator::server server{endpoint};
  auto plan =
      numbered_calls(static_cast<size_t>((before_s + outage_s + after_s) * calls_per_second), 0);
  plan.per_second = calls_per_second;
  plan.timeout = 10s;
  call_run run{system, spawn_llm(system, spawn_http(system), config_for(server)), plan};
  auto in = [&run](double after) {
    return run.begin() + std::chrono::duration_cast<call_run::clock::duration>(seconds{after});
  };
  auto now_s = [&run] { return seconds{call_run::clock::now() - run.begin()}.count(); };
  run.wait_until(in(before_s));
  auto requests_before = server.snapshot().requests;
  auto begin_s = now_s();
  server.set_outage(true);
  run.wait_until(in(before_s + outage_s));
  server.set_outage(false);
  auto end_s = now_s();
  auto requests = server.snapshot().requests - requests_before;
  run.wait();
  const auto& calls = run.finish();

  uint64_t during = 0;
  uint64_t survived = 0;
  uint64_t failed_outside = 0;
  for (const auto& x : calls) {
    auto is_in_it = x.started_s >= begin_s && x.started_s < end_s;
    during += is_in_it ? 1 : 0;
    survived += is_in_it && x.is_right ? 1 : 0;
    auto is_outside = x.started_s >= end_s + longest_recovery_s ||
                      (x.code != errc::none && x.was_answered_by(begin_s));
    failed_outside += is_outside && !x.is_right ? 1 : 0;
  }
  auto per_call =
      static_cast<double>(requests) / static_cast<double>(std::max<uint64_t>(during, 1));
  auto recovery = recovery_after(end_s, calls);
  report_writer result{"outage"};
  add_totals(result, sum_up(calls), calls.size());
  result.add("outage_s", end_s - begin_s)
      .add("calls_in_outage", during)
      .add("survived", survived)
      .add("requests_in_outage", requests)
      .add("requests_per_call", per_call)
      .add("recovery_s", recovery)
      .add("failed_outside", failed_outside);
  result.demand(per_call <= most_requests_per_call,
      "the endpoint got " + digits(per_call) + " requests a call in its outage, not at most " +
          digits(most_requests_per_call));
  result.demand(recovery >= 0 && recovery <= longest_recovery_s,
      recovery < 0 ? "the calls did not recover from the outage"
                   : "the calls took " + digits(recovery) + " s to recover, not at most " +
                         digits(longest_recovery_s) + " s");
  result.demand(failed_outside == 0,
      std::to_string(failed_outside) + " calls failed that the outage is no excuse for");
  return result.finish({});
}

} // namespace chainmail::bench

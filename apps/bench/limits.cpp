// An endpoint with strict limits: use all that it allows, and hardly ever be told off.
#include "bad_days.hpp"
#include "scenarios.hpp"

#include <chainmail/chainmail.hpp>

#include <algorithm>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

constexpr double least_share = 0.95;
constexpr double most_refused = 0.01;

/// From 1 to about twice as many words as the mean, in no obvious order.
std::string prompt_of_some_words(size_t index, size_t mean) {
  constexpr size_t step = 7'919; // prime: every length comes as often
  auto words = 1 + index * step % (2 * mean);
  auto result = numbered_prompt(index);
  for (size_t i = 0; i < words; ++i)
    result += " crate";
  return result;
}

} // namespace

caf::expected<report> limits(caf::actor_system& system, const load& how_much) {
  simulator::options endpoint;
  endpoint.latency = 50ms;
  endpoint.requests_per_minute = how_much.requests_per_minute;
  endpoint.tokens_per_minute = how_much.tokens_per_minute;
  simulator::server server{endpoint};
  auto config = config_for(server);
  if (!how_much.learn) {
    config.limits.defaults.requests_per_minute = how_much.requests_per_minute;
    config.limits.defaults.tokens_per_minute = how_much.tokens_per_minute;
  }
  auto plan = numbered_calls(how_much.calls, how_much.in_flight);
  plan.timeout = default_timeout;
  plan.prompt = [mean = how_much.words](size_t i) { return prompt_of_some_words(i, mean); };
  plan.is_right = [](size_t i, const std::string& text) {
    return text.find('"' + numbered_prompt(i) + " crate") != std::string::npos;
  };
  auto llm = spawn_llm(system, spawn_http(system), config);
  if (how_much.learn) { // what goes out before the first answer cannot know of any limit
    caf::scoped_actor self{system};
    if (auto first = generate(self, llm, "Say hello."); !first)
      return std::move(first.error());
  }
  call_run run{system, llm, plan};
  run.wait();
  auto totals = sum_up(run.finish());
  auto seen = server.snapshot();
  auto minutes = totals.wall_s / 60;
  auto requests_held = static_cast<double>(totals.right) / minutes /
                       static_cast<double>(how_much.requests_per_minute);
  auto tokens_held = static_cast<double>(totals.tokens) / minutes /
                     static_cast<double>(how_much.tokens_per_minute);
  auto refused = static_cast<double>(seen.rate_limited) / static_cast<double>(seen.requests);
  report_writer result{"limits"};
  add_totals(result, totals, how_much.calls);
  result.add("limits", std::string_view{how_much.learn ? "learned" : "configured"})
      .add("requests", seen.requests)
      .add("rate_limited", seen.rate_limited)
      .add("rate_limited_share", refused)
      .add("tokens", static_cast<uint64_t>(totals.tokens))
      .add("requests_held", requests_held)
      .add("tokens_held", tokens_held);
  auto held = std::max(requests_held, tokens_held);
  result.demand(
      totals.all_errors() == 0, std::to_string(totals.all_errors()) + " calls ended in an error");
  result.demand(held >= least_share, "the calls used only " + digits(held) +
                                         " of what the endpoint allows, not " +
                                         digits(least_share));
  result.demand(refused < most_refused, digits(refused) +
                                            " of the requests were answered 429, not less than " +
                                            digits(most_refused));
  return result.finish(run.first_error());
}

caf::expected<report> two_429s(caf::actor_system& system, const load&) {
  simulator::options endpoint;
  endpoint.script = {
      simulator::fault::rate_limited, simulator::fault::rate_limited, simulator::fault::ok};
  endpoint.retry_after = 1s;
  simulator::server server{endpoint};
  call_run run{
      system, spawn_llm(system, spawn_http(system), config_for(server)), numbered_calls(1, 1)};
  run.wait();
  auto totals = sum_up(run.finish());
  constexpr double soonest = 2;
  constexpr double latest = 2.3;
  report_writer result{"two_429s"};
  add_totals(result, totals, 1);
  result.add("requests", server.snapshot().requests);
  result.demand(totals.right == 1, "the call ended in an error");
  result.demand(totals.wall_s >= soonest, "the call did not wait as long as the endpoint asked");
  result.demand(totals.wall_s <= latest,
      "the answer took " + digits(totals.wall_s) + " s, not at most " + digits(latest) + " s");
  return result.finish(run.first_error());
}

} // namespace chainmail::bench

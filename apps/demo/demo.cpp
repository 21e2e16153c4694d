// Running the calls, and reading what came of them.
#include "demo.hpp"

#include <chainmail/gather/calls.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <cstdio>
#include <future>

namespace chainmail::demo {

namespace {

struct listener_state {
  static constexpr const char* name = "demo.listener";

  listener_state(observer_actor::pointer, on_call_over f, std::promise<void> p)
    : listener(std::move(f)), all_heard(std::move(p)) {}

  observer_actor::behavior_type make_behavior() {
    return {[this](finished_atom, const gather_progress& progress, const outcome& call) {
      listener(call);
      if (progress.done == progress.total)
        all_heard.set_value();
    }};
  }

  on_call_over listener;
  std::promise<void> all_heard;
};

double to_seconds(caf::timespan x) {
  return std::chrono::duration<double>(x).count();
}

} // namespace

size_t run_result::errors() const {
  return static_cast<size_t>(
      std::count_if(outcomes.begin(), outcomes.end(), [](const outcome& x) { return !x.ok(); }));
}

caf::expected<run_result> run_calls(caf::actor_system& system, const chain_actor& chain,
    const values& inputs, size_t count, size_t at_once, on_call_over listener) {
  std::promise<void> all_heard;
  auto heard = all_heard.get_future();
  gather_options options;
  options.max_in_flight = static_cast<uint32_t>(at_once);
  options.observer =
      observer_actor{system.spawn<caf::stateful_actor<listener_state, observer_actor::impl>>(
          std::move(listener), std::move(all_heard))};
  caf::scoped_actor self{system};
  auto begin = std::chrono::steady_clock::now();
  auto outcomes =
      gather(self, chain, std::vector<values>(count, inputs), std::move(options), caf::infinite);
  run_result result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!outcomes)
    return std::move(outcomes.error());
  heard.wait();
  result.outcomes = std::move(*outcomes);
  return result;
}

std::string line_of(const outcome& call) {
  auto text = std::string{};
  if (!call.ok())
    text = describe(call.error);
  else if (auto* found = find_text(call.result, "text"))
    text = *found;
  for (auto& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = ' ';
  auto first = text.find_first_not_of(' ');
  if (first == std::string::npos)
    return "(an empty answer)";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

bar_group to_bars(std::string title, const run_result& run) {
  bar_group result{std::move(title), run.seconds, {}};
  for (const auto& call : run.outcomes)
    result.bars.push_back(
        {to_seconds(call.started), to_seconds(call.started + call.took), call.ok(), line_of(call)});
  return result;
}

std::string to_json(const run_result& concurrent, const std::optional<run_result>& serial) {
  auto calls = concurrent.outcomes.size() + (serial ? serial->outcomes.size() : 0);
  auto errors = concurrent.errors() + (serial ? serial->errors() : 0);
  char line[256];
  if (serial)
    std::snprintf(line, sizeof line,
        R"({"concurrent_s":%.4f,"serial_s":%.4f,"speedup":%.3f,"calls":%zu,"errors":%zu})",
        concurrent.seconds, serial->seconds, serial->seconds / concurrent.seconds, calls, errors);
  else
    std::snprintf(line, sizeof line,
        R"({"concurrent_s":%.4f,"serial_s":null,"speedup":null,"calls":%zu,"errors":%zu})",
        concurrent.seconds, calls, errors);
  return line;
}

} // namespace chainmail::demo

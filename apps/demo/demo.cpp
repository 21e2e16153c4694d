// Running the calls, and reading what came of them.
#include "demo.hpp"

#include <chainmail/gather/calls.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <cstdio>
#include <future>
#include <map>

namespace chainmail::demo {

namespace {

struct listener_state {
  static constexpr const char* name = "demo.listener";

  listener_state(observer_actor::pointer, on_call_over f, std::promise<void> p)
    : listener(std::move(f)), all_heard(std::move(p)) {}

  observer_actor::behavior_type make_behavior() {
    return {[this](finished_atom, const gather_progress& progress, const outcome& call) {
      listener(static_cast<size_t>(progress.index), call);
      if (progress.done == progress.total)
        all_heard.set_value();
    }};
  }

  on_call_over listener;
  std::promise<void> all_heard;
};

/// Tells the streams of a gather apart, and when each began to speak.
struct text_state {
  static constexpr const char* name = "demo.text";

  text_state(sink_actor::pointer, call_id gather, std::vector<double>* first, on_call_text f)
    : listener(std::move(f)), first_s(first) {
    for (size_t i = 0; i < first->size(); ++i)
      numbers.emplace(gather.child(i), i);
  }

  sink_actor::behavior_type make_behavior() {
    return {[this](chunk_atom, const call_id& id, uint32_t, const std::string& text) {
      auto number = numbers.find(id);
      if (number == numbers.end() || text.empty())
        return;
      if (auto& first = first_s->at(number->second); first < 0)
        first = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      listener(number->second, text);
    }};
  }

  on_call_text listener;
  std::vector<double>* first_s;
  std::map<call_id, size_t> numbers;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
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
    const values& inputs, size_t count, size_t at_once, on_call_over listener,
    on_call_text on_text) {
  std::promise<void> all_heard;
  auto heard = all_heard.get_future();
  gather_options options;
  options.max_in_flight = static_cast<uint32_t>(at_once);
  options.observer =
      observer_actor{system.spawn<caf::stateful_actor<listener_state, observer_actor::impl>>(
          std::move(listener), std::move(all_heard))};
  caf::scoped_actor self{system};
  auto context = make_context(self.ptr(), caf::infinite);
  run_result result;
  if (on_text) {
    result.first_s.assign(count, -1);
    options.sink = sink_actor{system.spawn<caf::stateful_actor<text_state, sink_actor::impl>>(
        context.id, &result.first_s, std::move(on_text))};
  }
  auto begin = std::chrono::steady_clock::now();
  caf::error failure;
  gather(self.ptr(), chain, std::vector<values>(count, inputs), std::move(options), context)
      .receive([&](std::vector<outcome>& outcomes) { result.outcomes = std::move(outcomes); },
          [&](caf::error& error) { failure = std::move(error); });
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (failure)
    return failure;
  heard.wait();
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
  for (size_t i = 0; i < run.outcomes.size(); ++i) {
    const auto& call = run.outcomes[i];
    result.bars.push_back({to_seconds(call.started), to_seconds(call.started + call.took),
        call.ok(), line_of(call), i < run.first_s.size() ? run.first_s[i] : -1});
  }
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

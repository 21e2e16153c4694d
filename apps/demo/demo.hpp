// The page's program: the same calls, once all at once and once one after another.
#pragma once

#include "bars.hpp"

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::demo {

/// The calls of one run and how they ended.
struct run_result {
  double seconds = 0;
  std::vector<outcome> outcomes;
  /// Of streams: when each call's first text was there, in seconds from the start; below 0: never.
  std::vector<double> first_s = {};

  [[nodiscard]] size_t errors() const;
};

/// Runs inside an actor as each call ends, in order of completion, with the call's number.
using on_call_over = std::function<void(size_t index, const outcome&)>;

/// Runs inside an actor with each piece of a call's text, in order.
using on_call_text = std::function<void(size_t index, std::string_view text)>;

/// Runs the chain `count` times on the same inputs with at most `at_once` calls outstanding. The
/// error is that of the whole, not of a call. With `on_text`, the calls are streams.
caf::expected<run_result> run_calls(caf::actor_system& system, const chain_actor& chain,
    const values& inputs, size_t count, size_t at_once, on_call_over listener,
    on_call_text on_text = {});

/// One line of harmless text: what the model wrote, or why it did not.
std::string line_of(const outcome& call);

bar_group to_bars(std::string title, const run_result& run);

/// {"concurrent_s","serial_s","speedup","calls","errors"}: calls and errors of both runs together;
/// without a serial run its time and the ratio are null.
std::string to_json(const run_result& concurrent, const std::optional<run_result>& serial);

} // namespace chainmail::demo

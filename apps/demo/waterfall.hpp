// The waterfall for a terminal: one line per call.
#pragma once

#include "bars.hpp"

#include <cstddef>
#include <string>
#include <terminal/terminal.hpp>
#include <vector>

namespace chainmail::demo {

using terminal::terminal_style;

/// One line per call under a time axis. Of a group with more than `most_rows` calls, the first half
/// and the last half of these are shown, and how many are between.
std::string draw_waterfall(
    const std::vector<bar_group>& groups, const terminal_style& style, size_t most_rows = 20);

} // namespace chainmail::demo

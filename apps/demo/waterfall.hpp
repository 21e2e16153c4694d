// The waterfall for a terminal: one line per call.
#pragma once

#include "bars.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace chainmail::demo {

struct terminal_style {
  size_t columns = 80;
  bool color = false;
  /// Bars of block characters; otherwise of '='.
  bool unicode = true;
};

/// The style of standard output: its width, and color only if it is a terminal and NO_COLOR is
/// unset.
terminal_style detect_style();

/// Escape sequences where the style has color, nothing otherwise.
std::string bold(const std::string& text, const terminal_style& style);
std::string red(const std::string& text, const terminal_style& style);
std::string dim(const std::string& text, const terminal_style& style);

/// One line per call under a time axis. Of a group with more than `most_rows` calls, the first half
/// and the last half of these are shown, and how many are between.
std::string draw_waterfall(
    const std::vector<bar_group>& groups, const terminal_style& style, size_t most_rows = 20);

} // namespace chainmail::demo

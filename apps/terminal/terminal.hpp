// What a terminal can show, and how: colors, bars and lines that are written over.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace chainmail::terminal {

struct terminal_style {
  size_t columns = 80;
  bool is_terminal = false;
  bool color = false;
  /// Bars of block characters; otherwise of '='.
  bool unicode = true;
  size_t rows = 24;
  /// The cursor can be moved back to lines that were written.
  bool can_go_back = false;
};

/// The style of an open file, such as STDOUT_FILENO: its width, and color only if it is a terminal
/// and NO_COLOR is unset.
terminal_style detect_style(int file);

/// Escape sequences where the style has color, nothing otherwise.
std::string bold(const std::string& text, const terminal_style& style);
std::string red(const std::string& text, const terminal_style& style);
std::string cyan(const std::string& text, const terminal_style& style);
std::string dim(const std::string& text, const terminal_style& style);

std::string repeat(std::string_view what, size_t times);

/// A bar of `width` columns, filled by `share` (0 to 1) of them.
std::string draw_progress(double share, size_t width, const terminal_style& style);

} // namespace chainmail::terminal

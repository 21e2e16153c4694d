// Streams on a terminal: one line a call, which grows as the text of its call comes.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <terminal/terminal.hpp>
#include <thread>
#include <vector>

namespace chainmail::demo {

/// Seconds from the start of the run; below 0: not yet.
struct live_line {
  std::string text;
  double first_s = -1;
  double end_s = -1;
  bool ok = true;
};

/// One line each, none wider than the terminal, ended by line feeds. Of a text that does not fit, the
/// newest part is shown while it grows, and its beginning when it is complete.
std::string draw_live(
    const std::vector<live_line>& lines, double now_s, const terminal::terminal_style& style);

/// Draws its lines over and over, twenty times a second, from construction to destruction. Callable
/// from any thread.
class live_board {
public:
  live_board(size_t count, const terminal::terminal_style& style);
  ~live_board();

  live_board(const live_board&) = delete;
  live_board& operator=(const live_board&) = delete;

  void add(size_t index, std::string_view text);
  void finish(size_t index, std::string text, bool ok);

private:
  void draw();
  double now() const;

  const terminal::terminal_style style_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::vector<live_line> lines_;
  bool was_drawn_ = false;
  std::jthread drawer_;
};

} // namespace chainmail::demo

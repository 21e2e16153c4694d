// Drawing the lines, and the thread that does it.
#include "live_lines.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <terminal/fitted_text.hpp>

namespace chainmail::demo {

using namespace terminal;

namespace {

constexpr auto frame = std::chrono::milliseconds{50};

std::string mark_of(const live_line& line, double now_s, const terminal_style& style) {
  static constexpr std::array<const char*, 10> dots{
      "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
  static constexpr std::array<const char*, 4> sticks{"|", "/", "-", "\\"};
  if (line.end_s >= 0 && !line.ok)
    return red(style.unicode ? "✗" : "x", style);
  if (line.end_s >= 0)
    return cyan(style.unicode ? "✓" : "+", style);
  auto turn = static_cast<size_t>(std::max(0.0, now_s) * 10);
  return cyan(style.unicode ? dots.at(turn % dots.size()) : sticks.at(turn % sticks.size()), style);
}

} // namespace

std::string draw_live(
    const std::vector<live_line>& lines, double now_s, const terminal_style& style) {
  auto digits = std::to_string(lines.size()).size();
  std::string result;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto& line = lines[i];
    char head[64];
    auto head_size = std::snprintf(head, sizeof head, " %*zu %6.2f s  ", static_cast<int>(digits),
        i + 1, line.end_s >= 0 ? line.end_s : now_s);
    // The last column stays free: some terminals wrap as soon as it is written.
    auto used = static_cast<size_t>(head_size) + 2;
    auto room = style.columns > used ? style.columns - used : 0;
    std::string text;
    if (line.end_s < 0 && line.text.empty())
      text = dim(fit_head(style.unicode ? "…" : "...", room, style.unicode), style);
    else if (line.end_s < 0)
      text = fit_tail(harmless(line.text), room, style.unicode);
    else
      text = fit_head(harmless(line.text), room, style.unicode);
    result += mark_of(line, now_s, style) + head +
              (line.end_s >= 0 && !line.ok ? red(text, style) : text) + "\n";
  }
  return result;
}

live_board::live_board(size_t count, const terminal_style& style)
  : style_(style), lines_(count), drawer_([this](const std::stop_token& stop) {
      std::condition_variable_any wake;
      std::mutex idle;
      std::unique_lock lock{idle};
      do
        draw();
      while (!wake.wait_for(lock, stop, frame, [&stop] { return stop.stop_requested(); }));
    }) {
}

live_board::~live_board() {
  drawer_.request_stop();
  drawer_.join();
  draw();
}

void live_board::add(size_t index, std::string_view text) {
  std::lock_guard guard{mutex_};
  auto& line = lines_.at(index);
  if (line.first_s < 0)
    line.first_s = now();
  line.text += text;
  if (auto start = line.text.find_first_not_of(" \r\n\t"); start != 0)
    line.text.erase(0, start); // completions begin with empty lines
}

void live_board::finish(size_t index, std::string text, bool ok) {
  std::lock_guard guard{mutex_};
  auto& line = lines_.at(index);
  line.text = std::move(text);
  line.end_s = now();
  line.ok = ok;
}

void live_board::draw() {
  std::string text;
  {
    std::lock_guard guard{mutex_};
    if (was_drawn_)
      text = "\033[" + std::to_string(lines_.size()) + "A";
    was_drawn_ = true;
    for (auto rest = draw_live(lines_, now(), style_); !rest.empty();) {
      auto end = rest.find('\n');
      text += "\r\033[K" + rest.substr(0, end + 1);
      rest.erase(0, end + 1);
    }
  }
  std::cout << text << std::flush;
}

double live_board::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

} // namespace chainmail::demo

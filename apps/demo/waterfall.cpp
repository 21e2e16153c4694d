// Drawing with characters.
#include "waterfall.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace chainmail::demo {

using terminal::bold, terminal::cyan, terminal::dim, terminal::red, terminal::repeat;

namespace {

/// The columns that the parts of a line have.
struct layout {
  size_t index;
  size_t track;
  size_t label;
};

layout lay_out(const std::vector<bar_group>& groups, const terminal_style& style) {
  size_t most = 1;
  size_t longest = 0;
  for (const auto& group : groups) {
    most = std::max(most, group.bars.size());
    for (const auto& b : group.bars)
      longest = std::max(longest, b.label.size());
  }
  auto index = std::to_string(most).size() + 2;
  auto room = std::max<size_t>(style.columns, 50) - index - 12;
  auto label = std::min(longest, std::max<size_t>(room / 3, 20));
  return {index, room - label, label};
}

std::string draw_bar(const bar& b, double end_s, size_t track, const terminal_style& style) {
  auto column = [&](double s) {
    return static_cast<size_t>(std::lround(s / end_s * static_cast<double>(track)));
  };
  auto from = std::min(column(b.start_s), track - 1);
  auto to = std::clamp(column(b.end_s), from + 1, track);
  auto fill = repeat(style.unicode ? (b.ok ? "█" : "░") : (b.ok ? "=" : "x"), to - from);
  return repeat(" ", from) + (b.ok ? cyan(fill, style) : red(fill, style)) +
         repeat(" ", track - to);
}

std::string draw_axis(double end_s, const layout& l, const terminal_style& style) {
  auto distance = tick_distance(end_s);
  std::string line(l.index + l.track + 12, ' ');
  for (double at = 0; at <= end_s; at += distance) {
    auto column = static_cast<size_t>(std::lround(at / end_s * static_cast<double>(l.track)));
    auto tick = show_tick(at, end_s);
    if (l.index + column + tick.size() <= line.size())
      line.replace(l.index + column, tick.size(), tick);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return dim(line, style) + "\n";
}

std::string draw_row(
    size_t index, const bar& b, double end_s, const layout& l, const terminal_style& style) {
  auto number = std::to_string(index + 1);
  auto took = show_seconds(b.end_s - b.start_s);
  auto label = shorten(b.label, l.label);
  return repeat(" ", l.index - 1 - number.size()) + number + " " +
         draw_bar(b, end_s, l.track, style) + repeat(" ", took.size() < 9 ? 9 - took.size() : 1) +
         took + "  " + (b.ok ? label : red(label, style)) + "\n";
}

} // namespace

std::string draw_waterfall(
    const std::vector<bar_group>& groups, const terminal_style& style, size_t most_rows) {
  auto end_s = axis_end(groups);
  auto l = lay_out(groups, style);
  auto result = draw_axis(end_s, l, style);
  for (const auto& group : groups) {
    result += bold(group.title, style) + "\n";
    auto count = group.bars.size();
    auto half = count > most_rows ? most_rows / 2 : count;
    for (size_t i = 0; i < count; ++i) {
      if (i == half && half < count) {
        auto hidden = count - 2 * half;
        result +=
            dim(repeat(" ", l.index) + "... " + std::to_string(hidden) + " more calls ...", style) +
            "\n";
        i += hidden;
      }
      result += draw_row(i, group.bars[i], end_s, l, style);
    }
  }
  return result;
}

} // namespace chainmail::demo

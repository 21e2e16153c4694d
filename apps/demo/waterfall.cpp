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
  bool has_streams; ///< which have a column for the time to the first text
};

layout lay_out(const std::vector<bar_group>& groups, const terminal_style& style) {
  size_t most = 1;
  size_t longest = 0;
  bool has_streams = false;
  for (const auto& group : groups) {
    most = std::max(most, group.bars.size());
    for (const auto& b : group.bars) {
      longest = std::max(longest, b.label.size());
      has_streams = has_streams || b.first_s >= 0;
    }
  }
  auto index = std::to_string(most).size() + 2;
  auto room = std::max<size_t>(style.columns, 50) - index - (has_streams ? 27 : 12);
  auto label = std::min(longest, std::max<size_t>(room / 3, has_streams ? 12 : 20));
  return {index, room - label, label, has_streams};
}

std::string draw_bar(const bar& b, double end_s, size_t track, const terminal_style& style) {
  auto column = [&](double s) {
    return static_cast<size_t>(std::lround(s / end_s * static_cast<double>(track)));
  };
  auto from = std::min(column(b.start_s), track - 1);
  auto to = std::clamp(column(b.end_s), from + 1, track);
  auto fill = repeat(style.unicode ? (b.ok ? "█" : "░") : (b.ok ? "=" : "x"), to - from);
  if (b.ok && b.first_s >= 0) { // what passed before the first text is lighter
    auto first = std::clamp(column(b.first_s), from, to);
    fill = dim(repeat(style.unicode ? "░" : "-", first - from), style) +
           cyan(repeat(style.unicode ? "█" : "=", to - first), style);
    return repeat(" ", from) + fill + repeat(" ", track - to);
  }
  return repeat(" ", from) + (b.ok ? cyan(fill, style) : red(fill, style)) +
         repeat(" ", track - to);
}

/// After how long the first text of a stream was there.
std::string draw_first(const bar& b, const layout& l) {
  constexpr size_t columns = 15;
  if (!l.has_streams)
    return {};
  auto text = b.first_s < 0 ? "" : "  first " + show_seconds(b.first_s - b.start_s);
  return text + repeat(" ", text.size() < columns ? columns - text.size() : 0);
}

std::string draw_axis(double end_s, const layout& l, const terminal_style& style) {
  auto distance = tick_distance(end_s);
  std::string line(l.index + l.track + 12, ' ');
  size_t free = 0; // from where on nothing is written yet
  for (double at = 0; at <= end_s; at += distance) {
    auto column = static_cast<size_t>(std::lround(at / end_s * static_cast<double>(l.track)));
    auto tick = show_tick(at, end_s);
    auto begin = l.index + column;
    if (begin >= free && begin + tick.size() <= line.size()) {
      line.replace(begin, tick.size(), tick);
      free = begin + tick.size() + 1;
    }
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
         took + draw_first(b, l) + "  " + (b.ok ? label : red(label, style)) + "\n";
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

// What the pictures show: groups of calls as bars on one time axis.
#pragma once

#include <string>
#include <vector>

namespace chainmail::demo {

/// One call, in seconds from the start of its group.
struct bar {
  double start_s = 0;
  double end_s = 0;
  bool ok = true;
  /// One line: the answer, or why there is none.
  std::string label;
  /// Of a stream: when its first text was there; below 0: never, or it was none.
  double first_s = -1;
};

/// The calls of one run.
struct bar_group {
  std::string title;
  double seconds = 0;
  std::vector<bar> bars;
};

/// The end of the time axis that all groups share. Never 0.
double axis_end(const std::vector<bar_group>& groups);

/// A round distance between ticks, such that the axis has four to ten of them.
double tick_distance(double end_s);

/// A tick's text, in the unit that suits the axis.
std::string show_tick(double at_s, double end_s);

/// "1.28 s"; milliseconds where seconds would hide everything.
std::string show_seconds(double seconds);

/// At most `most` characters (not bytes), with "..." where something was cut.
std::string shorten(const std::string& text, size_t most);

} // namespace chainmail::demo

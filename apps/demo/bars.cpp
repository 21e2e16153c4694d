// The time axis, and short texts.
#include "bars.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace chainmail::demo {

double axis_end(const std::vector<bar_group>& groups) {
  double end = 1e-3;
  for (const auto& group : groups)
    for (const auto& b : group.bars)
      end = std::max(end, b.end_s);
  return end;
}

double tick_distance(double end_s) {
  auto power = std::pow(10.0, std::floor(std::log10(end_s)));
  for (auto factor : {0.1, 0.2, 0.5, 1.0, 2.0})
    if (end_s / (factor * power) <= 8)
      return factor * power;
  return power;
}

std::string show_tick(double at_s, double end_s) {
  char text[32];
  auto milliseconds = end_s < 0.5;
  std::snprintf(text, sizeof text, milliseconds ? "%g ms" : "%g s",
      std::round(at_s * 1e6) / (milliseconds ? 1e3 : 1e6));
  return text;
}

std::string show_seconds(double seconds) {
  char text[32];
  if (seconds < 0.1)
    std::snprintf(text, sizeof text, "%.1f ms", seconds * 1e3);
  else
    std::snprintf(text, sizeof text, "%.2f s", seconds);
  return text;
}

std::string shorten(const std::string& text, size_t most) {
  auto starts_character = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  auto length = static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_character));
  if (length <= most)
    return text;
  auto keep = most > 3 ? most - 3 : 0;
  size_t end = 0;
  for (size_t characters = 0; end < text.size(); ++end)
    if (starts_character(text[end]) && characters++ == keep)
      break;
  return text.substr(0, end) + "...";
}

} // namespace chainmail::demo

// Plots as inline SVG, colored by the page's style sheet.
#pragma once

#include <string>
#include <vector>

namespace chainmail::bench {

struct point {
  double x = 0;
  double y = 0;
  /// The spread of y; equal to it when there is none.
  double low = 0;
  double high = 0;
};

struct series {
  std::string name;
  /// The page has a color and the plot a mark for each, from 0 to 4.
  unsigned style = 0;
  std::vector<point> points = {};
};

struct axis {
  std::string label;
  bool is_logarithmic = false;
  /// Linear axes begin at 0, unless this is set: then near the least value.
  bool is_cropped = false;
};

/// Where the ticks of an axis are, in order, and its ends.
struct scale {
  double begin = 0;
  double end = 1;
  bool is_logarithmic = false;
  std::vector<double> ticks = {};

  /// From 0 to 1 between the ends.
  [[nodiscard]] double place_of(double value) const;
};

/// Round ticks around all values. Logarithmic scales leave values out that are not positive.
scale scale_for(const axis& of, const std::vector<double>& values);

/// "10k", "2.5", "0.02".
std::string short_number(double number);

/// Three digits, and all of those before the point: "0.0231", "23.4", "512,300".
std::string figure_text(double number);

/// Text for HTML and SVG.
std::string escaped(const std::string& text);

/// Empty series are left out; nothing of nothing.
std::string draw_plot(const axis& x, const axis& y, const std::vector<series>& lines);

} // namespace chainmail::bench

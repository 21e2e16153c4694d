// Scales, marks and lines.
#include "plots.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace chainmail::bench {

namespace {

constexpr double plot_width = 640;
constexpr double plot_height = 360;
constexpr double plot_left = 62;
constexpr double plot_right = plot_width - 18;
constexpr double plot_top = 34;
constexpr double plot_bottom = plot_height - 46;

std::string px(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", number);
  return text.data();
}

std::vector<double> ticks_between(double begin, double end, const std::array<double, 3>& steps) {
  std::vector<double> result;
  for (auto decade = std::pow(10, std::floor(std::log10(begin))); decade <= end; decade *= 10)
    for (auto step : steps)
      if (auto tick = decade * step; step > 0 && tick >= begin * 0.999 && tick <= end * 1.001)
        result.push_back(tick);
  return result;
}

/// Ends at round numbers; ticks at the decades, and between them where there are few.
scale logarithmic(double least, double most) {
  scale result;
  result.is_logarithmic = true;
  auto round_down = [](double x) {
    auto decade = std::pow(10, std::floor(std::log10(x)));
    auto lead = x / decade;
    return decade * (lead >= 4.999 ? 5 : lead >= 1.999 ? 2 : 1);
  };
  auto round_up = [](double x) {
    auto decade = std::pow(10, std::floor(std::log10(x)));
    auto lead = x / decade;
    return decade * (lead <= 1.001 ? 1 : lead <= 2.001 ? 2 : lead <= 5.001 ? 5 : 10);
  };
  result.begin = round_down(least);
  result.end = round_up(most);
  if (result.begin >= result.end)
    result.end = result.begin * 10;
  auto decades = std::log10(result.end / result.begin);
  result.ticks = ticks_between(result.begin, result.end,
      decades > 2.5 ? std::array<double, 3>{1, 0, 0} : std::array<double, 3>{1, 2, 5});
  return result;
}

scale linear(double least, double most) {
  if (most <= least)
    most = least + 1;
  constexpr double about = 5;
  auto rough = (most - least) / about;
  auto decade = std::pow(10, std::floor(std::log10(rough)));
  auto lead = rough / decade;
  auto step = decade * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
  scale result;
  result.begin = std::floor(least / step) * step;
  result.end = std::ceil(most / step) * step;
  for (auto i = 0; result.begin + i * step <= result.end + step / 2; ++i)
    result.ticks.push_back(result.begin + i * step);
  return result;
}

std::string text_at(
    double x, double y, const char* anchor, const char* kind, const std::string& text) {
  return "<text class=\"" + std::string{kind} + "\" x=\"" + px(x) + "\" y=\"" + px(y) +
         "\" text-anchor=\"" + anchor + "\">" + escaped(text) + "</text>";
}

std::string line(const char* kind, double x1, double y1, double x2, double y2) {
  return "<line class=\"" + std::string{kind} + "\" x1=\"" + px(x1) + "\" y1=\"" + px(y1) +
         "\" x2=\"" + px(x2) + "\" y2=\"" + px(y2) + "\"/>";
}

/// A mark of its own for each style, so that colors are not needed to tell them apart.
std::string mark(unsigned style, double x, double y) {
  constexpr double r = 4;
  auto polygon = [&](std::initializer_list<std::pair<double, double>> corners) {
    std::string result = "<polygon class=\"mark\" points=\"";
    for (auto [dx, dy] : corners)
      result += px(x + dx * r) + "," + px(y + dy * r) + " ";
    return result + "\"/>";
  };
  switch (style % 5) {
  case 1:
    return polygon({{-1, -1}, {1, -1}, {1, 1}, {-1, 1}});
  case 2:
    return polygon({{0, -1.3}, {1.2, 1}, {-1.2, 1}});
  case 3:
    return polygon({{0, -1.4}, {1.4, 0}, {0, 1.4}, {-1.4, 0}});
  case 4:
    return polygon({{0, 1.3}, {1.2, -1}, {-1.2, -1}});
  default:
    return "<circle class=\"mark\" cx=\"" + px(x) + "\" cy=\"" + px(y) + "\" r=\"" + px(r) + "\"/>";
  }
}

struct canvas {
  scale x;
  scale y;

  [[nodiscard]] double at_x(double value) const {
    return plot_left + x.place_of(value) * (plot_right - plot_left);
  }
  [[nodiscard]] double at_y(double value) const {
    return plot_bottom - y.place_of(value) * (plot_bottom - plot_top);
  }
  [[nodiscard]] bool shows(const point& p) const {
    return (!x.is_logarithmic || p.x > 0) && (!y.is_logarithmic || p.y > 0);
  }
};

std::string draw_axes(const canvas& on, const axis& x, const axis& y) {
  std::string result;
  for (auto tick : on.y.ticks) {
    result += line("grid", plot_left, on.at_y(tick), plot_right, on.at_y(tick));
    result += text_at(plot_left - 8, on.at_y(tick) + 4, "end", "tick", short_number(tick));
  }
  for (auto tick : on.x.ticks) {
    result += line("grid", on.at_x(tick), plot_bottom, on.at_x(tick), plot_bottom + 5);
    result += text_at(on.at_x(tick), plot_bottom + 18, "middle", "tick", short_number(tick));
  }
  result += line("axis", plot_left, plot_bottom, plot_right, plot_bottom);
  result += text_at((plot_left + plot_right) / 2, plot_height - 8, "middle", "label", x.label);
  // Above the axis, so that nobody has to turn the head.
  result += text_at(4, 14, "start", "label", y.label);
  return result;
}

std::string draw_series(const canvas& on, const series& what, bool has_marks) {
  auto result = "<g class=\"s" + std::to_string(what.style % 5) + "\">";
  std::string path;
  std::string marks;
  for (const auto& p : what.points) {
    if (!on.shows(p))
      continue;
    auto x = on.at_x(p.x);
    auto y = on.at_y(p.y);
    path += (path.empty() ? "M" : "L") + px(x) + " " + px(y);
    if (p.low < p.high && (!on.y.is_logarithmic || p.low > 0))
      marks += line("range", x, on.at_y(p.low), x, on.at_y(p.high));
    if (has_marks)
      marks += mark(what.style, x, y);
  }
  return result + "<path class=\"line\" d=\"" + path + "\"/>" + marks + "</g>";
}

/// Right above the plot, in one row, with as much room as each name needs.
std::string draw_legend(const std::vector<series>& lines) {
  constexpr double a_letter = 7.2;
  constexpr double a_mark = 30;
  double needed = 0;
  for (const auto& each : lines)
    needed += a_mark + a_letter * static_cast<double>(each.name.size());
  auto x = plot_right - needed + 12;
  std::string result;
  for (const auto& each : lines) {
    result += "<g class=\"s" + std::to_string(each.style % 5) + "\">" + mark(each.style, x, 10) +
              text_at(x + 9, 14, "start", "name", each.name) + "</g>";
    x += a_mark + a_letter * static_cast<double>(each.name.size());
  }
  return result;
}

} // namespace

double scale::place_of(double value) const {
  if (is_logarithmic)
    return std::log(value / begin) / std::log(end / begin);
  return (value - begin) / (end - begin);
}

scale scale_for(const axis& of, const std::vector<double>& values) {
  std::vector<double> kept;
  std::ranges::copy_if(values, std::back_inserter(kept),
      [&](double x) { return std::isfinite(x) && (!of.is_logarithmic || x > 0); });
  if (kept.empty())
    return linear(0, 1);
  auto [least, most] = std::ranges::minmax(kept);
  if (of.is_logarithmic)
    return logarithmic(least, most);
  return linear(of.is_cropped ? least : std::min(least, 0.0), most);
}

std::string short_number(double number) {
  auto size = std::abs(number);
  auto [divisor, unit] = size >= 1e6   ? std::pair{1e6, "M"}
                         : size >= 1e3 ? std::pair{1e3, "k"}
                                       : std::pair{1.0, ""};
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), size / divisor >= 1'000 ? "%.0f%s" : "%.3g%s",
      number / divisor, unit);
  return text.data();
}

std::string figure_text(double number) {
  std::array<char, 40> text{};
  auto size = std::abs(number);
  if (size >= 1'000) {
    std::snprintf(text.data(), text.size(), "%.0f", number);
    std::string result = text.data();
    auto first_digit = number < 0 ? 1U : 0U;
    for (auto at = result.size(); at > first_digit + 3;)
      result.insert(at -= 3, ",");
    return result;
  }
  std::snprintf(text.data(), text.size(),
      size >= 100  ? "%.0f"
      : size >= 10 ? "%.1f"
                   : "%.3g",
      number);
  return text.data();
}

std::string escaped(const std::string& text) {
  std::string result;
  for (auto c : text) {
    switch (c) {
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '&':
      result += "&amp;";
      break;
    case '"':
      result += "&quot;";
      break;
    default:
      result += c;
    }
  }
  return result;
}

std::string draw_plot(const axis& x, const axis& y, const std::vector<series>& lines) {
  std::vector<series> shown;
  std::vector<double> xs;
  std::vector<double> ys;
  for (const auto& each : lines) {
    if (each.points.empty())
      continue;
    shown.push_back(each);
    for (const auto& p : each.points) {
      xs.push_back(p.x);
      ys.insert(ys.end(), {p.y, std::min(p.low, p.y) > 0 ? p.low : p.y, std::max(p.high, p.y)});
    }
  }
  if (shown.empty())
    return {};
  canvas on{scale_for(x, xs), scale_for(y, ys)};
  auto result = "<svg viewBox=\"0 0 " + px(plot_width) + " " + px(plot_height) +
                "\" role=\"img\" aria-label=\"" + escaped(y.label + " against " + x.label) + "\">" +
                draw_axes(on, x, y);
  constexpr size_t most_marks = 40;
  for (const auto& each : shown)
    result += draw_series(on, each, each.points.size() <= most_marks);
  return result + draw_legend(shown) + "</svg>";
}

} // namespace chainmail::bench

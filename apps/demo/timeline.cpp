// Drawing with SVG.
#include "timeline.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace chainmail::demo {

namespace {

constexpr double width = 960;
constexpr double margin = 32;
constexpr double track_left = 84;
constexpr double track_width = 560;
constexpr double label_left = track_left + track_width + 16;
constexpr double header_height = 108;
constexpr double group_height = 40;
constexpr double footer_height = 40;

constexpr auto timeline_style = R"(<style>
  .page { fill: #ffffff } .ink { fill: #1c2430 } .soft { fill: #5c6b7d }
  .grid { stroke: #e3e8ee; stroke-width: 1 } .call { fill: #2a7de1 } .failed { fill: #d64545 }
  .wait { fill: #a9cbf5 }
  .lane { fill: #f4f6f9 }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .title { font-size: 20px; font-weight: 650 } .group { font-size: 14px; font-weight: 650 }
  .number { text-anchor: end; font-variant-numeric: tabular-nums } .tick { text-anchor: middle }
  @media (prefers-color-scheme: dark) {
    .page { fill: #12171e } .ink { fill: #e8edf3 } .soft { fill: #93a1b1 }
    .grid { stroke: #263140 } .call { fill: #5aa2f5 } .failed { fill: #f07a7a } .wait { fill: #2f527f } .lane { fill: #1a212b }
  }
</style>
)";

/// Text for XML. Characters that XML cannot hold become spaces.
std::string escaped(const std::string& text) {
  std::string result;
  for (auto c : text) {
    switch (c) {
    case '&':
      result += "&amp;";
      break;
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '"':
      result += "&quot;";
      break;
    default:
      result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", x);
  return text;
}

std::string text_at(double x, double y, const char* classes, const std::string& what) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" class=\"" + classes + "\">" +
         escaped(what) + "</text>\n";
}

std::string rect_at(double x, double y, double w, double h, double radius, const char* classes,
    const std::string& tooltip = {}) {
  auto open = "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(w) +
              "\" height=\"" + number(h) + "\" rx=\"" + number(radius) + "\" class=\"" + classes +
              "\"";
  return tooltip.empty() ? open + "/>\n"
                         : open + "><title>" + escaped(tooltip) + "</title></rect>\n";
}

/// Rows get lower when there are many, and lose their texts when these would overlap.
double row_height(const std::vector<bar_group>& groups) {
  size_t rows = 0;
  for (const auto& group : groups)
    rows += group.bars.size();
  return std::clamp(1400.0 / static_cast<double>(std::max<size_t>(rows, 1)), 2.0, 28.0);
}

double height_of(const std::vector<bar_group>& groups) {
  auto result = header_height + footer_height;
  for (const auto& group : groups)
    result += group_height + static_cast<double>(group.bars.size()) * row_height(groups);
  return result;
}

std::string draw_axis(double end_s, double bottom) {
  std::string result;
  auto distance = tick_distance(end_s);
  for (double at = 0; at <= end_s * 1.0001; at += distance) {
    auto x = track_left + at / end_s * track_width;
    result += "<line x1=\"" + number(x) + "\" x2=\"" + number(x) + "\" y1=\"" +
              number(header_height - 8) + "\" y2=\"" + number(bottom) + "\" class=\"grid\"/>\n";
    result += text_at(x, header_height - 16, "soft tick", show_tick(at, end_s));
  }
  return result;
}

std::string draw_group(const bar_group& group, double end_s, double row, double& y) {
  auto result = text_at(margin, y + 26, "ink group", group.title);
  y += group_height;
  auto scale = track_width / end_s;
  for (size_t i = 0; i < group.bars.size(); ++i, y += row) {
    const auto& b = group.bars[i];
    auto thick = row > 6 ? row - 6 : row * 0.8;
    auto top = y + (row - thick) / 2;
    auto took = show_seconds(b.end_s - b.start_s);
    result += rect_at(track_left, top, track_width, thick, 4, "lane");
    result +=
        rect_at(track_left + b.start_s * scale, top, std::max((b.end_s - b.start_s) * scale, 2.0),
            thick, std::min(4.0, thick / 2), b.ok ? "call" : "failed",
            "call " + std::to_string(i + 1) + ": " + show_seconds(b.start_s) + " to " +
                show_seconds(b.end_s) + " (" + took + "), " + b.label);
    if (b.ok && b.first_s > b.start_s)
      result += rect_at(track_left + b.start_s * scale, top,
          std::max((b.first_s - b.start_s) * scale, 2.0), thick, std::min(4.0, thick / 2), "wait",
          "call " + std::to_string(i + 1) + ": first text after " +
              show_seconds(b.first_s - b.start_s));
    if (row < 14)
      continue;
    auto baseline = y + row / 2 + 4.5;
    result += text_at(track_left - 12, baseline, "soft number", std::to_string(i + 1));
    result += text_at(label_left, baseline, b.ok ? "ink" : "failed",
        took + "  " + shorten(b.label, b.ok ? 30 : 32));
  }
  return result;
}

} // namespace

std::string draw_svg(
    const std::string& title, const std::string& subtitle, const std::vector<bar_group>& groups) {
  auto height = height_of(groups);
  auto end_s = axis_end(groups);
  auto row = row_height(groups);
  auto result = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " +
                number(height) + "\" width=\"" + number(width) + "\" height=\"" + number(height) +
                "\" role=\"img\">\n<title>" + escaped(title) + "</title>\n" + timeline_style;
  result += rect_at(0, 0, width, height, 0, "page");
  result += text_at(margin, 40, "ink title", title);
  result += text_at(margin, 62, "soft", subtitle);
  result += draw_axis(end_s, height - footer_height);
  auto y = header_height - 4;
  for (const auto& group : groups)
    result += draw_group(group, end_s, row, y);
  return result + "</svg>\n";
}

std::string draw_html(
    const std::string& title, const std::string& subtitle, const std::vector<bar_group>& groups) {
  return "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" +
         escaped(title) +
         "</title>\n<style>body { margin: 0; display: grid; place-items: center; min-height: "
         "100vh; background: #f4f6f9 } svg { max-width: 100%; height: auto } @media "
         "(prefers-color-scheme: dark) { body { background: #0c1015 } "
         "}</style>\n</head>\n<body>\n" +
         draw_svg(title, subtitle, groups) + "</body>\n</html>\n";
}

} // namespace chainmail::demo

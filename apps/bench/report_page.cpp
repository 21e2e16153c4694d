// Style, table and plots of the report.
#include "report_page.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace chainmail::bench {

namespace {

constexpr auto page_style = R"(
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --faint: #e3e7ec; --paper: #ffffff; --card: #f6f8fa;
  --good: #137a3f; --bad: #b42318; --s0: #2457d6; --s1: #c2570c; --s2: #0f8a5f; --s3: #8b3fc7; --s4: #5b6675; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --faint: #2c3440; --paper: #11161d;
  --card: #191f28; --good: #4cc38a; --bad: #ff7b6b; --s0: #7aa2ff; --s1: #ff9d57; --s2: #4fd1a1; --s3: #c89bff;
  --s4: #9aa5b4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 36px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 12px; }
p { margin: 6px 0; max-width: 75ch; }
.soft, .unmeasured, .machine dt { color: var(--soft); }
.unmeasured { white-space: nowrap; }
.tally { display: flex; gap: 28px; margin: 18px 0 0; flex-wrap: wrap; }
.tally b { font-size: 26px; display: block; line-height: 1.1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 10px; vertical-align: top; border-bottom: 1px solid var(--faint); }
th { font-weight: 600; font-size: 13px; color: var(--soft); white-space: nowrap; }
td.n { text-align: right; white-space: nowrap; }
th.n { text-align: right; }
tr.heading td { font-weight: 600; padding-top: 20px; border-bottom: 2px solid var(--faint); }
small { color: var(--soft); font-size: 12px; display: block; }
.held, .missed { font-weight: 600; white-space: nowrap; }
.bound { white-space: nowrap; }
.held { color: var(--good); } .missed { color: var(--bad); }
.limit { color: var(--bad); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 20px; }
figure { margin: 0; background: var(--card); border-radius: 10px; padding: 16px 16px 10px; }
figcaption { font-weight: 600; margin-bottom: 8px; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 13px system-ui, sans-serif; fill: var(--soft); }
svg .name { fill: var(--ink); }
.grid { stroke: var(--faint); } .axis { stroke: var(--soft); }
.line { fill: none; stroke-width: 2; stroke: currentColor; } .range { stroke: currentColor; opacity: .45; stroke-width: 2; }
.mark { fill: currentColor; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); } .s3 { color: var(--s3); } .s4 { color: var(--s4); }
dl.machine { display: grid; grid-template-columns: max-content 1fr; gap: 2px 20px; margin: 0; }
dd { margin: 0; }
details { margin-top: 12px; } pre { overflow-x: auto; font-size: 12px; background: var(--card); padding: 12px; border-radius: 8px; }
)";

std::string tag(const std::string& name, const std::string& inside, const std::string& kind = {}) {
  auto attribute = kind.empty() ? std::string{} : " class=\"" + kind + "\"";
  return "<" + name + attribute + ">" + inside + "</" + name + ">";
}

std::string cell(const std::optional<spread>& of, const std::string& below = {}) {
  if (!of)
    return tag("td", "&ndash;" + (below.empty() ? "" : tag("small", escaped(below))), "n");
  auto text = figure_text(of->median);
  if (of->least < of->most)
    text += tag("small", figure_text(of->least) + " &ndash; " + figure_text(of->most));
  if (!below.empty())
    text += tag("small", escaped(below));
  return tag("td", text, "n");
}

std::string verdict_text(const row& of) {
  switch (of.held) {
  case verdict::held:
    return tag("span", "&#10003; held", "held");
  case verdict::missed:
    return tag("span", "&#10007; missed", "missed");
  case verdict::unmeasured:
    return tag("span", "not measured", "unmeasured");
  default:
    return {};
  }
}

std::string server_note(const row& of) {
  if (of.server_share < server_is_limit)
    return {};
  auto share = std::to_string(std::lround(of.server_share * 100));
  return tag("small", "the server was the limit: " + share + " % of a core", "limit");
}

std::string table_row(const row& of) {
  auto what = escaped(of.what);
  if (!of.unit.empty())
    what += tag("span", ", " + escaped(of.unit), "soft");
  auto result = tag("td", what + server_note(of)) + cell(of.ours);
  result += of.peer.empty() ? tag("td", "") : cell(of.theirs, of.peer);
  result += of.compared.empty() ? tag("td", "") : cell(of.comparison, of.compared);
  result += tag("td", escaped(of.bound), "bound") + tag("td", verdict_text(of));
  return tag("tr", result);
}

std::string table(const std::vector<row>& rows) {
  auto result = tag("tr", tag("th", "figure") + tag("th", "chainmail", "n") +
                              tag("th", "compared with", "n") + tag("th", "comparison", "n") +
                              tag("th", "wanted") + tag("th", ""));
  for (size_t i = 0; i < rows.size(); ++i) {
    auto heading = rows[i].heading;
    if (i == 0 || rows[i - 1].heading != heading)
      result += "<tr class=\"heading\"><td colspan=\"6\">" + escaped(headings().at(heading)) +
                "</td></tr>";
    result += table_row(rows[i]);
  }
  return tag("div", tag("table", result), "scroll");
}

std::string tally(const std::vector<row>& rows) {
  auto count = [&](verdict v) { return std::to_string(std::ranges::count(rows, v, &row::held)); };
  return tag("div",
      tag("div", tag("b", count(verdict::held), "held") + "bounds held") +
          tag("div", tag("b", count(verdict::missed), "missed") + "missed") +
          tag("div", tag("b", count(verdict::unmeasured)) + "not measured"),
      "tally");
}

// -- plots --------------------------------------------------------------------------------

/// One figure of runs whose names end in a number.
series series_of(const report_content& content, const std::string& name, unsigned number,
    const std::string& before, const std::string& after, const std::string& figure,
    double factor = 1) {
  series result{name, number};
  for (auto in_flight : content.in_flight) {
    auto run = before;
    run.append(std::to_string(in_flight)).append(after);
    if (auto found = content.log.summary(run, figure))
      result.points.push_back({static_cast<double>(in_flight), found->median * factor,
          found->least * factor, found->most * factor});
  }
  return result;
}

std::vector<series> growth_series(
    const report_content& content, const std::string& figure, double factor = 1) {
  return {series_of(content, "chainmail", 0, "growth ", "", figure, factor),
      series_of(content, "sharded_curl", 2, "sharded_curl growth ", " warm", figure, factor),
      series_of(content, "curl_multi", 1, "curl_multi growth ", "", figure, factor)};
}

series frontier_series(const report_content& content, const std::string& name, unsigned number,
    const std::string& scenario) {
  series result{name, number};
  for (auto [tail_ms, rate] : frontier(content.log, "frontier " + scenario, content.rates))
    result.points.push_back({tail_ms, rate, rate, rate});
  return result;
}

series tail_series(const report_content& content, const std::string& name, unsigned number,
    const std::string& scenario) {
  series result{name, number};
  for (auto rate : content.rates)
    if (auto tail =
            content.log.summary("frontier " + scenario + " " + std::to_string(rate), "p99_ms"))
      result.points.push_back({static_cast<double>(rate), tail->median, tail->least, tail->most});
  return result;
}

std::string figure_of(const std::string& caption, const std::string& plot) {
  return plot.empty() ? std::string{} : tag("figure", tag("figcaption", caption) + plot);
}

std::string plots(const report_content& content) {
  constexpr double mib_in_kib = 1.0 / 1'024;
  axis in_flight{"calls in flight", true, false};
  std::string result;
  result += figure_of(
      "Cost of a call, 0 ms, warm", draw_plot(in_flight, {"CPU time a call, us", true, false},
                                        growth_series(content, "cpu_us_per_call")));
  result +=
      figure_of("Memory, all included", draw_plot(in_flight, {"peak memory, MiB", true, false},
                                            growth_series(content, "peak_rss_kib", mib_in_kib)));
  result += figure_of("Latency frontier: the rate held within a tail",
      draw_plot({"99th percentile of the latency, at most, ms", true, false}, {"calls a second"},
          {frontier_series(content, "chainmail", 0, "rate"),
              frontier_series(content, "libcurl alone", 1, "plain_curl")}));
  result += figure_of(
      "Tail at a constant rate", draw_plot({"calls a second", true, false},
                                     {"99th percentile of the latency, ms", true, false},
                                     {tail_series(content, "chainmail", 0, "rate"),
                                         tail_series(content, "libcurl alone", 1, "plain_curl")}));
  if (!content.soak_memory.empty())
    result += figure_of("Memory during the soak",
        draw_plot({"seconds"}, {"resident memory, MiB"}, {{"chainmail", 0, content.soak_memory}}));
  return tag("div", result, "plots");
}

// -- the rest -----------------------------------------------------------------------------

std::string machine(const report_content& content) {
  std::string result;
  for (const auto& [name, value] : content.machine)
    result += tag("dt", escaped(name)) + tag("dd", escaped(value));
  return tag("dl", result, "machine");
}

std::string sentences(const std::string& heading, const std::vector<std::string>& list) {
  if (list.empty())
    return {};
  std::string result;
  for (const auto& each : list)
    result += tag("li", escaped(each));
  return tag("h2", heading) + tag("ul", result);
}

/// Every figure of every run, to look up and to compare with.
std::string raw_figures(const run_log& log) {
  std::string result;
  for (const auto& [run, pairs] : log.runs())
    for (const auto& [pair, figures] : pairs) {
      result += run + ", pair " + std::to_string(pair + 1) + ":";
      for (const auto& [name, value] : figures) {
        std::array<char, 40> text{};
        std::snprintf(text.data(), text.size(), "%.6g", value);
        result += " " + name + "=" + text.data();
      }
      result += "\n";
    }
  return "<details><summary>Every figure of every run</summary>" + tag("pre", escaped(result)) +
         "</details>";
}

std::string method(const report_content& content) {
  return tag("p",
             "Medians of " + std::to_string(content.pairs) +
                 (content.pairs == 1 ? " of runs. "
                                     : " pairs, with the least and the most below. ") +
                 "In a pair every program ran "
                 "once, ours and the others by turns, each in a process of its own, all "
                 "against the same server on loopback. Comparisons are made in each pair, "
                 "and their median counts: seconds differ between machines and hours, "
                 "ratios hardly do.",
             "soft") +
         (content.is_quick ? tag("p",
                                 "A quick run with small loads: it shows that everything "
                                 "works, not how fast it is.",
                                 "missed")
                           : "");
}

} // namespace

std::string to_html(const report_content& content) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">" +
         tag("title", "chainmail: as fast as the wire?") + tag("style", page_style) +
         "</head><body><main>" + tag("h1", "How little stands between a caller and the wire") +
         method(content) + tag("section", tally(content.rows)) + tag("h2", "Figures and bounds") +
         table(content.rows) + tag("h2", "Plots") + plots(content) + tag("h2", "Machine") +
         machine(content) + sentences("Not there to compare with", content.absent) +
         sentences("Runs that failed", content.failed) + raw_figures(content.log) +
         "</main></body></html>\n";
}

} // namespace chainmail::bench

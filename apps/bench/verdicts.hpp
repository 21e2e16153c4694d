// What a report's figures are compared with, and whether they held.
#pragma once

#include "run_log.hpp"

#include <optional>
#include <string>
#include <vector>

namespace chainmail::bench {

enum class verdict { held, missed, unbounded, unmeasured };

/// One line of the report's table.
struct row {
  /// Which of the questions it belongs to, by its place in `headings`.
  size_t heading = 0;
  std::string what;
  std::string unit;
  std::optional<spread> ours = {};
  /// Whom it is compared with, and what that measured; empty for nobody.
  std::string peer = {};
  std::optional<spread> theirs = {};
  /// What the bound holds for: "ours / peer", in the median of the pairs. Empty for the figure itself.
  std::string compared = {};
  std::optional<spread> comparison = {};
  /// "at most 1.4".
  std::string bound = {};
  verdict held = verdict::unbounded;
  /// Of a core, while ours ran. Near 1, the server was the limit.
  double server_share = 0;
};

/// From this share of a core on, a server of one thread is the limit.
inline constexpr double server_is_limit = 0.85;

/// The questions, in order.
const std::vector<std::string>& headings();

/// All rows, those without figures as well.
std::vector<row> judge(const run_log& log);

/// The highest rates, in calls a second, whose 99th percentile of the latency is within a tail: by
/// tail in ms. A tail that no rate keeps has none.
std::map<double, double> frontier(
    const run_log& log, const std::string& run, const std::vector<size_t>& rates);

} // namespace chainmail::bench

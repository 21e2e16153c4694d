// The report as one HTML page that needs nothing else.
#pragma once

#include "plots.hpp"
#include "verdicts.hpp"

#include <string>
#include <utility>
#include <vector>

namespace chainmail::bench {

/// All that the page tells.
struct report_content {
  std::vector<row> rows;
  run_log log;
  std::vector<size_t> rates;
  std::vector<size_t> in_flight;
  /// Name and value: cores, versions, how busy the machine was.
  std::vector<std::pair<std::string, std::string>> machine;
  /// Peers that were not there, and runs that failed: a sentence each.
  std::vector<std::string> absent;
  std::vector<std::string> failed;
  /// Memory during the soak: seconds and MiB. Empty without one.
  std::vector<point> soak_memory;
  size_t pairs = 0;
  bool is_quick = false;
};

std::string to_html(const report_content& content);

} // namespace chainmail::bench

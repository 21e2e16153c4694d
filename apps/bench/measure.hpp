// What a run cost: wall and CPU time, latencies, memory.
#pragma once

#include <chainmail/chains.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace chainmail::bench {

/// Starts when it is made.
class stopwatch {
public:
  stopwatch();

  [[nodiscard]] double wall_s() const;
  /// Of this process, all threads.
  [[nodiscard]] double cpu_s() const;

private:
  std::chrono::steady_clock::time_point wall_;
  double cpu_;
};

struct figures {
  size_t calls = 0;
  size_t errors = 0;
  double wall_s = 0;
  double cpu_s = 0;
  /// Latencies of the calls that were answered well, from when they went out.
  double p50_ms = 0;
  double p99_ms = 0;
  /// What the calls would take if nothing but the endpoint did: the rounds that one call needs, each
  /// as long as a call by itself. 0 where that is not known.
  double ideal_s = 0;
  /// Of the process since its start.
  long peak_rss_kib = 0;
  std::string first_error;
};

/// Of this process since its start.
long peak_rss_kib();

/// Of this process now.
long rss_kib();

/// Nearest rank; 0 of nothing. Reorders.
double percentile(std::vector<double>& of, double share);

/// Wall and CPU time and memory, as they are now.
void note_cost(figures& to, size_t calls, const stopwatch& watch);

figures summarize(const std::vector<outcome>& outcomes, const stopwatch& watch);

/// One line, with the rates worked out.
std::string to_json(const figures& x);

} // namespace chainmail::bench

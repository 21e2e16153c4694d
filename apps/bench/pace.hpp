// Calls at a constant rate, and how long each took.
#pragma once

#include "latency_histogram.hpp"
#include "measure.hpp"
#include "report.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace chainmail::bench {

/// When which call is due. The first ones warm up, and are not measured.
struct pace {
  using clock = std::chrono::steady_clock;

  /// 0: nothing is due, calls are made as there is room for them.
  double per_second = 1'000;
  uint64_t warm_up = 0;
  uint64_t calls = 0;
  clock::time_point begin = clock::now();

  [[nodiscard]] uint64_t all_calls() const { return warm_up + calls; }

  [[nodiscard]] bool is_measured(uint64_t index) const { return index >= warm_up; }

  [[nodiscard]] clock::time_point due(uint64_t index) const;

  /// How many calls should have been made by then.
  [[nodiscard]] uint64_t calls_due(clock::time_point now) const;
};

/// Wakes this thread as soon as the kernel can, in place of up to 50 us later.
void wake_precisely();

struct paced_figures {
  /// From when the calls were due: who calls late, because of what went before, waits as well.
  latency_histogram from_due;
  /// From when they were made.
  latency_histogram from_call;
  uint64_t errors = 0;
  std::string first_error;
  /// Of the measured calls.
  double wall_s = 0;
  double cpu_s = 0;

  void note(const pace& plan, uint64_t index, pace::clock::time_point called);
};

/// With the latencies, the rate that came of it and the CPU time a call.
report_writer paced_report(std::string_view scenario, const pace& plan, const paced_figures& found);

} // namespace chainmail::bench

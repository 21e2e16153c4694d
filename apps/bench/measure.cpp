// Reading clocks and summing up.
#include "measure.hpp"

#include <chainmail/errors.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

namespace chainmail::bench {

namespace {

double process_cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

} // namespace

stopwatch::stopwatch() : wall_(std::chrono::steady_clock::now()), cpu_(process_cpu_s()) {
}

double stopwatch::wall_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_).count();
}

double stopwatch::cpu_s() const {
  return process_cpu_s() - cpu_;
}

long peak_rss_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

long rss_kib() {
  std::ifstream file{"/proc/self/statm"};
  long all_pages = 0;
  long pages = 0;
  file >> all_pages >> pages;
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

void note_cost(figures& to, size_t calls, const stopwatch& watch) {
  to.wall_s = watch.wall_s();
  to.cpu_s = watch.cpu_s();
  to.calls = calls;
  to.peak_rss_kib = peak_rss_kib();
}

double percentile(std::vector<double>& of, double share) {
  if (of.empty())
    return 0;
  auto at = of.begin() + std::lround(share * static_cast<double>(of.size() - 1));
  std::nth_element(of.begin(), at, of.end());
  return *at;
}

figures summarize(const std::vector<outcome>& outcomes, const stopwatch& watch) {
  figures result;
  note_cost(result, outcomes.size(), watch);
  std::vector<double> latencies;
  latencies.reserve(outcomes.size());
  for (const auto& o : outcomes) {
    if (o.ok())
      latencies.push_back(std::chrono::duration<double, std::milli>(o.took).count());
    else if (result.errors++ == 0)
      result.first_error = describe(o.error);
  }
  result.p50_ms = percentile(latencies, 0.50);
  result.p99_ms = percentile(latencies, 0.99);
  return result;
}

std::string to_json(const figures& x) {
  auto calls = static_cast<double>(x.calls);
  char line[512];
  std::snprintf(line, sizeof line,
      R"({"calls":%zu,"errors":%zu,"wall_s":%.4f,"cpu_s":%.4f,"rps":%.1f,)"
      R"("cpu_us_per_call":%.2f,"p50_ms":%.3f,"p99_ms":%.3f,"peak_rss_kib":%ld)",
      x.calls, x.errors, x.wall_s, x.cpu_s, calls / x.wall_s, x.cpu_s / calls * 1e6, x.p50_ms,
      x.p99_ms, x.peak_rss_kib);
  std::string result = line;
  if (x.ideal_s > 0) {
    std::snprintf(line, sizeof line, R"(,"ideal_s":%.4f)", x.ideal_s);
    result += line;
  }
  return result + "}";
}

} // namespace chainmail::bench

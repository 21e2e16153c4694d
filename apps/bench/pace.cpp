// Times and figures of calls at a constant rate.
#include "pace.hpp"

#include <algorithm>
#include <sys/prctl.h>

namespace chainmail::bench {

pace::clock::time_point pace::due(uint64_t index) const {
  auto seconds = std::chrono::duration<double>{static_cast<double>(index) / per_second};
  return begin + std::chrono::duration_cast<clock::duration>(seconds);
}

uint64_t pace::calls_due(clock::time_point now) const {
  if (now < begin)
    return 0;
  auto passed = std::chrono::duration<double>{now - begin}.count();
  auto result = static_cast<uint64_t>(passed * per_second) + 1;
  return std::min(result, all_calls());
}

void wake_precisely() {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

void paced_figures::note(const pace& plan, uint64_t index, pace::clock::time_point called) {
  if (!plan.is_measured(index))
    return;
  auto now = pace::clock::now();
  from_due.add(now - (plan.per_second > 0 ? plan.due(index) : called));
  from_call.add(now - called);
}

report_writer paced_report(
    std::string_view scenario, const pace& plan, const paced_figures& found) {
  auto calls = static_cast<double>(plan.calls);
  report_writer result{scenario};
  result.add("calls", plan.calls)
      .add("errors", found.errors)
      .add("per_second", plan.per_second)
      .add("wall_s", found.wall_s)
      .add("cpu_s", found.cpu_s)
      .add("rps", found.wall_s > 0 ? calls / found.wall_s : 0)
      .add("cpu_us_per_call", found.cpu_s / calls * 1e6)
      .add("p50_ms", found.from_due.percentile_ms(0.5))
      .add("p90_ms", found.from_due.percentile_ms(0.9))
      .add("p99_ms", found.from_due.percentile_ms(0.99))
      .add("max_ms", found.from_due.max_ms())
      .add("from_call_p50_ms", found.from_call.percentile_ms(0.5))
      .add("from_call_p99_ms", found.from_call.percentile_ms(0.99))
      .add("peak_rss_kib", static_cast<uint64_t>(peak_rss_kib()));
  result.demand(found.errors == 0, std::to_string(found.errors) + " calls ended in an error");
  return result;
}

} // namespace chainmail::bench

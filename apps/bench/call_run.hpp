// Many calls of an LLM, and what became of each.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace chainmail::bench {

struct call_plan {
  size_t calls = 0;
  /// So many at once, the next one when one is answered. Without use when `per_second` is set.
  size_t in_flight = 1;
  /// Above 0: a call starts whenever its time has come, answered or not what went before.
  double per_second = 0;
  /// Of each call.
  caf::timespan timeout = std::chrono::seconds{60};
  std::function<std::string(size_t)> prompt;
  std::function<bool(size_t, const std::string&)> is_right;
};

struct call_record {
  /// From the run's start.
  double started_s = 0;
  double took_s = 0;
  /// Answers that came. Anything but 1 is a defect.
  uint32_t answers = 0;
  uint32_t attempts = 0;
  int64_t tokens = 0;
  /// Of the first answer.
  errc code = errc::none;
  bool is_right = false;

  [[nodiscard]] bool was_answered_by(double end_s) const {
    return answers > 0 && started_s + took_s <= end_s;
  }
};

/// What all calls of a run came to.
struct call_totals {
  uint64_t right = 0;
  uint64_t wrong = 0;
  uint64_t unanswered = 0;
  uint64_t answered_twice = 0;
  uint64_t attempts = 0;
  int64_t tokens = 0;
  std::map<errc, uint64_t> errors;
  /// From the start until the last first answer.
  double wall_s = 0;
  /// Of the calls answered right.
  double p50_ms = 0;
  double p99_ms = 0;

  [[nodiscard]] uint64_t all_errors() const;
  /// {"timed_out":3}
  [[nodiscard]] std::string errors_json() const;
};

call_totals sum_up(const std::vector<call_record>& calls);

/// Starts when it is made. Shows on a terminal how far it is, while somebody waits for it.
class call_run {
public:
  using clock = std::chrono::steady_clock;

  call_run(caf::actor_system& system, llm_actor llm, call_plan plan);
  call_run(const call_run&) = delete;
  call_run& operator=(const call_run&) = delete;
  /// Calls that are not answered stay so.
  ~call_run();

  [[nodiscard]] clock::time_point begin() const { return begin_; }

  void wait_until(clock::time_point when);

  /// Until every call is answered, or none was for a while although their time is over.
  void wait();

  /// Ends the run. Answers that came until now are in the records.
  const std::vector<call_record>& finish();

  /// Known after finish().
  [[nodiscard]] const std::string& first_error() const;

private:
  void show(bool is_last) const;

  struct shared;
  std::shared_ptr<shared> shared_;
  caf::actor_system& system_;
  clock::time_point begin_;
  caf::actor caller_;
};

} // namespace chainmail::bench

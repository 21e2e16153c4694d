// An alarm for actors that ask for near and far moments by turns.
#pragma once

#include <chainmail/caf/compat.hpp>

#include <chrono>
#include <functional>
#include <set>
#include <utility>

namespace chainmail {

/// As alarm is, but runs once for each moment, and not for those that an earlier one came before and
/// nobody asked for again. With an alarm, whoever asks for a far moment each time that a near one has
/// come gets a timer each time, and all of them fire.
class wake_timer {
public:
  using time_point = std::chrono::steady_clock::time_point;

  wake_timer(caf::scheduled_actor* self, std::function<void()> what)
    : self_(self), what_(std::move(what)) {}

  wake_timer(const wake_timer&) = delete;
  wake_timer& operator=(const wake_timer&) = delete;

  /// time_point::max() stands for never.
  void at(time_point when) {
    if (when >= next_)
      return;
    next_ = when;
    if (set_.insert(when).second)
      compat::run_at(self_, when, [this, when] { on_time(when); });
  }

private:
  void on_time(time_point when) {
    set_.erase(when);
    if (when != next_)
      return;
    next_ = time_point::max();
    what_();
  }

  caf::scheduled_actor* self_;
  std::function<void()> what_;
  time_point next_ = time_point::max();
  std::set<time_point> set_;
};

} // namespace chainmail

// One timer for all the moments that an actor has to wake at.
#pragma once

#include <chainmail/caf/compat.hpp>

#include <chrono>
#include <functional>
#include <set>
#include <utility>

namespace chainmail {

/// Runs a function inside an actor at the earliest of the times that were asked for since it ran
/// last; whoever has later ones asks for them again. A member of the actor's state, so that nobody is
/// kept alive.
class alarm {
public:
  using time_point = std::chrono::steady_clock::time_point;

  alarm(caf::scheduled_actor* self, std::function<void()> what)
    : self_(self), what_(std::move(what)) {}

  alarm(const alarm&) = delete;
  alarm& operator=(const alarm&) = delete;

  /// time_point::max() stands for never.
  void at(time_point when) {
    if (when >= next_)
      return;
    next_ = when;
    // Who asks for far and near moments by turns asks for each far one many times.
    if (set_.insert(when).second)
      compat::run_at(self_, when, [this, when] { on_time(when); });
  }

private:
  void on_time(time_point when) {
    set_.erase(when);
    if (when != next_)
      return; // an earlier one came, and nobody asked for this one again
    next_ = time_point::max();
    what_();
  }

  caf::scheduled_actor* self_;
  std::function<void()> what_;
  time_point next_ = time_point::max();
  /// CAF has a timer for each of these.
  std::set<time_point> set_;
};

} // namespace chainmail

// How long an endpoint that refused a call is left alone.
#pragma once

#include <chrono>
#include <optional>

namespace chainmail {

/// A pause of a whole key, not of one call. Without a Retry-After it is short, and doubles while
/// refusals go on.
class pause {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  static constexpr std::chrono::milliseconds first{100};
  static constexpr std::chrono::milliseconds longest{5'000};
  /// Whoever asks for more is asked again after this: what one message says is not believed for
  /// ever.
  static constexpr std::chrono::hours longest_asked_for{1};

  [[nodiscard]] time_point until() const { return until_; }

  /// A call that was sent at `sent_at` was refused. One that was sent before the last pause began
  /// tells nothing new, unless it says how long.
  void on_refusal(time_point sent_at, std::optional<duration> retry_after, time_point now);

  /// A call that was sent at `sent_at` was answered.
  void on_success(time_point sent_at);

private:
  time_point began_ = time_point::min();
  time_point until_ = time_point::min();
  duration next_ = first;
};

} // namespace chainmail

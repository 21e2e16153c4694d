// Leaves an endpoint alone that is down.
#pragma once

#include <chainmail/errors.hpp>

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace chainmail {

struct breaker_options {
  /// Fewer calls than this in the window say nothing.
  uint32_t min_calls = 20;
  /// Of the calls in the window; in (0, 1]. More of them must have failed than chance can explain:
  /// at 0.5, 19 of 20, 70 of 100 or 564 of 1,000.
  double failure_share = 0.5;
  /// What is remembered.
  caf::timespan window = std::chrono::seconds{10};
  /// Between an opening, or a failed probe, and the next probe.
  caf::timespan open_for = std::chrono::seconds{1};
};

/// errc::invalid_input with a sentence for options that can never work.
caf::error check(const breaker_options& options);

/// What counts against an endpoint: 5xx, no connection, no answer in time, or one that makes no
/// sense. Never a 429 or another 4xx: whoever says no is there.
bool is_endpoint_failure(errc code);

/// Counts the verdicts on an endpoint's calls. It opens, which is to say lets no call through, when
/// the last `min_calls` verdicts were failures, or when the failures in the window exceed
/// `failure_share` by four standard deviations of chance. So an outage is seen at once after a busy
/// hour, and calls that fail with probability 0.3, each by itself, do not open it at 0.5. Then it
/// lets one call through at a time, the probe; a good one closes it. Memory is constant. For one
/// thread at a time.
class circuit_breaker {
public:
  using time_point = std::chrono::steady_clock::time_point;

  enum class mode : uint8_t { closed, open, half_open };

  /// Handed in with the verdict on the call that it let through. Whoever has one hands it in once,
  /// to succeeded(), failed() or abandoned(). It tells a probe from calls that were under way when
  /// the breaker opened, whose verdicts say nothing any more.
  struct pass {
    uint64_t era = 0;
    /// 0 for an ordinary call.
    uint64_t probe = 0;
  };

  /// After this, another probe is let through, although the last one had no verdict. A good verdict
  /// on the last one still closes the breaker.
  static constexpr caf::timespan probe_patience = std::chrono::seconds{30};

  /// `options` pass check().
  explicit circuit_breaker(breaker_options options);

  /// Leave to send one call now, or nothing.
  std::optional<pass> allow(time_point now);

  /// The endpoint answered, be it with a 4xx.
  void succeeded(pass sent, time_point now);

  /// An error for which is_endpoint_failure() is true.
  void failed(pass sent, time_point now);

  /// The call ended without a verdict: it was cancelled, or never sent.
  void abandoned(pass sent, time_point now);

  /// When a probe is let through next, unless a verdict comes in before: ask again after each.
  /// time_point::min() when closed.
  [[nodiscard]] time_point retry_at() const { return retry_at_; }

  [[nodiscard]] mode current(time_point now) const;

private:
  struct slot {
    uint64_t calls = 0;
    uint64_t failures = 0;
  };

  [[nodiscard]] bool is_closed() const { return retry_at_ == time_point::min(); }
  [[nodiscard]] bool is_probe(pass sent) const;
  [[nodiscard]] bool has_failed_enough() const;
  slot& slot_at(time_point now);
  void open(time_point now);
  void close();

  breaker_options options_;
  /// Counts openings and closings.
  uint64_t era_ = 1;
  /// The probe that is out; 0 for none.
  uint64_t probe_ = 0;
  uint64_t last_probe_ = 0;
  time_point retry_at_ = time_point::min();
  uint64_t failures_in_a_row_ = 0;
  /// The window, by tenths of it, as a ring.
  std::array<slot, 10> slots_;
  int64_t newest_slot_ = 0;
};

} // namespace chainmail

// When a call that takes long is sent a second time.
#pragma once

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace chainmail {

struct hedge_options {
  /// Hedges per call, at most; in (0, 1].
  double max_extra = 0.1;
  /// Answers that are waited for before the first hedge; 1 to 512.
  uint32_t min_samples = 50;
  /// No call is hedged sooner than this.
  caf::timespan min_delay = std::chrono::milliseconds{5};
};

/// errc::invalid_input with a sentence for options that can never work.
caf::error check(const hedge_options& options);

/// Learns from the calls of one endpoint and model what takes long ("The Tail at Scale", Dean and
/// Barroso, 2013). For one thread at a time.
class hedge_policy {
public:
  /// `options` pass check().
  explicit hedge_policy(hedge_options options);

  /// A call's first attempt was sent. It earns `max_extra` of a hedge; up to 10 hedges are saved.
  /// None is there at the start, so hedges are never more than that share of all calls so far, nor,
  /// of any calls in a row, 10 more than it.
  void sent();

  /// How long a call took from its first attempt until its first good answer.
  void answered(caf::timespan took);

  /// How long to wait for a call before it is hedged; nothing as long as too few were answered.
  ///
  /// It is the 95th percentile of the last 512 answers, but not more than 1.5 times their 90th: when
  /// 5 % of the calls are slow by far, the 95th may be one of them, and hedging after it helps
  /// nobody. As fewer than 10 % take longer than the 90th, that hedges fewer than 10 % still.
  [[nodiscard]] std::optional<caf::timespan> delay() const { return delay_; }

  /// Takes leave to send one more hedge now; false when none is saved.
  bool spend();

private:
  void learn();

  hedge_options options_;
  /// In billionths of a hedge.
  int64_t earned_per_call_;
  int64_t saved_ = 0;
  std::array<caf::timespan, 512> latencies_{};
  /// All that were ever put there; the ring's next place is this, modulo its size.
  uint64_t answers_ = 0;
  std::optional<caf::timespan> delay_;
};

} // namespace chainmail

// Latencies in constant memory, however many there are.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace chainmail::bench {

/// Counts times in buckets that are at most 0.8 % wide, from 1 ns to 73 minutes; longer ones count
/// as that long.
class latency_histogram {
public:
  void add(std::chrono::nanoseconds time);

  [[nodiscard]] uint64_t count() const { return count_; }

  /// The upper end of the bucket that holds the nearest rank; 0 of nothing.
  [[nodiscard]] double percentile_ms(double share) const;

  [[nodiscard]] double max_ms() const { return static_cast<double>(max_) / 1e6; }

private:
  static constexpr unsigned precision_bits = 7;
  static constexpr unsigned largest_bits = 42;
  static constexpr size_t buckets = (largest_bits - precision_bits + 1) << precision_bits;

  std::array<uint64_t, buckets> counts_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

} // namespace chainmail::bench

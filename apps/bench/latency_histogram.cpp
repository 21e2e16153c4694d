// Buckets: 128 for each power of two.
#include "latency_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace chainmail::bench {

void latency_histogram::add(std::chrono::nanoseconds time) {
  constexpr auto longest = (uint64_t{1} << largest_bits) - 1;
  auto value = std::min(static_cast<uint64_t>(std::max<int64_t>(time.count(), 0)), longest);
  auto width = static_cast<unsigned>(std::bit_width(value));
  auto shift = width > precision_bits + 1 ? width - precision_bits - 1 : 0U;
  ++counts_[(uint64_t{shift} << precision_bits) + (value >> shift)];
  ++count_;
  max_ = std::max(max_, value);
}

double latency_histogram::percentile_ms(double share) const {
  if (count_ == 0)
    return 0;
  auto rank = static_cast<uint64_t>(std::lround(share * static_cast<double>(count_ - 1)));
  size_t bucket = 0;
  for (auto seen = counts_[0]; seen <= rank;)
    seen += counts_[++bucket];
  auto shift = bucket < (size_t{2} << precision_bits) ? 0U : (bucket >> precision_bits) - 1;
  auto low = static_cast<uint64_t>(bucket) - (uint64_t{shift} << precision_bits);
  auto high = ((low + 1) << shift) - 1;
  return static_cast<double>(std::min(high, max_)) / 1e6;
}

} // namespace chainmail::bench

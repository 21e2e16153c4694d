// Least squares.
#include "trend.hpp"

#include <cmath>

namespace chainmail::bench {

trend fit(const std::vector<sample>& samples) {
  constexpr size_t least = 3;
  if (samples.size() < least)
    return {};
  auto count = static_cast<double>(samples.size());
  double mean_at = 0;
  trend result;
  for (const auto& each : samples) {
    mean_at += each.at_s / count;
    result.mean += each.value / count;
  }
  double squares = 0;
  double products = 0;
  for (const auto& each : samples) {
    squares += (each.at_s - mean_at) * (each.at_s - mean_at);
    products += (each.at_s - mean_at) * (each.value - result.mean);
  }
  if (squares == 0)
    return result;
  result.slope_per_s = products / squares;
  double off = 0;
  for (const auto& each : samples) {
    auto expected = result.mean + result.slope_per_s * (each.at_s - mean_at);
    off += (each.value - expected) * (each.value - expected);
  }
  auto variance = off / (count - 2);
  result.scatter = std::sqrt(variance);
  result.slope_error_per_s = std::sqrt(variance / squares);
  result.growth = result.slope_per_s * (samples.back().at_s - samples.front().at_s);
  return result;
}

} // namespace chainmail::bench

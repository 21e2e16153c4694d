// Whether a series of measurements rises.
#pragma once

#include <vector>

namespace chainmail::bench {

struct sample {
  double at_s = 0;
  double value = 0;
};

/// The straight line through samples with the least squares.
struct trend {
  double mean = 0;
  double slope_per_s = 0;
  /// Standard error of the slope.
  double slope_error_per_s = 0;
  /// Standard deviation of the samples from the line.
  double scatter = 0;
  /// From the first sample to the last, along the line.
  double growth = 0;
};

/// All zero for fewer than three samples.
trend fit(const std::vector<sample>& samples);

} // namespace chainmail::bench

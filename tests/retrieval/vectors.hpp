// Vectors to try an index on.
#pragma once

#include <chainmail/retrieval.hpp>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

namespace chainmail::test {

/// Gaussian noise, the hardest to search, or noise around 100 centers, as embeddings are.
class vector_source {
public:
  vector_source(uint32_t dimension, bool in_clusters, unsigned seed = 7)
    : dimension_(dimension), random_(seed) {
    for (uint32_t i = 0; in_clusters && i < 100 * dimension; ++i)
      centers_.push_back(gauss_(random_));
  }

  embeddings make(size_t count) {
    embeddings result;
    result.dimension = dimension_;
    result.model = "m";
    for (size_t i = 0; i < count; ++i) {
      auto* center = centers_.empty() ? nullptr : &centers_[random_() % 100 * dimension_];
      for (uint32_t j = 0; j < dimension_; ++j)
        result.numbers.push_back(
            center == nullptr ? gauss_(random_) : center[j] + gauss_(random_) / 2);
    }
    return result;
  }

private:
  uint32_t dimension_;
  std::mt19937 random_;
  std::normal_distribution<float> gauss_;
  std::vector<float> centers_;
};

inline embeddings rows_of(uint32_t dimension, std::vector<float> numbers) {
  embeddings result;
  result.dimension = dimension;
  result.numbers = std::move(numbers);
  result.model = "m";
  return result;
}

/// count IDs from `first` on.
inline std::vector<uint64_t> ids_from(uint64_t first, size_t count) {
  std::vector<uint64_t> result(count);
  std::iota(result.begin(), result.end(), first);
  return result;
}

inline double cosine(std::span<const float> x, std::span<const float> y) {
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += double{x[i]} * double{y[i]};
    xx += double{x[i]} * double{x[i]};
    yy += double{y[i]} * double{y[i]};
  }
  return xy / std::sqrt(xx * yy);
}

} // namespace chainmail::test

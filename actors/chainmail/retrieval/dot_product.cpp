// Dot products, compiled for several CPUs.
#include <chainmail/retrieval/dot_product.hpp>

#include <cstring>

namespace chainmail {

namespace {

/// Eight numbers at once; the compiler splits them for a CPU that has narrower registers.
using pack [[gnu::vector_size(32)]] = float;
constexpr size_t width = 8;

[[gnu::always_inline]] inline void add_products(pack& to, const float* x, const float* y) {
  pack some_x;
  pack some_y;
  std::memcpy(&some_x, x, sizeof some_x);
  std::memcpy(&some_y, y, sizeof some_y);
  to += some_x * some_y;
}

/// Four sums that do not wait for one another.
[[gnu::always_inline]] inline float sum_of_products(const float* x, const float* y, size_t size) {
  pack a{};
  pack b{};
  pack c{};
  pack d{};
  size_t i = 0;
  for (; i + 4 * width <= size; i += 4 * width) {
    add_products(a, x + i, y + i);
    add_products(b, x + i + width, y + i + width);
    add_products(c, x + i + 2 * width, y + i + 2 * width);
    add_products(d, x + i + 3 * width, y + i + 3 * width);
  }
  a = (a + b) + (c + d);
  auto sum = ((a[0] + a[4]) + (a[1] + a[5])) + ((a[2] + a[6]) + (a[3] + a[7]));
  for (; i < size; ++i)
    sum += x[i] * y[i];
  return sum;
}

using function = float (*)(const float*, const float*, size_t);

float for_any(const float* x, const float* y, size_t size) {
  return sum_of_products(x, y, size);
}

#if defined(__x86_64__)

[[gnu::target("avx2,fma")]] float for_avx2(const float* x, const float* y, size_t size) {
  return sum_of_products(x, y, size);
}

function fastest() {
  __builtin_cpu_init();
  auto has_avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return has_avx2 ? for_avx2 : for_any;
}

#else

function fastest() {
  return for_any;
}

#endif

} // namespace

float dot_product(const float* x, const float* y, size_t size) {
  static const function chosen = fastest();
  return chosen(x, y, size);
}

} // namespace chainmail

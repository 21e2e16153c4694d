// How call IDs are made.
#include <chainmail/call_context.hpp>

#include <atomic>
#include <random>

namespace chainmail {

namespace {

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so distinct counters give
/// distinct roots.
uint64_t mix(uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

uint64_t random_start() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

} // namespace

call_id call_id::make() {
  static std::atomic<uint64_t> counter{random_start()};
  for (;;)
    if (auto root = mix(counter.fetch_add(1, std::memory_order_relaxed)); root != 0)
      return {root, 0};
}

call_id call_id::child(uint64_t index) const noexcept {
  if (root == 0)
    return {};
  auto mixed = mix(mix(step) ^ (index + 1));
  return {root, mixed != 0 ? mixed : 1};
}

call_context call_context::child(uint64_t index) const {
  return {id.child(index), due, tenant, priority};
}

} // namespace chainmail

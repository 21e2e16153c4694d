// Which calls the simulator has seen before, by their Idempotency-Key.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_set>

namespace chainmail::simulator {

enum class call_novelty { unknown, first, repeated };

/// Remembers hashes of 64 bits, so memory has a bound however long the keys are.
class call_keys {
public:
  static constexpr std::size_t most_known = 1'000'000;

  /// Unknown: there is no key, or it is a new one and as many as possible are known already.
  call_novelty see(std::string_view key) {
    if (key.empty())
      return call_novelty::unknown;
    std::uint64_t hash = std::hash<std::string_view>{}(key);
    if (known_.size() >= most_known)
      return known_.contains(hash) ? call_novelty::repeated : call_novelty::unknown;
    return known_.insert(hash).second ? call_novelty::first : call_novelty::repeated;
  }

private:
  std::unordered_set<std::uint64_t> known_;
};

} // namespace chainmail::simulator

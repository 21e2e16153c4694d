// When an actor that crashed is started again.
#pragma once

#include <algorithm>
#include <chrono>

namespace chainmail {

/// Who crashes after a calm while is replaced at once: one crash costs the calls that were under
/// way, and no more. Who crashes again soon is replaced after 100 ms, then 200 ms and so on up to
/// 10 s, so that a crash loop cannot spin.
class restart_policy {
public:
  using clock = std::chrono::steady_clock;

  static constexpr clock::duration shortest_wait = std::chrono::milliseconds{100};
  static constexpr clock::duration longest_wait = std::chrono::seconds{10};
  /// Who ran that long makes earlier crashes forgotten.
  static constexpr clock::duration calm = std::chrono::seconds{30};

  /// Before each start, whether it will work or not.
  void starts(clock::time_point now) { started_ = now; }

  /// It crashed, or could not be started. The result is when to start it again; `now` for at once.
  clock::time_point crashed(clock::time_point now) {
    if (now - started_ >= calm)
      wait_ = {};
    auto result = now + wait_;
    wait_ = std::clamp(2 * wait_, shortest_wait, longest_wait);
    return result;
  }

private:
  clock::time_point started_;
  clock::duration wait_{};
};

} // namespace chainmail

// Which period a limit is of, told from how fast an endpoint says that it recovers.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace chainmail {

/// A minute until shown otherwise. Endpoints that refill evenly say when all is there again: if 1 %
/// is used and that takes 864 s, the limit is of a day. Endpoints whose periods end at fixed times
/// say the same words and mean something else, so two observations have to agree, whose uses differ
/// by a factor of two, and only a second, a minute, an hour or a day is believed.
class limit_period {
public:
  using duration = std::chrono::steady_clock::duration;

  [[nodiscard]] duration get() const { return period_; }

  void observe(int64_t limit, int64_t left, duration until_reset);

private:
  struct observation {
    duration period;
    int64_t used;
  };

  duration period_ = std::chrono::minutes{1};
  std::optional<observation> last_;
};

} // namespace chainmail

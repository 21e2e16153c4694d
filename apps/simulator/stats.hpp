// What the simulator counts.

#pragma once

#include "options.hpp"

#include <array>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <string>

namespace chainmail::simulator {

/// Requests for /stats are not counted. What holds at any moment:
/// requests == all_answered() + refused + rate_limited + outage + aborted + in_flight.
struct stats {
  std::uint64_t requests = 0; ///< received completely
  /// Indexed by fault, each counted just before its last byte is handed to the kernel (or, for a
  /// reset, before the reset), so a client that has its answer finds it counted. A request that
  /// hangs stays in flight until it is aborted.
  std::array<std::uint64_t, fault_kinds> answered{};
  std::uint64_t refused = 0;      ///< by the API's own rules: 400, 401, 404, 405, 413
  std::uint64_t rate_limited = 0; ///< 429 by the limits; injected ones are among `answered`
  std::uint64_t outage = 0;       ///< 503 or a reset, because of an outage
  std::uint64_t aborted = 0; ///< the client closed its connection while the request was in flight
  std::uint64_t in_flight = 0;
  std::uint64_t most_in_flight = 0;
  /// Different Idempotency-Keys of the requests. After call_keys::most_known of them no new one is
  /// counted here, nor as repeated.
  std::uint64_t distinct_calls = 0;
  std::uint64_t repeated_calls = 0; ///< requests whose Idempotency-Key an earlier one had
  std::uint64_t streams = 0;        ///< begun to be sent
  std::uint64_t streams_open = 0;
  std::uint64_t most_streams_open = 0;
  std::uint64_t tokens_streamed = 0;         ///< n choices count as one
  std::uint64_t streams_closed_early = 0;    ///< by the client; among `aborted`
  std::uint64_t last_closed_early_at = 0;    ///< when it was noticed, in ms of Unix time
  std::uint64_t last_closed_early_after = 0; ///< tokens
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t most_connections_open = 0;

  std::uint64_t answered_with(fault kind) const { return answered[static_cast<std::size_t>(kind)]; }

  std::uint64_t all_answered() const {
    return std::accumulate(answered.begin(), answered.end(), std::uint64_t{0});
  }
};

/// Counts on the server's thread, may be read on others.
class counters {
public:
  template <class Change>
  void change(Change apply) {
    std::lock_guard guard(mutex_);
    apply(stats_);
  }

  stats read() const {
    std::lock_guard guard(mutex_);
    return stats_;
  }

private:
  mutable std::mutex mutex_;
  stats stats_;
};

/// The body of GET /stats.
std::string to_json(const stats& counted);

} // namespace chainmail::simulator

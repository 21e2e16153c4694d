// What an HTTP worker counts.
#pragma once

#include <chainmail/caf/metrics.hpp>
#include <chainmail/http.hpp>

#include <caf/fwd.hpp>

#include <array>

namespace chainmail {

class http_metrics {
public:
  explicit http_metrics(caf::actor_system& system);

  /// `streamed` bytes of the body went to a sink, and are not in the response.
  void answered(const http_request& request, const http_response& response, size_t streamed) const;

  /// No complete response came.
  void failed(const caf::error& why) { errors_.count(code_of(why)); }

  metrics::gauge in_flight;
  metrics::gauge queued;

private:
  /// By the hundreds of the status, from 2.
  std::array<metrics::counter, 4> by_class_;
  metrics::by_code errors_;
  metrics::histogram queue_;
  metrics::histogram first_byte_;
  metrics::histogram duration_;
  metrics::counter sent_;
  metrics::counter received_;
};

} // namespace chainmail

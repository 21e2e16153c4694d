// Counting exchanges.
#include <chainmail/http/http_metrics.hpp>

#include <algorithm>

namespace chainmail {

using metrics::metric;

namespace {

metrics::counter requests(caf::actor_system& system, const char* status) {
  return {system, metric::http_requests_total, {status}};
}

} // namespace

http_metrics::http_metrics(caf::actor_system& system)
  : in_flight(system, metric::http_in_flight),
    queued(system, metric::http_queued),
    by_class_{requests(system, "2xx"), requests(system, "3xx"), requests(system, "4xx"),
        requests(system, "5xx")},
    errors_(system, metric::http_errors_total),
    queue_(system, metric::http_queue_seconds),
    first_byte_(system, metric::http_first_byte_seconds),
    duration_(system, metric::http_duration_seconds),
    sent_(system, metric::http_sent_bytes_total),
    received_(system, metric::http_received_bytes_total) {
}

void http_metrics::answered(
    const http_request& request, const http_response& response, size_t streamed) const {
  auto hundreds = std::clamp(response.status / 100, 2, 5);
  by_class_[static_cast<size_t>(hundreds - 2)].add();
  const auto& spent = response.timings;
  queue_.observe(spent.queued);
  first_byte_.observe(spent.first_byte - spent.queued);
  duration_.observe(spent.total);
  sent_.add(static_cast<int64_t>(request.body.size()));
  received_.add(static_cast<int64_t>(response.body.size() + streamed));
}

} // namespace chainmail

// What chainmail's actors count, for the metrics of their actor system: docs/metrics.md.
//
// Whoever counts keeps its instances: looking one up takes locks and a search, an update is one atomic
// operation. The actor system owns the numbers; no instance outlives it.
#pragma once

#include <chainmail/errors.hpp>

#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chainmail::metrics {

/// Every metric that chainmail has, under the name that Prometheus shows.
enum class metric : uint8_t {
  chain_calls_total,
  chain_errors_total,
  chain_in_flight,
  chain_duration_seconds,
  llm_calls_total,
  llm_errors_total,
  llm_in_flight,
  llm_duration_seconds,
  llm_attempts_total,
  llm_retries_total,
  llm_fallbacks_total,
  llm_hedges_total,
  llm_cache_hits_total,
  llm_shared_calls_total,
  llm_prompt_tokens_total,
  llm_completion_tokens_total,
  llm_cost_total,
  llm_limiter_wait_seconds,
  llm_first_token_seconds,
  llm_breaker_open,
  http_requests_total,
  http_errors_total,
  http_in_flight,
  http_queued,
  http_queue_seconds,
  http_first_byte_seconds,
  http_duration_seconds,
  http_sent_bytes_total,
  http_received_bytes_total,
  limiter_waiting,
  limiter_wait_seconds,
  limiter_permits_total,
  limiter_refusals_total,
  gather_in_flight,
  gather_outcomes_total,
  embedder_calls_total,
  embedder_errors_total,
  embedder_in_flight,
  embedder_duration_seconds,
  embedder_retries_total,
  embedder_texts_total,
  embedder_tokens_total,
  remote_calls_total,
  remote_errors_total,
  remote_in_flight,
  remote_duration_seconds,
  remote_losses_total,
  node_peers,
};

/// A metric as a person sees it.
struct description {
  /// With the prefix: "chainmail_llm_calls_total".
  std::string name;
  /// "counter", "gauge" or "histogram".
  std::string type;
  std::vector<std::string> labels;
  std::string help;
};

std::vector<description> all();

/// Values of labels, in the order of the metric's labels. Whatever they hold is made printable ASCII
/// without quotes, of at most 100 characters: a scrape fails as a whole on less.
using label_values = std::initializer_list<std::string_view>;

/// Only grows.
class counter {
public:
  counter(caf::actor_system& system, metric which, label_values labels = {});

  /// Nothing for amounts that are not positive.
  void add(int64_t amount = 1) const;

private:
  caf::telemetry::counter<int64_t>* series_;
};

/// Only grows, by parts of a whole.
class sum {
public:
  sum(caf::actor_system& system, metric which, label_values labels = {});

  /// Nothing for amounts that are not positive.
  void add(double amount) const;

private:
  caf::telemetry::counter<double>* series_;
};

class histogram {
public:
  histogram(caf::actor_system& system, metric which, label_values labels = {});

  void observe(caf::timespan took) const;

private:
  caf::telemetry::histogram<double>* series_;
};

/// One actor's part in a gauge that others have parts in, too. It is taken back when the owner goes,
/// however that ends.
class gauge {
public:
  gauge(caf::actor_system& system, metric which, label_values labels = {});
  gauge(gauge&& other) noexcept : series_(other.series_), part_(std::exchange(other.part_, 0)) {}
  gauge& operator=(gauge&&) = delete;
  ~gauge();

  void add(int64_t amount);
  void set(int64_t part) { add(part - part_); }

private:
  caf::telemetry::int_gauge* series_;
  int64_t part_ = 0;
};

/// One series for each errc that occurs, made when it first does. The code is the label after
/// `labels`.
class by_code {
public:
  by_code(caf::actor_system& system, metric which, label_values labels = {});

  void count(errc code);

private:
  caf::actor_system* system_;
  metric which_;
  std::vector<std::string> labels_;
  std::array<caf::telemetry::counter<int64_t>*, 32> series_{};
};

/// Calls, errors, calls in flight and durations of one kind.
class calls {
public:
  /// `first` is the kind's ..._calls_total, which its other three follow.
  calls(caf::actor_system& system, metric first, std::string_view label);

  void begin();
  void end(caf::timespan took);
  void end(caf::timespan took, errc why);

private:
  counter calls_;
  by_code errors_;
  gauge in_flight_;
  histogram duration_;
};

} // namespace chainmail::metrics

// What a report runs: our scenarios and the peers, each beside the other.
#pragma once

#include "peers.hpp"
#include "processes.hpp"
#include "run_log.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chainmail::bench {

/// How much a report does.
struct report_plan {
  std::string file;
  size_t pairs = 5;
  /// Small loads: whether it works, not how fast.
  bool is_quick = false;
  /// The peers' sources; empty for none.
  std::string peers = {};
  bool has_soak = false;
  std::string soak_duration = "10min";

  [[nodiscard]] size_t calls(size_t full) const { return is_quick ? full / 50 + 1 : full; }
  [[nodiscard]] size_t in_flight(size_t full) const {
    return is_quick ? std::min<size_t>(full, 100) : full;
  }
  [[nodiscard]] unsigned slow_ms() const { return is_quick ? 50 : 1'000; }
};

/// Endpoints by latency, started when somebody asks: the C server of the peers, or else our
/// simulator, one process a latency.
class endpoints {
public:
  /// @param mock the program of the C server; empty for none
  explicit endpoints(const std::string& mock);

  /// Without a slash at the end.
  std::string base_url(unsigned latency_ms);

  /// Of our simulator, whose answers fit the prompts.
  const std::string& simulated_url(unsigned latency_ms);

  /// Of all their processes until now.
  [[nodiscard]] double cpu_s() const;

  /// For people.
  [[nodiscard]] const std::string& description() const { return description_; }

private:
  std::string description_;
  std::optional<background_process> mock_;
  std::string mock_url_;
  std::map<unsigned, std::unique_ptr<endpoint_process>> simulated_;
};

/// One program to run.
struct step {
  using reader = std::function<run_figures(const finished_process&)>;

  std::string title;
  command how;
  /// The names of the runs in the log, and how to find their figures in what was printed.
  std::vector<std::pair<std::string, reader>> finds;
  /// In how many pairs; 0 for all.
  size_t pairs = 0;
  /// Left out of a pair when this says so.
  std::function<bool(const run_log&, size_t pair)> is_needless = {};
};

/// In the order that each pair runs them in.
std::vector<step> steps_of(const report_plan& plan, endpoints& servers, const peers& others);

/// What is asked of the frontier.
std::vector<size_t> frontier_rates(const report_plan& plan);

/// Of the growth of cost and memory.
std::vector<size_t> in_flight_steps(const report_plan& plan);

} // namespace chainmail::bench

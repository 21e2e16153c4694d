// The metrics of an actor system, as its endpoint would show them.
#pragma once

#include <caf/actor_system.hpp>
#include <caf/telemetry/collector/prometheus.hpp>
#include <caf/telemetry/metric_registry.hpp>

#include <map>
#include <sstream>
#include <string>

namespace chainmail::test {

inline std::string scraped(caf::actor_system& system) {
  caf::telemetry::collector::prometheus collector;
  auto text = collector.collect_from(system.metrics());
  return {text.begin(), text.end()};
}

/// By name and labels: `chainmail_llm_calls_total{model="default"}`, labels in their order by name.
class series {
public:
  explicit series(caf::actor_system& system) {
    std::istringstream lines{scraped(system)};
    for (std::string line; std::getline(lines, line);)
      if (!line.starts_with("#")) {
        auto name_end = line.find(' ', line.find('}') == std::string::npos ? 0 : line.find('}'));
        all_.emplace(line.substr(0, name_end), std::stod(line.substr(name_end)));
      }
  }

  /// 0 for one that is not there.
  double operator[](const std::string& name) const {
    auto found = all_.find(name);
    return found == all_.end() ? 0 : found->second;
  }

  [[nodiscard]] const std::map<std::string, double>& all() const { return all_; }

private:
  std::map<std::string, double> all_;
};

} // namespace chainmail::test

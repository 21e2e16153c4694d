// What all runs of a report found: figures by name, for each pair.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::bench {

/// Of one run: "cpu_us_per_call" and such.
using run_figures = std::map<std::string, double>;

/// The numbers of a JSON object; what is no number is left out. Empty for another text.
run_figures figures_in(std::string_view json);

/// The middle of several runs, and how far they are apart.
struct spread {
  double median = 0;
  double least = 0;
  double most = 0;
};

/// Nothing of no values.
std::optional<spread> spread_of(std::vector<double> values);

/// By run ("fanout 100"), then by pair. Runs that failed are not there.
class run_log {
public:
  void add(const std::string& run, size_t pair, run_figures found);

  /// One value a pair; pairs without it are left out.
  [[nodiscard]] std::map<size_t, double> values(
      const std::string& run, const std::string& figure) const;

  [[nodiscard]] std::optional<spread> summary(
      const std::string& run, const std::string& figure) const;

  [[nodiscard]] const std::map<std::string, std::map<size_t, run_figures>>& runs() const {
    return runs_;
  }

private:
  std::map<std::string, std::map<size_t, run_figures>> runs_;
};

/// Combines two figures of the same pair; pairs that miss one are left out.
template <class Combine>
std::map<size_t, double> combine(
    const std::map<size_t, double>& a, const std::map<size_t, double>& b, Combine with) {
  std::map<size_t, double> result;
  for (const auto& [pair, value] : a)
    if (auto other = b.find(pair); other != b.end())
      result.emplace(pair, with(value, other->second));
  return result;
}

std::optional<spread> spread_of(const std::map<size_t, double>& by_pair);

} // namespace chainmail::bench

// Medians over pairs.
#include "run_log.hpp"

#include <rapidjson/document.h>

#include <algorithm>

namespace chainmail::bench {

run_figures figures_in(std::string_view json) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  run_figures result;
  if (document.HasParseError() || !document.IsObject())
    return result;
  for (const auto& member : std::as_const(document).GetObject())
    if (member.value.IsNumber())
      result.emplace(member.name.GetString(), member.value.GetDouble());
  return result;
}

std::optional<spread> spread_of(std::vector<double> values) {
  if (values.empty())
    return std::nullopt;
  std::ranges::sort(values);
  auto middle = values.size() / 2;
  auto median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return spread{median, values.front(), values.back()};
}

std::optional<spread> spread_of(const std::map<size_t, double>& by_pair) {
  std::vector<double> values;
  values.reserve(by_pair.size());
  for (const auto& [pair, value] : by_pair)
    values.push_back(value);
  return spread_of(std::move(values));
}

void run_log::add(const std::string& run, size_t pair, run_figures found) {
  runs_[run][pair] = std::move(found);
}

std::map<size_t, double> run_log::values(const std::string& run, const std::string& figure) const {
  std::map<size_t, double> result;
  auto found = runs_.find(run);
  if (found == runs_.end())
    return result;
  for (const auto& [pair, figures] : found->second)
    if (auto value = figures.find(figure); value != figures.end())
      result.emplace(pair, value->second);
  return result;
}

std::optional<spread> run_log::summary(const std::string& run, const std::string& figure) const {
  return spread_of(values(run, figure));
}

} // namespace chainmail::bench

// Text forms of the faults, and the draws that follow from the options.

#include "options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace chainmail::simulator {

namespace {

// -- names --------------------------------------------------------------------

constexpr std::array<std::string_view, fault_kinds> names = {
    "ok", "429", "500", "503", "reset", "hang", "truncated", "invalid_json", "drip"};

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

fault parse_fault(std::string_view text) {
  auto found = std::ranges::find(names, text);
  if (found != names.end())
    return static_cast<fault>(found - names.begin());
  std::string message = "unknown fault " + quoted(text) + "; the faults are";
  for (auto name : names)
    message.append(name == names.front() ? " " : ", ").append(name);
  throw std::invalid_argument(message);
}

// -- lists --------------------------------------------------------------------

std::string_view trimmed(std::string_view text) {
  auto from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos)
    return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

template <class Visit>
void for_each_item(std::string_view text, Visit visit) {
  if (trimmed(text).empty())
    return;
  for (;;) {
    auto comma = text.find(',');
    visit(trimmed(text.substr(0, comma)));
    if (comma == std::string_view::npos)
      return;
    text.remove_prefix(comma + 1);
  }
}

fault_rate parse_fault_rate(std::string_view text) {
  auto colon = text.find(':');
  if (colon == std::string_view::npos)
    throw std::invalid_argument("a fault rate is KIND:RATE, such as 429:0.1; got " + quoted(text));
  auto number = text.substr(colon + 1);
  double rate = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), rate);
  if (error != std::errc{} || end != number.data() + number.size())
    throw std::invalid_argument("the rate in " + quoted(text) + " is not a number");
  return {parse_fault(text.substr(0, colon)), rate};
}

void check_rates(const std::vector<fault_rate>& rates) {
  double sum = 0;
  for (const auto& [kind, rate] : rates) {
    if (!(rate >= 0 && rate <= 1))
      throw std::invalid_argument("the rate of fault " + quoted(to_string(kind)) +
                                  " must be from 0 to 1; got " + std::to_string(rate));
    sum += rate;
  }
  if (sum > 1 + 1e-9)
    throw std::invalid_argument(
        "the fault rates add up to " + std::to_string(sum) + ", which is more than 1");
}

} // namespace

std::string_view to_string(fault kind) {
  return names[static_cast<std::size_t>(kind)];
}

std::vector<fault> parse_script(std::string_view text) {
  std::vector<fault> script;
  for_each_item(text, [&](std::string_view item) { script.push_back(parse_fault(item)); });
  return script;
}

std::vector<fault_rate> parse_fault_rates(std::string_view text) {
  std::vector<fault_rate> rates;
  for_each_item(text, [&](std::string_view item) { rates.push_back(parse_fault_rate(item)); });
  check_rates(rates);
  return rates;
}

// -- draws --------------------------------------------------------------------

behaviour::behaviour(const options& opts)
  : script_(opts.script),
    rates_(opts.fault_rates),
    median_(opts.latency),
    sigma_(opts.sigma),
    random_(opts.seed) {
  check_rates(rates_);
  if (median_.count() < 0)
    throw std::invalid_argument("the latency must not be negative");
  if (!(sigma_ >= 0 && sigma_ <= 10))
    throw std::invalid_argument("sigma must be from 0 to 10");
  if (opts.retry_after.count() < 0)
    throw std::invalid_argument("retry_after must not be negative");
}

fault behaviour::next_fault() {
  if (scripted_ < script_.size())
    return script_[scripted_++];
  if (rates_.empty())
    return fault::ok;
  double drawn = std::uniform_real_distribution<>{}(random_);
  for (const auto& [kind, rate] : rates_) {
    drawn -= rate;
    if (drawn < 0)
      return kind;
  }
  return fault::ok;
}

std::chrono::nanoseconds behaviour::next_latency() {
  if (sigma_ == 0 || median_.count() == 0)
    return median_;
  constexpr std::chrono::duration<double, std::nano> longest = std::chrono::hours(1);
  double factor = std::exp(sigma_ * std::normal_distribution<>{}(random_));
  auto drawn = std::min(longest, std::chrono::duration<double, std::nano>(median_) * factor);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(drawn);
}

} // namespace chainmail::simulator

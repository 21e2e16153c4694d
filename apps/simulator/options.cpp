// Text forms of the faults, and the draws that follow from the options.

#include "options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>

namespace chainmail::simulator {

namespace {

// -- names --------------------------------------------------------------------

constexpr std::array<std::string_view, fault_kinds> names = {"ok", "429", "500", "503", "reset",
    "hang", "truncated", "invalid_json", "drip", "break", "stall", "error", "schema"};

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

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

fault_rate parse_fault_rate(std::string_view text) {
  auto colon = text.find(':');
  if (colon == std::string_view::npos)
    throw std::invalid_argument("a fault rate is KIND:RATE, such as 429:0.1; got " + quoted(text));
  auto rate = parse_number(text.substr(colon + 1));
  if (!rate)
    throw std::invalid_argument("the rate in " + quoted(text) + " is not a number");
  return {parse_fault(text.substr(0, colon)), *rate};
}

/// Empty for what is no time from 0 to a day.
std::optional<std::chrono::milliseconds> parse_time(std::string_view text) {
  struct unit {
    std::string_view name;
    double ms;
  };
  for (auto [name, ms] : {unit{"ms", 1}, unit{"s", 1'000}, unit{"min", 60'000}}) {
    if (!text.ends_with(name))
      continue;
    auto number = parse_number(text.substr(0, text.size() - name.size()));
    if (number && *number >= 0 && *number * ms <= 86'400'000)
      return std::chrono::milliseconds(std::llround(*number * ms));
  }
  return std::nullopt;
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

void check_slow(const slow_share& slow) {
  if (!(slow.share >= 0 && slow.share <= 1))
    throw std::invalid_argument(
        "the slow share must be from 0 to 1; got " + std::to_string(slow.share));
  if (!(slow.factor >= 1 && slow.factor <= 1e6))
    throw std::invalid_argument("the factor of the slow share must be from 1 to 1000000; got " +
                                std::to_string(slow.factor));
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

slow_share parse_slow_share(std::string_view text) {
  auto colon = std::min(text.find(':'), text.size());
  auto share = parse_number(text.substr(0, colon));
  auto factor = parse_number(text.substr(std::min(colon + 1, text.size())));
  if (!share || !factor)
    throw std::invalid_argument(
        "a slow share is SHARE:FACTOR, such as 0.05:20; got " + quoted(text));
  slow_share slow{*share, *factor};
  check_slow(slow);
  return slow;
}

outage_time parse_outage(std::string_view text) {
  constexpr std::string_view dots = "..";
  auto at = std::min(text.find(dots), text.size());
  auto from = parse_time(text.substr(0, at));
  auto until = parse_time(text.substr(std::min(at + dots.size(), text.size())));
  if (!from || !until || *from >= *until)
    throw std::invalid_argument(
        "an outage is FROM..TO within a day, such as 5s..25s (units: ms, s, "
        "min), FROM before TO; got " +
        quoted(text));
  return {*from, *until};
}

// -- draws --------------------------------------------------------------------

behaviour::behaviour(const options& opts)
  : script_(opts.script),
    rates_(opts.fault_rates),
    median_(opts.latency),
    sigma_(opts.sigma),
    slow_(opts.slow),
    token_rate_(opts.token_rate),
    token_jitter_(opts.token_jitter),
    random_(opts.seed) {
  check_rates(rates_);
  if (median_.count() < 0)
    throw std::invalid_argument("the latency must not be negative");
  if (!(sigma_ >= 0 && sigma_ <= 10))
    throw std::invalid_argument("sigma must be from 0 to 10");
  check_slow(slow_);
  if (slow_.share > 0 && median_.count() == 0)
    throw std::invalid_argument("a slow share needs a latency that it can multiply; set one");
  if (!(token_rate_ >= 0 && token_rate_ <= 1e6))
    throw std::invalid_argument("the token rate must be from 0 to 1000000 a second");
  if (!(token_jitter_ >= 0 && token_jitter_ <= 1))
    throw std::invalid_argument("the token jitter must be from 0 to 1");
  if (opts.outage.from.count() < 0 || opts.outage.until < opts.outage.from)
    throw std::invalid_argument("an outage must not end before it begins, nor begin before 0");
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
  if ((sigma_ == 0 && slow_.share == 0) || median_.count() == 0)
    return median_;
  constexpr std::chrono::duration<double, std::nano> longest = std::chrono::hours(1);
  double factor = sigma_ == 0 ? 1 : std::exp(sigma_ * std::normal_distribution<>{}(random_));
  if (slow_.share > 0 && std::uniform_real_distribution<>{}(random_) < slow_.share)
    factor *= slow_.factor;
  auto drawn = std::min(longest, std::chrono::duration<double, std::nano>(median_) * factor);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(drawn);
}

token_pace behaviour::next_pace() {
  // Without a rate or jitter nothing is drawn, so that other draws stay as they are.
  bool varies = token_rate_ > 0 && token_jitter_ > 0;
  return {token_rate_, token_jitter_, varies ? random_() : 0};
}

token_pace::token_pace(double rate, double jitter, std::uint64_t seed)
  : gap_(rate > 0 ? 1e9 / rate : 0),
    jitter_(jitter),
    random_(static_cast<std::minstd_rand::result_type>(seed)) {
}

std::chrono::nanoseconds token_pace::next_gap() {
  double factor = 1;
  if (gap_ > 0 && jitter_ > 0)
    factor += std::uniform_real_distribution<>{-jitter_, jitter_}(random_);
  return std::chrono::nanoseconds(std::llround(gap_ * factor));
}

} // namespace chainmail::simulator

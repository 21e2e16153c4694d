// When the breaker opens, and when it closes again.
#include <chainmail/llm/policies/circuit_breaker.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace chainmail {

namespace {

/// So that chance alone does not open it: the smaller the numbers, the more of them it makes bad.
constexpr double standard_deviations = 4;

/// Far more than anybody wants; keeps sums of times far from their limits.
constexpr caf::timespan longest_rest = std::chrono::hours{24};

} // namespace

caf::error check(const breaker_options& options) {
  if (options.min_calls == 0)
    return invalid_input("min_calls is 0: the breaker would open before the first call");
  if (!(options.failure_share > 0 && options.failure_share <= 1))
    return invalid_input("failure_share must be more than 0 and not more than 1");
  if (options.window < std::chrono::milliseconds{1} || options.window > longest_rest)
    return invalid_input("the breaker's window must be between a millisecond and a day");
  if (options.open_for <= caf::timespan{0} || options.open_for > longest_rest)
    return invalid_input("open_for must be more than nothing and not more than a day");
  return {};
}

bool is_endpoint_failure(errc code) {
  switch (code) {
  case errc::server_error:
  case errc::connection_failed:
  case errc::timed_out:
  case errc::malformed_response:
  case errc::shut_down:
    return true;
  case errc::none:
  case errc::invalid_input:
  case errc::missing_input:
  case errc::unexpected_input:
  case errc::authentication:
  case errc::not_found:
  case errc::bad_request:
  case errc::rate_limited:
  case errc::cancelled:
  case errc::overloaded:
  case errc::response_too_large:
  case errc::content_filtered:
  case errc::unsupported:
  case errc::internal:
  case errc::unavailable:
    return false;
  }
  return false;
}

circuit_breaker::circuit_breaker(breaker_options options) : options_(options) {
}

std::optional<circuit_breaker::pass> circuit_breaker::allow(time_point now) {
  if (is_closed())
    return pass{era_, 0};
  if (now < retry_at_)
    return std::nullopt;
  probe_ = ++last_probe_;
  retry_at_ = now + probe_patience;
  return pass{era_, probe_};
}

void circuit_breaker::succeeded(pass sent, time_point now) {
  if (sent.era != era_)
    return;
  if (!is_closed())
    return close();
  ++slot_at(now).calls;
  failures_in_a_row_ = 0;
}

void circuit_breaker::failed(pass sent, time_point now) {
  if (is_probe(sent)) {
    probe_ = 0;
    retry_at_ = now + options_.open_for;
  } else if (is_closed() && sent.era == era_) {
    auto& latest = slot_at(now);
    ++latest.calls;
    ++latest.failures;
    ++failures_in_a_row_;
    if (has_failed_enough())
      open(now);
  }
}

void circuit_breaker::abandoned(pass sent, time_point now) {
  if (!is_probe(sent))
    return;
  probe_ = 0;
  retry_at_ = now;
}

circuit_breaker::mode circuit_breaker::current(time_point now) const {
  if (is_closed())
    return mode::closed;
  return probe_ != 0 || now >= retry_at_ ? mode::half_open : mode::open;
}

bool circuit_breaker::is_probe(pass sent) const {
  return !is_closed() && sent.era == era_ && sent.probe != 0 && sent.probe == probe_;
}

bool circuit_breaker::has_failed_enough() const {
  if (failures_in_a_row_ >= options_.min_calls)
    return true;
  slot sum;
  for (const auto& each : slots_) {
    sum.calls += each.calls;
    sum.failures += each.failures;
  }
  if (sum.calls < options_.min_calls)
    return false;
  auto calls = static_cast<double>(sum.calls);
  auto expected = calls * options_.failure_share;
  auto deviation = std::sqrt(expected * (1 - options_.failure_share));
  return static_cast<double>(sum.failures) >= expected + standard_deviations * deviation;
}

circuit_breaker::slot& circuit_breaker::slot_at(time_point now) {
  auto size = static_cast<int64_t>(slots_.size());
  auto width = options_.window / size;
  auto newest = std::max(now.time_since_epoch() / width, newest_slot_);
  auto passed = std::min(newest - newest_slot_, size);
  newest_slot_ = newest;
  for (int64_t i = 0; i < passed; ++i)
    slots_[static_cast<size_t>((newest - i) % size)] = {};
  return slots_[static_cast<size_t>(newest % size)];
}

void circuit_breaker::open(time_point now) {
  ++era_;
  retry_at_ = now + options_.open_for;
}

void circuit_breaker::close() {
  ++era_;
  probe_ = 0;
  retry_at_ = time_point::min();
  failures_in_a_row_ = 0;
  slots_ = {};
}

} // namespace chainmail

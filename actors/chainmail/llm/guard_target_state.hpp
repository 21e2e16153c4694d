// What a guard knows of one of its targets.
#pragma once

#include <chainmail/caf/metrics.hpp>
#include <chainmail/llm/guarded.hpp>
#include <chainmail/llm/policies/usage_estimate.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace chainmail {

/// A target with its own breaker, hedging and estimates.
class guard_target_state {
public:
  using time_point = deadline::clock::time_point;

  guard_target_state(caf::actor_system& system, guard_target of, const guard_options& options);

  guard_target target;
  std::optional<circuit_breaker> breaker;
  std::optional<hedge_policy> hedge;

  /// Whether its attempts need a permit.
  [[nodiscard]] bool asks_limiter() const { return has_limiter_ && limits_ != limits::none; }

  /// The target's name and the model that this request is for: for attempts and for errors, and
  /// what its limits are counted under.
  [[nodiscard]] std::string name_for(const llm_request& request) const;

  /// Tokens that the request will likely use.
  [[nodiscard]] int64_t estimate(const llm_request& request) const;

  /// Tokens of a stream that broke after this text.
  [[nodiscard]] int64_t used_by(const llm_request& request, std::string_view text) const;

  /// Leave to make an attempt, or nothing while the breaker is open. Each is followed by one of the
  /// three below.
  std::optional<circuit_breaker::pass> allow(time_point now);

  void answered(circuit_breaker::pass pass, const llm_result& result, time_point now);

  /// `had_time`: the call is not due yet.
  void failed(circuit_breaker::pass pass, errc code, bool had_time, const error_detail& detail,
      time_point now);

  /// The attempt was not made.
  void abandoned(circuit_breaker::pass pass, time_point now);

private:
  void show_breaker();

  std::string usual_name_;
  usage_estimate usage_;
  bool has_limiter_;

  /// Whether the endpoint has any, as far as one knows.
  enum class limits : uint8_t { unknown, none, some } limits_;

  std::optional<metrics::gauge> breaker_open_;
};

} // namespace chainmail

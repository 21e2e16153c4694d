// What answers and failures teach about a target.
#include <chainmail/llm/guard_target_state.hpp>

namespace chainmail {

namespace {

std::string join_name(const std::string& name, const std::optional<std::string>& model) {
  if (!model || model->empty())
    return name;
  return name.empty() ? *model : name + " " + *model;
}

} // namespace

guard_target_state::guard_target_state(
    caf::actor_system& system, guard_target of, const guard_options& options)
  : target(std::move(of)),
    usual_name_(join_name(target.name, target.model ? target.model : target.defaults.model)),
    usage_(token_counter::shared()),
    has_limiter_(static_cast<bool>(options.limiter)),
    limits_(options.limits_are_known ? limits::some : limits::unknown) {
  if (options.breaker) {
    breaker.emplace(*options.breaker);
    breaker_open_.emplace(
        system, metrics::metric::llm_breaker_open, metrics::label_values{usual_name_});
  }
  if (options.hedge)
    hedge.emplace(*options.hedge);
}

std::string guard_target_state::name_for(const llm_request& request) const {
  if (target.model || !request.parameters.model)
    return usual_name_;
  return join_name(target.name, request.parameters.model);
}

int64_t guard_target_state::estimate(const llm_request& request) const {
  return usage_.of(request, target.defaults);
}

int64_t guard_target_state::used_by(const llm_request& request, std::string_view text) const {
  return usage_.so_far(request, target.defaults, text);
}

std::optional<circuit_breaker::pass> guard_target_state::allow(time_point now) {
  return breaker ? breaker->allow(now) : circuit_breaker::pass{};
}

void guard_target_state::answered(
    circuit_breaker::pass pass, const llm_result& result, time_point now) {
  if (breaker)
    breaker->succeeded(pass, now);
  show_breaker();
  if (result.limits)
    limits_ = limits::some;
  else if (limits_ == limits::unknown)
    limits_ = limits::none;
  if (has_limiter_)
    usage_.learn(result.completions.size(), result.usage);
}

void guard_target_state::failed(circuit_breaker::pass pass, errc code, bool had_time,
    const error_detail& detail, time_point now) {
  if (code == errc::rate_limited || detail.limits)
    limits_ = limits::some;
  if (!breaker)
    return;
  auto is_callers_doing = code == errc::cancelled || (code == errc::timed_out && !had_time);
  if (is_callers_doing)
    breaker->abandoned(pass, now);
  else if (is_endpoint_failure(code))
    breaker->failed(pass, now);
  else
    breaker->succeeded(pass, now);
  show_breaker();
}

/// Half open counts as open: all calls but one are refused.
void guard_target_state::show_breaker() {
  if (breaker)
    breaker_open_->set(breaker->retry_at() != time_point::min() ? 1 : 0);
}

void guard_target_state::abandoned(circuit_breaker::pass pass, time_point now) {
  if (breaker)
    breaker->abandoned(pass, now);
}

} // namespace chainmail

// Counting by model.
#include <chainmail/llm/guard_metrics.hpp>

namespace chainmail {

using metrics::metric;

model_metrics::model_metrics(
    caf::actor_system& system, const std::string& model, const token_prices* prices)
  : calls(system, metric::llm_calls_total, model),
    attempts(system, metric::llm_attempts_total, {model}),
    retries(system, metric::llm_retries_total, {model}),
    fallbacks(system, metric::llm_fallbacks_total, {model}),
    hedges(system, metric::llm_hedges_total, {model}),
    cache_hits(system, metric::llm_cache_hits_total, {model}),
    shared_calls(system, metric::llm_shared_calls_total, {model}),
    prompt_tokens(system, metric::llm_prompt_tokens_total, {model}),
    completion_tokens(system, metric::llm_completion_tokens_total, {model}),
    limiter_wait(system, metric::llm_limiter_wait_seconds, {model}),
    first_token(system, metric::llm_first_token_seconds, {model}) {
  if (prices == nullptr)
    return;
  prices_ = *prices;
  cost_.emplace(system, metric::llm_cost_total, metrics::label_values{model});
}

void model_metrics::use(const token_usage& usage) const {
  prompt_tokens.add(usage.prompt_tokens);
  completion_tokens.add(usage.completion_tokens);
  if (!cost_)
    return;
  auto tokens = [](int64_t count) { return count > 0 ? static_cast<double>(count) : 0.0; };
  cost_->add((tokens(usage.prompt_tokens) * prices_.prompt +
                 tokens(usage.completion_tokens) * prices_.completion) /
             1e6);
}

model_metrics& guard_metrics::of(const guard_target& target, const llm_request& request) {
  const auto& chosen = target.model               ? target.model
                       : request.parameters.model ? request.parameters.model
                                                  : target.defaults.model;
  return chosen ? named(*chosen) : named({});
}

model_metrics& guard_metrics::named(const std::string& model) {
  constexpr size_t most = 32;
  if (auto found = models_.find(model); found != models_.end())
    return found->second;
  if (models_.size() >= most && model != "other")
    return named("other");
  auto priced = prices_.find(model);
  return models_
      .try_emplace(model, system_, model.empty() ? "default" : model,
          priced != prices_.end() ? &priced->second : nullptr)
      .first->second;
}

} // namespace chainmail

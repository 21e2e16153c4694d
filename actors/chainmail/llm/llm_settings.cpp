// Options by name.
#include <chainmail/caf/main.hpp>
#include <chainmail/llm/llm_settings.hpp>

#include <caf/config_option_adder.hpp>
#include <caf/config_option_set.hpp>

#include <limits>

namespace chainmail {

void llm_settings::add_to(caf::config_option_set& options, const std::string& category) {
  caf::config_option_adder{options, category}
      .add(base_url, "base-url",
          "endpoint, such as http://127.0.0.1:8080/v1 (default: OPENAI_BASE_URL)")
      .add(model, "model", "model to ask")
      .add(fallback_models, "fallback-models", "models to ask, in order, when that one fails")
      .add(requests_per_minute, "requests-per-minute", "limit (default: what the endpoint says)")
      .add(tokens_per_minute, "tokens-per-minute", "limit (default: what the endpoint says)")
      .add(max_in_flight, "max-in-flight", "calls at once (default: adapts to 429s)")
      .add(attempts, "attempts",
          with_default("attempts at a call, 429s apart; 1: no retry", attempts))
      .add(attempt_timeout, "attempt-timeout",
          with_default("when an attempt is given up", attempt_timeout))
      .add(first_token_timeout, "first-token-timeout",
          "when a stream is given up that has no text yet (default: none)")
      .add(idle_timeout, "idle-timeout",
          with_default("when a stream is given up that stalls", idle_timeout))
      .add(hedge, "hedge", "ask a second time when an answer takes unusually long")
      .add(cache, "cache", "keep the answers of requests with temperature 0 or a seed")
      .add(cache_file, "cache-file", "keep them in this file, too")
      .add(cache_time, "cache-time", with_default("how long answers are kept", cache_time))
      .add(prompt_price, "prompt-price",
          "of a million tokens of the model, for metrics (default: none)")
      .add(completion_price, "completion-price",
          "of a million tokens of the model, for metrics (default: none)");
}

caf::error llm_settings::apply_to(llm_config& config) const {
  constexpr uint64_t most = 1'000'000'000'000;
  if (requests_per_minute > most || tokens_per_minute > most)
    return make_failure(errc::invalid_input, "a limit a minute must be at most 1000000000000");
  if (attempts == 0 || attempts > 1'000)
    return make_failure(errc::invalid_input, "attempts must be between 1 and 1000");
  if (max_in_flight > std::numeric_limits<uint32_t>::max())
    return make_failure(errc::invalid_input, "max-in-flight must be at most 4294967295");
  if (!base_url.empty())
    config.endpoint.base_url = base_url;
  if (!model.empty())
    config.endpoint.defaults.model = model;
  config.endpoint.first_token_timeout = first_token_timeout;
  config.endpoint.idle_timeout = idle_timeout;
  for (const auto& name : fallback_models) {
    config.fallbacks.push_back(config.endpoint);
    config.fallbacks.back().defaults.model = name;
  }
  auto& limits = config.limits.defaults;
  if (requests_per_minute > 0)
    limits.requests_per_minute = static_cast<int64_t>(requests_per_minute);
  if (tokens_per_minute > 0)
    limits.tokens_per_minute = static_cast<int64_t>(tokens_per_minute);
  if (max_in_flight > 0)
    limits.max_in_flight = static_cast<uint32_t>(max_in_flight);
  config.retry.max_attempts = static_cast<uint32_t>(attempts);
  config.retry.attempt_timeout = attempt_timeout;
  if (hedge)
    config.hedge.emplace();
  if (cache || !cache_file.empty()) {
    config.cache.emplace();
    config.cache->time_to_live = cache_time;
    config.cache_file = cache_file;
  }
  if (!(prompt_price >= 0 && completion_price >= 0))
    return make_failure(errc::invalid_input, "prices must be 0 or more");
  if (prompt_price > 0 || completion_price > 0)
    config.prices[config.endpoint.defaults.model.value_or("")] = {prompt_price, completion_price};
  return check(config);
}

} // namespace chainmail

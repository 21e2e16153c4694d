// Options by name.
#include <chainmail/caf/main.hpp>
#include <chainmail/llm/llm_settings.hpp>

#include <caf/config_option_adder.hpp>
#include <caf/config_option_set.hpp>

#include <cstdlib>
#include <limits>

namespace chainmail {

namespace {

caf::error choose_api(const std::string& api, llm_config& config) {
  if (api == "anthropic") {
    config.anthropic = anthropic_options::from_environment();
    config.anthropic->defaults = config.endpoint.defaults;
  } else if (api == "completions" || api == "chat") {
    config.anthropic.reset();
    config.endpoint.api = api == "chat" ? openai_api::chat : openai_api::completions;
  } else if (!api.empty()) {
    return make_failure(errc::invalid_input,
        "the API '" + api + "' is none; there are: completions, chat, anthropic");
  }
  return {};
}

template <class Options>
void apply_to_endpoint(const llm_settings& from, Options& endpoint, llm_config& config) {
  if (!from.base_url.empty())
    endpoint.base_url = from.base_url;
  if (!from.model.empty())
    endpoint.defaults.model = from.model;
  endpoint.first_token_timeout = from.first_token_timeout;
  endpoint.idle_timeout = from.idle_timeout;
  for (const auto& name : from.fallback_models) {
    auto fallback = endpoint;
    fallback.defaults.model = name;
    config.fallbacks.emplace_back(std::move(fallback));
  }
}

std::string model_of(const llm_config& config) {
  const auto& defaults = config.anthropic ? config.anthropic->defaults : config.endpoint.defaults;
  return defaults.model.value_or("");
}

bool is_set(const char* name) {
  auto* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
  return text != nullptr && *text != '\0';
}

} // namespace

bool llm_settings::has_endpoint() const {
  if (!base_url.empty())
    return true;
  return api == "anthropic" ? is_set("ANTHROPIC_API_KEY") || is_set("ANTHROPIC_BASE_URL")
                            : is_set("OPENAI_API_KEY") || is_set("OPENAI_BASE_URL");
}

void llm_settings::add_to(caf::config_option_set& options, const std::string& category) {
  caf::config_option_adder{options, category}
      .add(api, "api", "completions, chat or anthropic (default: the program's)")
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
  if (auto error = choose_api(api, config))
    return error;
  if (config.anthropic)
    apply_to_endpoint(*this, *config.anthropic, config);
  else
    apply_to_endpoint(*this, config.endpoint, config);
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
    config.prices[model_of(config)] = {prompt_price, completion_price};
  return check(config);
}

} // namespace chainmail

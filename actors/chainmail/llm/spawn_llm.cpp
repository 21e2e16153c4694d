// Client, limiter and guard, put together.
#include <chainmail/caf/supervisor.hpp>
#include <chainmail/llm/anthropic_client.hpp>
#include <chainmail/llm/anthropic_codec.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/openai_codec.hpp>
#include <chainmail/llm/openai_wire.hpp>
#include <chainmail/llm/spawn_llm.hpp>
#include <chainmail/llm/sqlite_cache.hpp>

#include <caf/actor_system.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

std::string name_of(const openai_options& endpoint) {
  auto path = endpoint.api == openai_api::chat ? "/chat/completions" : "/completions";
  return openai_endpoint(endpoint, path).name();
}

std::string name_of(const anthropic_options& endpoint) {
  return messages_url(endpoint);
}

llm_actor spawn_client(
    caf::actor_system& system, const http_actor& http, const openai_options& endpoint) {
  return spawn_openai_client(system, http, endpoint);
}

llm_actor spawn_client(
    caf::actor_system& system, const http_actor& http, const anthropic_options& endpoint) {
  return spawn_anthropic_client(system, http, endpoint);
}

guard_target start_target(
    caf::actor_system& system, const http_actor& http, const llm_endpoint& endpoint) {
  return std::visit(
      [&system, &http](const auto& options) {
        guard_target result;
        result.name = name_of(options);
        result.defaults = options.defaults;
        auto start = [&system, http, options] { return spawn_client(system, http, options); };
        result.llm = spawn_supervised<llm_actor>(system, start, "the LLM client");
        return result;
      },
      endpoint);
}

llm_endpoint first_endpoint(const llm_config& config) {
  if (config.anthropic)
    return *config.anthropic;
  return config.endpoint;
}

/// The model that a fallback is asked for, whatever the request says.
std::optional<std::string> model_of(const llm_endpoint& fallback, const llm_endpoint& first) {
  return std::visit(
      [&](const auto& options) {
        auto result = options.defaults.model;
        if (!result && fallback.index() != first.index())
          result = std::string{model_of(llm_request{}, options)};
        return result;
      },
      fallback);
}

/// Whether a limit stands in the configuration: else the limiter has nothing to say until the
/// endpoint does.
bool are_known(const rate_limiter_options& limits) {
  const auto& all = limits.defaults;
  return all.requests_per_minute || all.tokens_per_minute || all.max_in_flight ||
         !limits.keys.empty();
}

} // namespace

caf::error check(const llm_config& config) {
  auto endpoints = config.fallbacks;
  endpoints.push_back(first_endpoint(config));
  for (const auto& endpoint : endpoints)
    if (auto error = std::visit([](const auto& x) { return check(x); }, endpoint))
      return error;
  if (!config.cache_file.empty() && !config.cache)
    return make_failure(
        errc::invalid_input, "llm_config::cache_file needs llm_config::cache to be set, too");
  return check(config.limits);
}

llm_actor spawn_llm(caf::actor_system& system, const http_actor& http, const llm_config& config) {
  if (!http)
    throw std::invalid_argument{"an LLM needs a valid HTTP actor"};
  if (auto error = check(config))
    throw std::invalid_argument{sentence_of(error)};
  std::vector<guard_target> targets;
  auto first = first_endpoint(config);
  targets.push_back(start_target(system, http, first));
  for (const auto& fallback : config.fallbacks) {
    targets.push_back(start_target(system, http, fallback));
    targets.back().model = model_of(fallback, first);
  }
  guard_options options;
  options.retry = config.retry;
  options.breaker = config.breaker;
  options.hedge = config.hedge;
  options.single_flight = config.single_flight;
  options.cache = config.cache;
  if (!config.cache_file.empty())
    options.store = spawn_sqlite_cache(system, {.path = config.cache_file});
  options.prices = config.prices;
  options.limits_are_known = config.limiter || are_known(config.limits);
  options.limiter = config.limiter;
  if (!options.limiter) {
    auto start = [&system, limits = config.limits] { return spawn_rate_limiter(system, limits); };
    options.limiter = spawn_supervised<rate_limiter_actor>(system, start, "the rate limiter");
  }
  return spawn_guarded(system, std::move(targets), std::move(options));
}

} // namespace chainmail

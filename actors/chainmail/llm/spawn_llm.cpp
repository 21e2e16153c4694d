// Client, limiter and guard, put together.
#include <chainmail/caf/supervisor.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/openai_wire.hpp>
#include <chainmail/llm/spawn_llm.hpp>
#include <chainmail/llm/sqlite_cache.hpp>

#include <caf/actor_system.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

guard_target start_target(
    caf::actor_system& system, const http_actor& http, const openai_options& endpoint) {
  guard_target result;
  auto path = endpoint.api == openai_api::chat ? "/chat/completions" : "/completions";
  result.name = openai_endpoint(endpoint, path).name();
  result.defaults = endpoint.defaults;
  auto start = [&system, http, endpoint] { return spawn_openai_client(system, http, endpoint); };
  result.llm = spawn_supervised<llm_actor>(system, start, "the LLM client");
  return result;
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
  if (auto error = check(config.endpoint))
    return error;
  for (const auto& fallback : config.fallbacks)
    if (auto error = check(fallback))
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
  targets.push_back(start_target(system, http, config.endpoint));
  for (const auto& fallback : config.fallbacks) {
    targets.push_back(start_target(system, http, fallback));
    targets.back().model = fallback.defaults.model;
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

// The usual stack around an LLM, from its configuration.
#pragma once

#include <chainmail/limits/rate_limiter.hpp>
#include <chainmail/llm/anthropic_options.hpp>
#include <chainmail/llm/guarded.hpp>
#include <chainmail/llm/openai_options.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace chainmail {

/// An endpoint of either wire format.
using llm_endpoint = std::variant<openai_options, anthropic_options>;

/// An endpoint, and what protects it and its callers. As it is made, it asks the endpoint of the
/// environment, retries what failed, leaves a failing endpoint alone, honours the limits that the
/// endpoint speaks of, and lets identical calls share one.
struct llm_config {
  openai_options endpoint = openai_options::from_environment();
  /// Asked instead of `endpoint`, when it is set.
  std::optional<anthropic_options> anthropic = {};
  /// Asked, in order, when the ones before failed: another model of the same endpoint, or another
  /// endpoint with a key of its own, in whichever wire format. One without a model is asked for the
  /// request's, unless the first endpoint is of the other format: then for its own usual one.
  std::vector<llm_endpoint> fallbacks = {};
  retry_options retry = {};
  std::optional<breaker_options> breaker = breaker_options{};
  std::optional<hedge_options> hedge = {};
  bool single_flight = true;
  std::optional<cache_options> cache = {};
  /// Where answers outlive the process; a cache in memory goes before it. Empty for nowhere.
  std::string cache_file = {};
  /// Of each endpoint and model. Those that are not set are learned from what the endpoint says.
  rate_limiter_options limits = {};
  /// Shared with others that use the same key; `limits` are then its own affair. Invalid for a
  /// limiter of this LLM alone.
  rate_limiter_actor limiter = {};
  /// As in guard_options.
  std::map<std::string, token_prices> prices = {};
};

/// errc::invalid_input, with the field and what to do, for a configuration that can never work.
caf::error check(const llm_config& config);

/// Spawns client, limiter and guard, in the order that docs/limits.md draws. Clients and limiter are
/// started anew when they crash. All of them live as long as the handle, or calls, do.
/// @throws std::invalid_argument for an invalid handle, or with the sentence of check(config).
/// @throws std::runtime_error when the cache's file cannot be used.
llm_actor spawn_llm(
    caf::actor_system& system, const http_actor& http, const llm_config& config = {});

} // namespace chainmail

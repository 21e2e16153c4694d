// What a guard counts, for each model that is asked for.
#pragma once

#include <chainmail/caf/metrics.hpp>
#include <chainmail/llm/guarded.hpp>

#include <optional>
#include <string>
#include <unordered_map>

namespace chainmail {

struct model_metrics {
  /// `prices` may be null.
  model_metrics(caf::actor_system& system, const std::string& model, const token_prices* prices);

  /// What a reply reports was used, whoever still wants it.
  void use(const token_usage& usage) const;

  metrics::calls calls;
  metrics::counter attempts;
  metrics::counter retries;
  metrics::counter fallbacks;
  metrics::counter hedges;
  metrics::counter cache_hits;
  metrics::counter shared_calls;
  metrics::counter prompt_tokens;
  metrics::counter completion_tokens;
  metrics::histogram limiter_wait;
  metrics::histogram first_token;

private:
  token_prices prices_;
  std::optional<metrics::sum> cost_;
};

class guard_metrics {
public:
  guard_metrics(caf::actor_system& system, std::map<std::string, token_prices> prices)
    : system_(system), prices_(std::move(prices)) {}

  /// Those of the model that a request for this target asks for. Stays valid. Callers may name any
  /// models: after the first 32, all others count as "other".
  model_metrics& of(const guard_target& target, const llm_request& request);

private:
  model_metrics& named(const std::string& model);

  caf::actor_system& system_;
  std::map<std::string, token_prices> prices_;
  std::unordered_map<std::string, model_metrics> models_;
};

} // namespace chainmail

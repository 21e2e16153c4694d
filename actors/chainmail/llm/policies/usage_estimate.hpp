// How many tokens a request will likely use, learned from those before it.
#pragma once

#include <chainmail/llm.hpp>
#include <chainmail/llm/token_counter.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

namespace chainmail {

/// Counts the prompt with a token_counter, and expects a completion somewhat longer than the last ones
/// were: by their mean deviation, so that few calls use more than was reserved for them. Reserving
/// max_tokens instead would leave most of a limit unused: few completions are that long.
class usage_estimate {
public:
  explicit usage_estimate(std::shared_ptr<token_counter> counter) : counter_(std::move(counter)) {}

  /// Prompt and completions. `defaults` fill what the request leaves open.
  [[nodiscard]] int64_t of(const llm_request& request, const llm_parameters& defaults) const;

  /// The prompt, and what there is of its completion.
  [[nodiscard]] int64_t so_far(
      const llm_request& request, const llm_parameters& defaults, std::string_view text) const;

  /// Takes what one request really used. Usage without completion tokens teaches nothing.
  void learn(size_t completions, const token_usage& used);

private:
  [[nodiscard]] size_t prompt_of(const llm_request& request, std::string_view model) const;

  std::shared_ptr<token_counter> counter_;
  /// Of one completion, over about the last 20 requests. OpenAI's own default limit to begin with.
  double completion_tokens_ = 16;
  double deviation_ = 0;
  bool has_learned_ = false;
};

} // namespace chainmail

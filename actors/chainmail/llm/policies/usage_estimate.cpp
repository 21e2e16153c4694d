// Estimates of token usage.
#include <chainmail/llm/policies/usage_estimate.hpp>

#include <algorithm>
#include <cmath>

namespace chainmail {

namespace {

/// OpenAI's count for one of 1024 x 1024 pixels; nobody looks at how large one is.
constexpr size_t tokens_of_image = 765;

std::string_view model_of(const llm_request& request, const llm_parameters& defaults) {
  const auto& model = request.parameters.model ? request.parameters.model : defaults.model;
  return model ? std::string_view{*model} : std::string_view{};
}

} // namespace

size_t usage_estimate::prompt_of(const llm_request& request, std::string_view model) const {
  size_t result = 0;
  for (const auto& text : request.prompts)
    result += counter_->count(text, model);
  for (const auto& message : request.messages) {
    result += counter_->count(message.content, model) + 4; // OpenAI's count: 3 and the role
    for (const auto& part : message.parts)
      result += part.image.empty() ? counter_->count(part.text, model) : tokens_of_image;
    for (const auto& call : message.tool_calls)
      result += counter_->count(call.name, model) + counter_->count(call.arguments, model);
  }
  for (const auto& tool : request.tools)
    result += counter_->count(tool.name, model) + counter_->count(tool.description, model) +
              counter_->count(tool.parameters, model);
  return result + counter_->count(request.response_schema, model);
}

int64_t usage_estimate::so_far(
    const llm_request& request, const llm_parameters& defaults, std::string_view text) const {
  auto model = model_of(request, defaults);
  return static_cast<int64_t>(prompt_of(request, model) + counter_->count(text, model));
}

int64_t usage_estimate::of(const llm_request& request, const llm_parameters& defaults) const {
  const auto& own = request.parameters;
  auto prompt = prompt_of(request, model_of(request, defaults));
  auto count = std::max<uint64_t>(request.prompts.size(), 1) *
               std::max(own.n.value_or(defaults.n.value_or(1)),
                   own.best_of.value_or(defaults.best_of.value_or(1)));
  const auto& limit = own.max_tokens ? own.max_tokens : defaults.max_tokens;
  auto each = completion_tokens_ + deviation_;
  if (limit)
    each = has_learned_ ? std::min(each, static_cast<double>(*limit)) : static_cast<double>(*limit);
  constexpr double most = 1e12;
  auto completions = std::clamp(std::ceil(each) * static_cast<double>(count), 0.0, most);
  return static_cast<int64_t>(prompt) + static_cast<int64_t>(completions);
}

void usage_estimate::learn(size_t completions, const token_usage& used) {
  if (used.completion_tokens <= 0 || completions == 0)
    return;
  auto each = static_cast<double>(used.completion_tokens) / static_cast<double>(completions);
  constexpr double weight = 0.05;
  if (has_learned_)
    deviation_ += weight * (std::abs(each - completion_tokens_) - deviation_);
  completion_tokens_ = has_learned_ ? (1 - weight) * completion_tokens_ + weight * each : each;
  has_learned_ = true;
}

} // namespace chainmail

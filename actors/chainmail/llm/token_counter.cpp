// Learning how many tokens models make.
#include <chainmail/llm/token_counter.hpp>
#include <chainmail/llm/token_estimate.hpp>

#include <algorithm>
#include <cmath>

namespace chainmail {

namespace {

constexpr double lowest_ratio = 0.25;
constexpr double highest_ratio = 4;
constexpr size_t shortest_prompt = 32;
/// The weight of a prompt is its length, but a long one shall not outweigh all others.
constexpr double longest_weight = 512;
/// What a report leaves of the weight of those before it: 1 - 1/20.
constexpr double decay = 0.95;
constexpr double largest_step = 2;
constexpr size_t most_models = 256;
constexpr size_t longest_model_name = 256;
constexpr uint64_t eager_samples = 8;
constexpr uint64_t sample_distance = 16;

} // namespace

size_t token_counter::count(std::string_view text, std::string_view model) const {
  auto estimate = static_cast<double>(estimate_tokens(text));
  auto tokens = static_cast<size_t>(std::llround(estimate * ratio(model)));
  return text.empty() ? 0 : std::max<size_t>(tokens, 1);
}

double token_counter::ratio(std::string_view model) const {
  std::lock_guard guard{mutex_};
  auto found = models_.find(model);
  return found == models_.end() ? 1 : found->second.ratio();
}

void token_counter::learn(
    std::string_view model, size_t estimated_tokens, int64_t reported_tokens) {
  if (estimated_tokens < shortest_prompt || reported_tokens <= 0)
    return;
  auto estimated = static_cast<double>(estimated_tokens);
  auto said = static_cast<double>(reported_tokens) / estimated;
  auto weight = std::min(estimated, longest_weight);
  std::lock_guard guard{mutex_};
  auto* known = find_or_add(model);
  if (known == nullptr)
    return;
  auto now = known->ratio();
  auto believed = std::clamp(
      std::clamp(said, now / largest_step, now * largest_step), lowest_ratio, highest_ratio);
  known->estimated = known->estimated * decay + weight;
  known->reported = known->reported * decay + weight * believed;
}

bool token_counter::wants_sample(std::string_view model) {
  std::lock_guard guard{mutex_};
  auto* known = find_or_add(model);
  if (known == nullptr)
    return false;
  auto asked = known->asked++;
  return asked < eager_samples || asked % sample_distance == 0;
}

token_counter::history* token_counter::find_or_add(std::string_view model) {
  ++uses_;
  auto found = models_.find(model);
  if (found == models_.end()) {
    if (model.size() > longest_model_name)
      return nullptr;
    if (models_.size() == most_models)
      models_.erase(std::min_element(models_.begin(), models_.end(),
          [](const auto& a, const auto& b) { return a.second.last_used < b.second.last_used; }));
    found = models_.emplace(model, history{longest_weight, longest_weight}).first;
  }
  found->second.last_used = uses_;
  return &found->second;
}

const std::shared_ptr<token_counter>& token_counter::shared() {
  static const auto instance = std::make_shared<token_counter>();
  return instance;
}

token_measure measure_tokens_of(std::string model) {
  return [model = std::move(model)](
             std::string_view text) { return token_counter::shared()->count(text, model); };
}

} // namespace chainmail

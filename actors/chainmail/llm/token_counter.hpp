// Counts a text's tokens as a model would, as well as can be told from what models report.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace chainmail {

/// Estimates tokens (see estimate_tokens) and corrects the estimate by what each model's replies
/// report. Safe to use from several threads; nothing but the look-up of a model happens under its
/// lock.
///
/// Before it has learned anything, it was held against cl100k_base: English prose and documents
/// came out 7 to 11 % too high, source code up to 20 % too high, JSON 6 % too low, French and
/// German 15 and 26 % too low, eight other languages from 6 % too low to 24 % too high, and random
/// letters such as base64 30 % too low. Models with larger vocabularies make far fewer tokens of
/// languages other than English.
class token_counter {
public:
  /// The model's name as it is put into requests: what usage is learned under. Requests that leave
  /// the model to their client are learned under the empty name too. A model that is not known
  /// counts as the estimate does. At least 1 for a text that is not empty.
  [[nodiscard]] size_t count(std::string_view text, std::string_view model) const;

  /// Tokens that the model makes where the estimate says one: 0.25 to 4, and 1 for an unknown
  /// model.
  [[nodiscard]] double ratio(std::string_view model) const;

  /// Takes one reply's report of a prompt that was estimated at so many tokens. Estimates under 32
  /// tokens teach nothing, nor do reports of none. A report counts as at most double or half of
  /// what was known, and the last 20 long prompts make up the ratio. Of more than 256 models, the
  /// one that was heard of longest ago is forgotten.
  void learn(std::string_view model, size_t estimated_tokens, int64_t reported_tokens);

  /// Whether this reply's prompt is worth an estimate: the first 8 of a model, then each 16th.
  /// Counts the asking.
  [[nodiscard]] bool wants_sample(std::string_view model);

  /// The one of this process: a model's ratio is the same for whoever asks.
  static const std::shared_ptr<token_counter>& shared();

private:
  /// Exponentially weighted sums of estimates and of reports. They start as if one long prompt had
  /// been reported just as estimated.
  struct history {
    double estimated;
    double reported;
    uint64_t asked = 0;
    uint64_t last_used = 0;

    [[nodiscard]] double ratio() const { return reported / estimated; }
  };

  history* find_or_add(std::string_view model);

  mutable std::mutex mutex_;
  std::map<std::string, history, std::less<>> models_;
  uint64_t uses_ = 0;
};

/// Says how many tokens a text has; what chains take that have to measure. Called inside their
/// actors: it must be safe to call from several threads, and quick.
using token_measure = std::function<size_t(std::string_view)>;

/// Measures as the counter of this process counts for a model.
token_measure measure_tokens_of(std::string model);

} // namespace chainmail

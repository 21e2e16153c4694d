// Few-shot prompts: worked examples between a prefix and a suffix.
#pragma once

#include <chainmail/prompts/prompt_template.hpp>
#include <chainmail/values.hpp>

#include <caf/fwd.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// Chooses the examples that fit a call's inputs. Called like a prompt_template::partial.
using example_selector = std::function<caf::expected<std::vector<values>>(const values& inputs)>;

/// What a few-shot prompt is made of. Exactly one of `examples` and `selector` is set.
struct few_shot_options {
  std::vector<values> examples = {};
  example_selector selector = {};
  /// Formats one example, strictly. Its result goes into the prompt verbatim.
  prompt_template example_prompt = "";
  /// Templates around the examples; each is left out when empty.
  std::string prefix = {};
  std::string suffix = {};
  std::string separator = "\n\n";
};

/// errc::invalid_input when not exactly one source of examples is set, and the errors of the
/// templates. Examples that do not fit their template are found here, not at the first call.
caf::expected<prompt_template> make_few_shot_prompt(few_shot_options options);

/// How LangChain measures a text for its length selector: the pieces between newlines and spaces.
size_t count_words(std::string_view text);

/// Takes examples in order until one does not fit: the inputs' words and the examples' words
/// together are at most `max_words`. 2048 is LangChain's default.
caf::expected<example_selector> make_length_selector(
    std::vector<values> examples, const prompt_template& example_prompt, size_t max_words = 2048);

} // namespace chainmail

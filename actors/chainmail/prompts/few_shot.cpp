// How few-shot prompts are put together.
#include <chainmail/errors.hpp>
#include <chainmail/prompts/few_shot.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <memory>

namespace chainmail {

namespace {

caf::expected<std::string> join_examples(const std::vector<values>& examples,
    const prompt_template& example_prompt, const std::string& separator) {
  std::string joined;
  for (const auto& example : examples) {
    auto text = example_prompt.format(example);
    if (!text)
      return text;
    if (text->empty())
      continue;
    if (!joined.empty())
      joined += separator;
    joined += *text;
  }
  return joined;
}

} // namespace

caf::expected<prompt_template> make_few_shot_prompt(few_shot_options options) {
  if (options.examples.empty() == (options.selector == nullptr))
    return make_failure(errc::invalid_input,
        "a few-shot prompt takes either examples or a selector: exactly one of them");
  auto shared = std::make_shared<const few_shot_options>(std::move(options));
  auto middle = prompt_template::block{};
  if (shared->selector) {
    middle = [shared](const values& inputs) -> caf::expected<std::string> {
      auto chosen = shared->selector(inputs);
      if (!chosen)
        return std::move(chosen.error());
      return join_examples(*chosen, shared->example_prompt, shared->separator);
    };
  } else {
    auto joined = join_examples(shared->examples, shared->example_prompt, shared->separator);
    if (!joined)
      return std::move(joined.error());
    middle = [text = std::move(*joined)](
                 const values&) -> caf::expected<std::string> { return text; };
  }
  return prompt_template::around(
      shared->prefix, std::move(middle), shared->suffix, shared->separator);
}

size_t count_words(std::string_view text) {
  return 1 + static_cast<size_t>(std::count_if(
                 text.begin(), text.end(), [](char c) { return c == ' ' || c == '\n'; }));
}

caf::expected<example_selector> make_length_selector(
    std::vector<values> examples, const prompt_template& example_prompt, size_t max_words) {
  std::vector<size_t> lengths;
  for (const auto& example : examples) {
    auto text = example_prompt.format(example);
    if (!text)
      return std::move(text.error());
    lengths.push_back(count_words(*text));
  }
  return example_selector{[examples = std::move(examples), lengths = std::move(lengths), max_words](
                              const values& inputs) -> caf::expected<std::vector<values>> {
    std::string joined;
    for (const auto& [name, what] : inputs) {
      if (!joined.empty())
        joined += ' ';
      append_text(joined, what);
    }
    auto used = count_words(joined);
    std::vector<values> chosen;
    for (size_t i = 0; i < examples.size() && used + lengths[i] <= max_words; ++i) {
      used += lengths[i];
      chosen.push_back(examples[i]);
    }
    return chosen;
  }};
}

} // namespace chainmail

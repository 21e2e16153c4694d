// Prompt templates: text with {variables}, parsed once, formatted without surprises.
#pragma once

#include <chainmail/values.hpp>

#include <caf/fwd.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// A parsed template in the f-string style of LangChain: `{name}` is a variable, `{{` and `}}` are
/// braces. A variable's name is an identifier other than "stop", which llm_chain reserves for stop
/// sequences. Values go in as they are: braces in a value are never read as variables.
class prompt_template {
public:
  /// Text that stands in for a variable when the inputs do not have it. Copies of a template share
  /// it and call it in whichever actor formats: it must be safe to call from several threads, and
  /// quick.
  using partial = std::function<std::string()>;

  /// Text that depends on all the inputs at once, such as selected examples. Called like a partial.
  using block = std::function<caf::expected<std::string>(const values&)>;

  /// Implicit, so that a string literal can be passed for a template.
  /// @throws std::invalid_argument with the sentence of parse's error.
  prompt_template(std::string_view text); // NOLINT(google-explicit-constructor)
  prompt_template(const char* text);      // NOLINT(google-explicit-constructor)

  // -- making -----------------------------------------------------------------------

  /// errc::invalid_input, with the position, for an unpaired brace or a variable that is none.
  static caf::expected<prompt_template> parse(std::string_view text);

  /// Parses and holds the variables against a declaration: both must name the same set.
  static caf::expected<prompt_template> parse(
      std::string_view text, std::vector<std::string> declared);

  static caf::expected<prompt_template> from_file(const std::filesystem::path& path);

  /// Prefix, examples and suffix joined by the separator. The examples go in verbatim; prefix and
  /// suffix are templates, and are left out when empty.
  static caf::expected<prompt_template> from_examples(const std::vector<std::string>& examples,
      std::string_view suffix, std::string_view prefix = {}, std::string_view separator = "\n\n");

  /// `parts` joined by the separator, empty ones left out, with `middle` as the part in between.
  static caf::expected<prompt_template> around(
      std::string_view prefix, block middle, std::string_view suffix, std::string_view separator);

  /// The same template with a variable filled in; an input of that name still wins.
  /// errc::unexpected_input when the template has no such variable.
  [[nodiscard]] caf::expected<prompt_template> with_partial(
      std::string name, std::string text) const;
  [[nodiscard]] caf::expected<prompt_template> with_partial(std::string name, partial text) const;

  // -- using ------------------------------------------------------------------------

  /// The variables that the inputs must have, sorted: those without a partial.
  [[nodiscard]] const std::vector<std::string>& input_variables() const { return input_variables_; }

  /// Strict: errc::missing_input for a variable that has no value, errc::unexpected_input for an
  /// input that the template does not use, errc::invalid_input for a list where text belongs.
  [[nodiscard]] caf::expected<std::string> format(const values& inputs) const;

  /// Like format, but leaves alone the inputs that it does not use.
  [[nodiscard]] caf::expected<std::string> format_from(const values& inputs) const;

private:
  struct piece {
    enum kind_t { literal, variable, computed } kind;
    /// The text, or the variable's name.
    std::string text;
    std::shared_ptr<const block> compute;
  };

  prompt_template() = default;

  [[nodiscard]] caf::expected<std::string> format_pieces(const values& inputs) const;
  caf::error append_parsed(std::string_view text);
  void append_literal(std::string_view text);
  void collect_variables();
  [[nodiscard]] bool uses(std::string_view name) const;
  caf::error append_variable(std::string& to, const std::string& name, const values& inputs) const;

  std::vector<piece> pieces_;
  std::map<std::string, partial, std::less<>> partials_;
  std::vector<std::string> input_variables_;
};

} // namespace chainmail

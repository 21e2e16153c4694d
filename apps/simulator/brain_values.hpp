// Finds names, numbers and quotations in a text, for the fields of a schema. Private to the brain.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

/// Gives each thing that it finds once. Looks at the first 8 KiB of the text, which must outlive it.
class text_values {
public:
  explicit text_values(std::string_view text);

  std::string_view text() const { return text_; }

  /// A number that stands close behind the field's name, or the next one that nobody took.
  std::optional<double> take_number(std::string_view field);

  /// What stands behind the field's name ("city: Paris", "from Rome"), a quotation, a name, or
  /// `or_phrase` what follows the last preposition.
  std::optional<std::string> take_text(std::string_view field, bool or_phrase = true);

  /// The text mentions the field by a word of its name.
  bool mentions(std::string_view field) const;

  /// Something is left that a text field could be made of.
  bool has_name() const;

private:
  struct thing {
    std::string_view text;
    std::string before; ///< the word before it, in lower case
    std::size_t at = 0;
    double number = 0;
    bool is_taken = false;
  };

  void find_numbers();
  void find_quotations();
  void find_names();
  thing* behind(std::vector<thing>& things, std::string_view field, std::size_t reach);
  std::string_view after_preposition() const;

  std::string_view text_;
  std::string lower_;
  std::vector<thing> numbers_;
  std::vector<thing> names_; ///< and quotations, which come first
};

/// The words of "getCurrent_weather" as stems: "get", "current", "weather".
std::vector<std::string> words_of_name(std::string_view name);

} // namespace chainmail::simulator

// Output parsers: what a model wrote, as values.
#pragma once

#include <chainmail/values.hpp>

#include <caf/fwd.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// Finds a regular expression in a text and names its groups. The syntax is RE2's, which is Perl's
/// without look-around and back-references: `.` stops at a newline unless the pattern says (?s),
/// and `$` is the end of the text unless it says (?m). It takes time linear in the text, whatever
/// the pattern. Copies share the compiled pattern; one can be used from several threads.
class regex_parser {
public:
  /// Group i of the pattern becomes the value named keys[i]. With a `default_key`, which is one of
  /// the keys, a text without a match is no error. errc::invalid_input, with RE2's words, for a
  /// pattern that does not compile; also when the pattern does not have exactly as many groups as
  /// there are keys, or a key is empty or repeated.
  static caf::expected<regex_parser> make(
      std::string_view pattern, std::vector<std::string> keys, std::string_view default_key = {});

  /// The groups of the first match anywhere in the text; empty for a group that took no part. No
  /// match: all keys empty but the default key, which gets the whole text; without one,
  /// errc::malformed_response, which quotes the start of the text. A text that is not UTF-8 is
  /// searched byte by byte.
  [[nodiscard]] caf::expected<values> parse(std::string_view text) const;

  [[nodiscard]] const std::vector<std::string>& keys() const;

private:
  struct compiled;

  explicit regex_parser(std::shared_ptr<const compiled> what);

  std::shared_ptr<const compiled> compiled_;
};

/// The items between commas, each without blanks at its ends. Items may be empty; a text of blanks
/// has none.
std::vector<std::string> parse_comma_list(std::string_view text);

} // namespace chainmail

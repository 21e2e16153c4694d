// Checks JSON texts against a JSON schema: what models answer, and what they call tools with.
#pragma once

#include <caf/fwd.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace chainmail {

/// Where a document leaves its schema.
struct json_violation {
  /// A JSON pointer to what is wrong, "/items/2/price"; empty for the document as a whole.
  std::string pointer = {};
  /// The schema's word for it, "type"; empty when the text is no JSON, or more than is checked.
  std::string keyword = {};
  /// For a person or a model: "/items/2/price is a string; the schema wants a number". Of bounded
  /// length, whatever the document holds.
  std::string sentence = {};
};

/// A schema as providers take them: the assertions of draft 2020-12, and of draft 4 to 7 what was
/// written another way; $ref within the schema; OpenAPI's nullable. Patterns are RE2's (see
/// regex_parser), and `format` only describes. Copies share what was read; one can be used from
/// several threads.
class json_schema {
public:
  /// errc::invalid_input, with the place in the schema, for what is no schema, for references that
  /// lead nowhere or in a circle, and for the few keywords that are not checked here (such as
  /// unevaluatedProperties), rather than taking more for right than the schema does.
  static caf::expected<json_schema> parse(std::string_view text);

  /// The first violation that is found. Takes time linear in the text for all but schemas whose
  /// alternatives nest; what would take too long, or nests deeper than 128, is a violation.
  [[nodiscard]] std::optional<json_violation> check(std::string_view json) const;

private:
  struct compiled;

  explicit json_schema(std::shared_ptr<const compiled> what);

  std::shared_ptr<const compiled> compiled_;
};

} // namespace chainmail

// Documents of a JSON schema's shape, filled from a text. Private to the brain.

#pragma once

#include "brain_values.hpp"

#include <string>
#include <string_view>

namespace chainmail::simulator {

struct filling {
  /// For texts that nothing in the values fits: what the brain would have said.
  std::string_view prose = {};
  /// Properties that are not required are there only when the text has something for them.
  bool only_required = false;
  /// The first property gets a value of the wrong type.
  bool breaks_schema = false;
};

/// A document that has all required properties and no unknown ones: texts, numbers and enums found in
/// the text, limits kept where the schema names them (patterns are not looked at). What cannot be
/// found is the schema's default, its first example, or the least of its type.
std::string fill_schema(std::string_view schema, text_values& values, const filling& opts);

/// A required text or number of these parameters is not to be found in what is left of the text.
bool lacks_values(std::string_view schema, std::string_view text);

} // namespace chainmail::simulator

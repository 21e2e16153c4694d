// Finds the JSON in what a model wrote.
#pragma once

#include <string_view>

namespace chainmail {

/// The JSON text within `text`: all of it, or what stands between ``` fences, or from the first brace
/// or bracket to the last; whichever is JSON first. The whole text, without blanks around it, when
/// there is none.
std::string_view find_json(std::string_view text);

} // namespace chainmail

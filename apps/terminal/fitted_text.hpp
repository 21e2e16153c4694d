// Texts cut to a number of a terminal's columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace chainmail::terminal {

/// How many columns a UTF-8 text takes: two for the wide characters of East Asia and emoji, none for
/// those that combine with the one before.
size_t columns_of(std::string_view text);

/// Control characters, and bytes that are no UTF-8, become spaces: a model's text must not steer the
/// terminal.
std::string harmless(std::string_view text);

/// As much of the beginning as fits, with an ellipsis where something was cut.
std::string fit_head(std::string_view text, size_t columns, bool unicode);

/// The same of the end.
std::string fit_tail(std::string_view text, size_t columns, bool unicode);

} // namespace chainmail::terminal

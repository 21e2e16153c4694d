// Foreign text made fit for a sentence of ours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace chainmail {

/// The start of `text` on one line and in valid UTF-8, at most `limit` bytes and "..." where it was
/// cut. Line breaks and tabs become blanks; bytes that are no UTF-8, control characters and those
/// that turn the direction of writing become '?'.
std::string excerpt(std::string_view text, size_t limit);

} // namespace chainmail

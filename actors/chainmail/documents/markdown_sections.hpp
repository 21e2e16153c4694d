// Markdown documents by their headings.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace chainmail {

/// Takes a section: where it stands, such as "Install > Linux", and its text with the heading. The
/// path is empty before the first heading.
using section_reader = std::function<void(const std::string& path, std::string_view section)>;

/// Cuts a text before each ATX heading of CommonMark that is not in a fenced code block. Together
/// the sections are the text. A heading with nothing but blanks before a deeper heading is in that
/// one's section. Headings in paths are cut to 100 code points.
void for_each_section(std::string_view markdown, const section_reader& read);

} // namespace chainmail

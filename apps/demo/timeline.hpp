// The waterfall as a picture: one self-contained SVG or HTML file.
#pragma once

#include "bars.hpp"

#include <string>
#include <vector>

namespace chainmail::demo {

/// An SVG document that follows the reader's light or dark setting. Each bar's tooltip has its
/// times and its answer.
std::string draw_svg(
    const std::string& title, const std::string& subtitle, const std::vector<bar_group>& groups);

/// The same inside a page.
std::string draw_html(
    const std::string& title, const std::string& subtitle, const std::vector<bar_group>& groups);

} // namespace chainmail::demo

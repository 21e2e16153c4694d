// Asking the terminal, and its escape sequences.
#include "terminal.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

namespace chainmail::terminal {

namespace {

std::string_view environment(const char* name) {
  auto* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
  return text != nullptr ? text : "";
}

bool locale_is_utf8() {
  for (auto* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (auto text = environment(name); !text.empty())
      return text.find("UTF-8") != std::string_view::npos ||
             text.find("utf8") != std::string_view::npos;
  return false;
}

std::string painted(const char* code, const std::string& text, const terminal_style& style) {
  return style.color ? "\033[" + std::string{code} + "m" + text + "\033[0m" : text;
}

} // namespace

terminal_style detect_style(int file) {
  terminal_style result;
  result.is_terminal = isatty(file) == 1;
  winsize size{};
  if (result.is_terminal && ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    result.columns = std::min<size_t>(size.ws_col, 120);
  if (size.ws_row > 0)
    result.rows = size.ws_row;
  result.can_go_back = result.is_terminal && environment("TERM") != "dumb";
  result.color = result.can_go_back && environment("NO_COLOR").empty();
  result.unicode = locale_is_utf8();
  return result;
}

std::string bold(const std::string& text, const terminal_style& style) {
  return painted("1", text, style);
}

std::string red(const std::string& text, const terminal_style& style) {
  return painted("31", text, style);
}

std::string cyan(const std::string& text, const terminal_style& style) {
  return painted("36", text, style);
}

std::string dim(const std::string& text, const terminal_style& style) {
  return painted("2", text, style);
}

std::string repeat(std::string_view what, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i)
    result += what;
  return result;
}

std::string draw_progress(double share, size_t width, const terminal_style& style) {
  auto filled =
      static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(width)));
  return repeat(style.unicode ? "█" : "=", filled) +
         repeat(style.unicode ? "░" : ".", width - filled);
}

} // namespace chainmail::terminal

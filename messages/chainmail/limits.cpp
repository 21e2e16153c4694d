// The names of what becomes of a permit.
#include <chainmail/limits.hpp>

#include <array>

namespace chainmail {

namespace {

constexpr std::array<std::string_view, 4> outcome_names = {
    "answered", "rate_limited", "failed", "unused"};

} // namespace

std::string to_string(permit_use x) {
  auto index = static_cast<size_t>(x);
  return std::string{index < outcome_names.size() ? outcome_names[index] : "unknown"};
}

bool parse(std::string_view text, permit_use& x) {
  for (size_t i = 0; i < outcome_names.size(); ++i)
    if (text == outcome_names[i]) {
      x = static_cast<permit_use>(i);
      return true;
    }
  return false;
}

bool from_integer(uint8_t number, permit_use& x) {
  if (number >= outcome_names.size())
    return false;
  x = static_cast<permit_use>(number);
  return true;
}

} // namespace chainmail

// Reading chain values.
#include <chainmail/errors.hpp>
#include <chainmail/values.hpp>

#include <caf/expected.hpp>

#include <charconv>

namespace chainmail {

namespace {

template <class Number>
void append_number(std::string& to, Number x) {
  char buf[32]; // the shortest form of a double has at most 24 characters
  auto [end, failed] = std::to_chars(buf, buf + sizeof buf, x);
  (void)failed;
  to.append(buf, end);
}

} // namespace

const std::string* find_text(const values& from, std::string_view key) {
  auto found = from.find(key);
  return found == from.end() ? nullptr : std::get_if<std::string>(&found->second);
}

caf::expected<std::string> get_text(const values& from, std::string_view key) {
  if (auto* text = find_text(from, key))
    return *text;
  auto name = "'" + std::string{key} + "'";
  if (from.find(key) == from.end())
    return make_failure(errc::missing_input, "there is no value named " + name);
  return make_failure(errc::invalid_input, "the value named " + name + " is not text");
}

bool append_text(std::string& to, const value& what) {
  if (auto* text = std::get_if<std::string>(&what))
    to += *text;
  else if (auto* integer = std::get_if<int64_t>(&what))
    append_number(to, *integer);
  else if (auto* real = std::get_if<double>(&what))
    append_number(to, *real);
  else if (auto* flag = std::get_if<bool>(&what))
    to += *flag ? "true" : "false";
  else
    return false;
  return true;
}

} // namespace chainmail

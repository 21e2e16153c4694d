// Options from the environment, and what is wrong with them.
#include <chainmail/errors.hpp>
#include <chainmail/llm/openai_options.hpp>
#include <chainmail/llm/openai_wire.hpp>

#include <algorithm>
#include <string_view>

namespace chainmail {

namespace {

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f;
  });
}

} // namespace

openai_options openai_options::from_environment() {
  openai_options result;
  result.base_url = from_env("OPENAI_BASE_URL", result.base_url);
  result.key = api_key{from_env("OPENAI_API_KEY")};
  result.organization = from_env("OPENAI_ORG_ID");
  result.project = from_env("OPENAI_PROJECT_ID");
  return result;
}

caf::error check(const openai_options& options) {
  std::string_view url = options.base_url;
  auto scheme_end = url.find("://");
  auto scheme = url.substr(0, scheme_end == std::string_view::npos ? 0 : scheme_end);
  if (scheme != "http" && scheme != "https")
    return invalid_input(
        "base_url must start with http:// or https://, such as https://api.openai.com/v1");
  auto authority = url.substr(scheme_end + 3);
  authority = authority.substr(0, authority.find('/'));
  if (authority.empty())
    return invalid_input("base_url names no host");
  if (authority.find('@') != std::string_view::npos)
    return invalid_input(
        "base_url holds a user name or password; pass keys as the API key instead");
  if (url.find_first_of("?#") != std::string_view::npos)
    return invalid_input("base_url holds a query; api_version is its own option");
  if (!is_printable(url) || url.find(' ') != std::string_view::npos)
    return invalid_input("base_url holds a space or a control character");
  if (!is_printable(options.key.reveal()))
    return invalid_input("the API key holds a line break or another control character");
  for (const auto& [name, content] : options.extra_headers)
    if (name.empty() || !is_printable(name) || !is_printable(content) ||
        name.find_first_of(": ") != std::string::npos)
      return invalid_input("the extra header '" + name + "' is not a valid header");
  if (!is_printable(options.organization) || !is_printable(options.project) ||
      !is_printable(options.api_version))
    return invalid_input("organization, project or api_version holds a control character");
  if (options.first_token_timeout.count() < 0 || options.idle_timeout.count() < 0)
    return invalid_input("first_token_timeout and idle_timeout must not be negative");
  return {};
}

} // namespace chainmail

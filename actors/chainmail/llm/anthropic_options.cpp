// Options from the environment, and what is wrong with them.
#include <chainmail/llm/anthropic_codec.hpp>
#include <chainmail/llm/openai_wire.hpp>

namespace chainmail {

anthropic_options anthropic_options::from_environment() {
  anthropic_options result;
  result.base_url = from_env("ANTHROPIC_BASE_URL", result.base_url);
  result.key = api_key{from_env("ANTHROPIC_API_KEY")};
  return result;
}

caf::error check(const anthropic_options& options) {
  // The rules for URLs, keys and headers are the same.
  openai_options same;
  same.base_url = options.base_url;
  same.key = options.key;
  same.api_version = options.version;
  same.extra_headers = options.extra_headers;
  same.first_token_timeout = options.first_token_timeout;
  same.idle_timeout = options.idle_timeout;
  return check(same);
}

std::string messages_url(const anthropic_options& options) {
  auto url = without_slashes(options.base_url);
  return url.append(url.ends_with("/v1") ? "/messages" : "/v1/messages");
}

} // namespace chainmail

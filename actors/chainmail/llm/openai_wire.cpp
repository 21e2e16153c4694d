// URLs and headers of OpenAI requests.
#include <chainmail/llm/openai_wire.hpp>

#include <cstdlib>
#include <functional>
#include <utility>

namespace chainmail {

namespace {

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (auto c : text) {
    auto plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      result += c;
    } else {
      constexpr auto digits = "0123456789ABCDEF";
      auto byte = static_cast<unsigned char>(c);
      result += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return result;
}

std::vector<std::string> headers_of(const openai_options& options) {
  std::vector<std::string> lines{"Content-Type: application/json"};
  auto add = [&lines](const std::string& name, const std::string& value) {
    if (!value.empty())
      lines.push_back(name + ": " + value);
  };
  if (!options.key.empty() && options.api_version.empty())
    add("Authorization", "Bearer " + options.key.reveal());
  else
    add("api-key", options.key.reveal());
  add("OpenAI-Organization", options.organization);
  add("OpenAI-Project", options.project);
  for (const auto& [name, value] : options.extra_headers)
    add(name, value);
  return lines;
}

/// 128 bits in 22 characters: libcurl spends 60 instructions on each byte of a header.
std::string idempotency_key(const call_id& id, std::string_view body) {
  constexpr auto digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  auto mixed = [](uint64_t a, uint64_t b) { return call_id{1, a}.child(b).step; };
  auto content = std::hash<std::string_view>{}(body);
  std::string result;
  result.reserve(22);
  for (auto half : {mixed(id.root, id.step), mixed(content, id.root)})
    for (auto i = 0; i < 11; ++i, half >>= 6U)
      result += digits[half & 63U];
  return result;
}

} // namespace

std::string from_env(const char* name, std::string otherwise) {
  auto* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
  return text != nullptr && *text != '\0' ? std::string{text} : std::move(otherwise);
}

std::string without_slashes(std::string url) {
  while (url.ends_with('/'))
    url.pop_back();
  return url;
}

provider_endpoint openai_endpoint(const openai_options& options, std::string_view path) {
  std::string query;
  if (!options.api_version.empty())
    query = "?api-version=" + percent_encoded(options.api_version);
  return {without_slashes(options.base_url).append(path), std::move(query), headers_of(options)};
}

provider_endpoint::provider_endpoint(
    std::string url, std::string query, std::vector<std::string> secret_lines)
  : name_(std::move(url)), query_(std::move(query)), secrets_(std::move(secret_lines)) {
}

http_request provider_endpoint::post(std::string body, const call_id& id) const {
  http_request result;
  result.url = name_ + query_;
  // libcurl sends a POST again, by itself, when a kept connection turns out to be closed.
  result.headers.push_back({"Idempotency-Key", idempotency_key(id ? id : call_id::make(), body)});
  result.secrets = secrets_;
  result.body = std::move(body);
  return result;
}

} // namespace chainmail

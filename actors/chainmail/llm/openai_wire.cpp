// URLs and headers of OpenAI requests.
#include <chainmail/llm/openai_wire.hpp>

#include <array>
#include <charconv>
#include <functional>

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

secret_headers headers_of(const openai_options& options) {
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
  return secret_headers{std::move(lines)};
}

std::string hex(uint64_t x) {
  std::array<char, 16> digits{};
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), x, 16).ptr;
  return {digits.data(), end};
}

} // namespace

openai_endpoint::openai_endpoint(const openai_options& options, std::string_view path)
  : name_(options.base_url), secrets_(headers_of(options)) {
  while (name_.ends_with('/'))
    name_.pop_back();
  name_ += path;
  if (!options.api_version.empty())
    query_ = "?api-version=" + percent_encoded(options.api_version);
}

http_request openai_endpoint::post(std::string body, const call_id& id) const {
  http_request result;
  result.url = name_ + query_;
  // libcurl sends a POST again, by itself, when a kept connection turns out to be closed.
  auto known = id ? id : call_id::make();
  auto content = std::hash<std::string_view>{}(body);
  result.headers.push_back(
      {"Idempotency-Key", hex(known.root) + "-" + hex(known.step) + "-" + hex(content)});
  result.secrets = secrets_;
  result.body = std::move(body);
  return result;
}

} // namespace chainmail

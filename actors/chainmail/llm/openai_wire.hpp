// What requests to a provider have in common: where they go and what goes along.
#pragma once

#include <chainmail/call_context.hpp>
#include <chainmail/http.hpp>
#include <chainmail/llm/openai_options.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// One path of an endpoint, such as "/embeddings".
class provider_endpoint {
public:
  /// `secret_lines` are "Name: value"; `query` is empty or begins with a question mark.
  provider_endpoint(std::string url, std::string query, std::vector<std::string> secret_lines);

  /// Scheme, host, port and path, as errors may show them.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// A POST of that JSON. The key travels in its secrets. The Idempotency-Key is the same for each
  /// attempt at a call, and another for another request of the same caller.
  [[nodiscard]] http_request post(std::string body, const call_id& id) const;

private:
  std::string name_;
  std::string query_;
  secret_headers secrets_;
};

provider_endpoint openai_endpoint(const openai_options& options, std::string_view path);

/// What the environment says, or the other where it says nothing.
std::string from_env(const char* name, std::string otherwise = {});

/// The same URL without slashes at its end.
std::string without_slashes(std::string url);

} // namespace chainmail

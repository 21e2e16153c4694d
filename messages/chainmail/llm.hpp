// What is asked of a language model, and what comes back.
#pragma once

#include <chainmail/errors.hpp>
#include <chainmail/type_ids.hpp>
#include <chainmail/values.hpp>

#include <caf/timespan.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chainmail {

/// How to generate. What is not set is left to the client's defaults, then to the provider's.
struct llm_parameters {
  std::optional<std::string> model = {};
  std::optional<double> temperature = {};
  std::optional<int64_t> max_tokens = {};
  std::optional<double> top_p = {};
  std::optional<double> frequency_penalty = {};
  std::optional<double> presence_penalty = {};
  /// Completions per prompt.
  std::optional<uint32_t> n = {};
  std::optional<uint32_t> best_of = {};
  std::optional<int64_t> seed = {};
  /// The end user, for the provider's abuse detection.
  std::optional<std::string> user = {};
  /// Further fields of the request by name, each value a JSON text: {"logit_bias",
  /// R"({"50256":-100})"}.
  std::map<std::string, std::string> extra = {};
};

template <class Inspector>
bool inspect(Inspector& f, llm_parameters& x) {
  return f.object(x).fields(f.field("model", x.model), f.field("temperature", x.temperature),
      f.field("max_tokens", x.max_tokens), f.field("top_p", x.top_p),
      f.field("frequency_penalty", x.frequency_penalty),
      f.field("presence_penalty", x.presence_penalty), f.field("n", x.n),
      f.field("best_of", x.best_of), f.field("seed", x.seed), f.field("user", x.user),
      f.field("extra", x.extra));
}

/// What a model is told of a tool.
struct tool_description {
  /// Letters, digits, '_' and '-', at most 64: what providers take.
  std::string name = {};
  /// When to use it, and what it gives.
  std::string description = {};
  /// A JSON schema of the object that the arguments are.
  std::string parameters = R"({"type":"object","properties":{}})";
};

template <class Inspector>
bool inspect(Inspector& f, tool_description& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("description", x.description),
      f.field("parameters", x.parameters));
}

/// Either prompts or messages, not both.
struct llm_request {
  /// Texts to complete. A chat model takes one, as the message of a user.
  std::vector<std::string> prompts = {};
  /// A chat to answer.
  std::vector<chat_message> messages = {};
  /// Texts that end a completion; they are not part of it.
  std::vector<std::string> stop = {};
  /// Over the client's defaults.
  llm_parameters parameters = {};
  /// What the model may call. With chat endpoints only, as the two below.
  std::vector<tool_description> tools = {};
  /// "auto", "none", "required" or a tool's name; empty for the provider's default.
  std::string tool_choice = {};
  /// A JSON schema that the answer must fit, as far as the endpoint sees to that; empty for any text.
  std::string response_schema = {};
};

template <class Inspector>
bool inspect(Inspector& f, llm_request& x) {
  return f.object(x).fields(f.field("prompts", x.prompts), f.field("messages", x.messages),
      f.field("stop", x.stop), f.field("parameters", x.parameters), f.field("tools", x.tools),
      f.field("tool_choice", x.tool_choice), f.field("response_schema", x.response_schema));
}

/// One completion of one prompt.
struct completion {
  std::string text = {};
  /// The provider's word: "stop", "length", "content_filter", "tool_calls"; empty when it gave none.
  std::string finish_reason = {};
  /// What the model wants to have done before it goes on.
  std::vector<tool_call> tool_calls = {};
};

template <class Inspector>
bool inspect(Inspector& f, completion& x) {
  return f.object(x).fields(f.field("text", x.text), f.field("finish_reason", x.finish_reason),
      f.field("tool_calls", x.tool_calls));
}

/// Tokens as the provider counted them; zero when it did not say.
struct token_usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t total_tokens = 0;
};

template <class Inspector>
bool inspect(Inspector& f, token_usage& x) {
  return f.object(x).fields(f.field("prompt_tokens", x.prompt_tokens),
      f.field("completion_tokens", x.completion_tokens), f.field("total_tokens", x.total_tokens));
}

/// The answer to one llm_request.
struct llm_result {
  /// With n completions a prompt, those of prompt i are [i * n, (i + 1) * n). Never empty.
  std::vector<completion> completions = {};
  /// Of all prompts together.
  token_usage usage = {};
  /// The model that answered, in the provider's words.
  std::string model = {};
  /// What the endpoint said of its limits, if it did.
  std::optional<provider_limits> limits = {};
  /// What a guard tried, in order; empty without a guard, and from a cache. Before these, the nodes of
  /// a cluster that were lost with the call.
  std::vector<attempt> attempts = {};
  /// The node of a cluster that answered; empty when none was asked.
  std::string node = {};
  /// Nothing was sent for this call, nor billed: the answer was kept from an earlier one.
  bool is_cached = false;
  /// Of a stream: until its first text was there, counted from when the client got the call.
  std::optional<caf::timespan> first_token = {};

  /// The first completion's text.
  [[nodiscard]] const std::string& text() const { return completions.front().text; }
};

template <class Inspector>
bool inspect(Inspector& f, llm_result& x) {
  return f.object(x).fields(f.field("completions", x.completions), f.field("usage", x.usage),
      f.field("model", x.model), f.field("limits", x.limits), f.field("attempts", x.attempts),
      f.field("node", x.node), f.field("is_cached", x.is_cached),
      f.field("first_token", x.first_token));
}

} // namespace chainmail

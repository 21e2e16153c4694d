// Routes, errors and the replies of the simulated model.

#include "replies.hpp"

#include "brain.hpp"
#include "embeddings.hpp"
#include "names.hpp"
#include "requests.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <ctime>

namespace chainmail::simulator {

namespace {

using writer = rapidjson::Writer<rapidjson::StringBuffer>;

void put(writer& json, std::string_view text) {
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void put(writer& json, const char* key, std::string_view text) {
  json.Key(key);
  put(json, text);
}

void put_null(writer& json, const char* key) {
  json.Key(key);
  json.Null();
}

void put(writer& json, const char* key, std::uint64_t number) {
  json.Key(key);
  json.Uint64(number);
}

std::string text_of(const rapidjson::StringBuffer& buffer) {
  return {buffer.GetString(), buffer.GetSize()};
}

// -- texts --------------------------------------------------------------------

/// Honest about itself, and shows which prompt it belongs to.
std::string echo(std::string_view prompt) {
  constexpr std::size_t longest_excerpt = 120;
  // Runs of blanks shrink, so more than the excerpt is looked at; not all of a prompt of megabytes.
  auto head = utf8_prefix(prompt, 4 * longest_excerpt);
  std::string line;
  for (char c : head) {
    bool is_blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (!is_blank)
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  auto excerpt = utf8_prefix(line, longest_excerpt);
  bool is_whole = excerpt.size() == line.size() && head.size() == prompt.size();
  if (is_whole && excerpt.ends_with(' '))
    excerpt.remove_suffix(1);
  return "This is a simulated reply (no model was asked). You wrote: \"" + std::string(excerpt) +
         (is_whole ? "\"" : "...\"");
}

struct finished_text {
  std::string_view text;
  std::string_view reason;
};

/// The earliest stop sequence ends a text, unless max_tokens ends it before.
finished_text finish(std::string_view text, const generation& request) {
  finished_text result{text, "stop"};
  for (const auto& stop : request.stop)
    if (auto at = text.find(stop); !stop.empty() && at < result.text.size())
      result.text = text.substr(0, at);
  if (request.max_tokens && *request.max_tokens < estimated_tokens(result.text))
    result = {
        utf8_prefix(result.text, static_cast<std::size_t>(*request.max_tokens) * 4), "length"};
  return result;
}

// -- answers ------------------------------------------------------------------

answer to_answer(const refusal& refused) {
  return error_answer(
      refused.status, refused.message, "invalid_request_error", refused.param, refused.code);
}

void put_head(writer& json, std::string_view id, std::string_view object, std::string_view model) {
  put(json, "id", id);
  put(json, "object", object);
  put(json, "created", static_cast<std::uint64_t>(std::time(nullptr)));
  put(json, "model", "simulated-" + std::string(model));
}

void put_usage(writer& json, std::uint64_t prompt, std::uint64_t completion) {
  json.Key("usage");
  json.StartObject();
  put(json, "prompt_tokens", prompt);
  put(json, "completion_tokens", completion);
  put(json, "total_tokens", prompt + completion);
  json.EndObject();
}

} // namespace

answer error_answer(unsigned status, std::string_view message, std::string_view type,
    std::string_view param, std::string_view code) {
  rapidjson::StringBuffer buffer;
  writer json(buffer);
  json.StartObject();
  json.Key("error");
  json.StartObject();
  put(json, "message", message);
  put(json, "type", type);
  param.empty() ? put_null(json, "param") : put(json, "param", param);
  code.empty() ? put_null(json, "code") : put(json, "code", code);
  json.EndObject();
  json.EndObject();
  return {status, text_of(buffer)};
}

std::uint64_t estimated_tokens(std::string_view text) {
  return (text.size() + 3) / 4;
}

// -- routes -------------------------------------------------------------------

route find_route(std::string_view target) {
  using enum route::endpoint;
  auto path = target.substr(0, target.find('?'));
  constexpr std::string_view deployments = "/openai/deployments/";
  std::string_view deployment;
  if (path.starts_with(deployments)) {
    path.remove_prefix(deployments.size());
    auto slash = std::min(path.find('/'), path.size());
    deployment = path.substr(0, slash);
    path.remove_prefix(slash);
    if (deployment.empty())
      return {none};
  } else if (path == "/stats") {
    return {stats};
  } else if (path.starts_with("/v1/")) {
    path.remove_prefix(3);
  }
  if (path == "/completions")
    return {completions, deployment};
  if (path == "/chat/completions")
    return {chat, deployment};
  if (path == "/embeddings")
    return {embeddings, deployment};
  if (path == "/models" && deployment.empty())
    return {models};
  return {none};
}

// -- responder ----------------------------------------------------------------

responder::responder(std::uint64_t seed, std::vector<std::string> models)
  : seed_(seed), models_(std::move(models)) {
}

answer responder::complete(std::string_view json, std::string_view deployment) try {
  auto request = read_completion(json, deployment);
  check_model(request.model);
  rapidjson::StringBuffer buffer;
  writer out(buffer);
  out.StartObject();
  put_head(out, next_id("cmpl-"), "text_completion", request.model);
  out.Key("choices");
  out.StartArray();
  std::uint64_t index = 0;
  std::uint64_t tokens = 0;
  for (const auto& prompt : request.prompts) {
    auto thought = think(prompt);
    for (std::size_t i = 0; i < request.n; ++i) {
      // The completion models of old began their answers with an empty line.
      auto whole = "\n\n" + (thought ? *thought : invent_reply(prompt));
      auto [text, reason] = finish(whole, request);
      tokens += estimated_tokens(text);
      out.StartObject();
      put(out, "text", text);
      put(out, "index", index++);
      put_null(out, "logprobs");
      put(out, "finish_reason", reason);
      out.EndObject();
    }
  }
  out.EndArray();
  auto prompt_tokens = std::uint64_t{(request.prompt_bytes + 3) / 4};
  put_usage(out, prompt_tokens, tokens);
  out.EndObject();
  return {200, text_of(buffer), prompt_tokens + tokens};
} catch (const refusal& refused) {
  return to_answer(refused);
}

answer responder::chat(std::string_view json, std::string_view deployment) try {
  auto request = read_chat(json, deployment);
  check_model(request.model);
  rapidjson::StringBuffer buffer;
  writer out(buffer);
  out.StartObject();
  put_head(out, next_id("chatcmpl-"), "chat.completion", request.model);
  out.Key("choices");
  out.StartArray();
  std::uint64_t tokens = 0;
  const auto& prompt = request.prompts.front();
  auto thought = think(prompt);
  if (!thought && !request.history.empty() && !brand_name(prompt, seed_, 0))
    thought = recall(prompt, request.history);
  for (std::size_t i = 0; i < request.n; ++i) {
    auto whole = thought ? *thought : invent_reply(prompt);
    auto [text, reason] = finish(whole, request);
    tokens += estimated_tokens(text);
    out.StartObject();
    put(out, "index", std::uint64_t{i});
    out.Key("message");
    out.StartObject();
    put(out, "role", "assistant");
    put(out, "content", text);
    out.EndObject();
    put_null(out, "logprobs");
    put(out, "finish_reason", reason);
    out.EndObject();
  }
  out.EndArray();
  auto prompt_tokens = std::uint64_t{(request.prompt_bytes + 3) / 4};
  put_usage(out, prompt_tokens, tokens);
  out.EndObject();
  return {200, text_of(buffer), prompt_tokens + tokens};
} catch (const refusal& refused) {
  return to_answer(refused);
}

answer responder::embed_inputs(std::string_view json, std::string_view deployment) const try {
  auto request = read_embeddings(json, deployment);
  check_model(request.model);
  rapidjson::StringBuffer buffer;
  writer out(buffer);
  out.StartObject();
  put(out, "object", "list");
  out.Key("data");
  out.StartArray();
  std::uint64_t index = 0;
  for (const auto& input : request.inputs) {
    auto numbers = embed(input, request.dimensions);
    out.StartObject();
    put(out, "object", "embedding");
    put(out, "index", index++);
    if (request.as_base64) {
      put(out, "embedding", base64_of(numbers));
    } else {
      auto array = json_array_of(numbers);
      out.Key("embedding");
      out.RawValue(array.data(), array.size(), rapidjson::kArrayType);
    }
    out.EndObject();
  }
  out.EndArray();
  put(out, "model", "simulated-" + request.model);
  auto tokens = std::uint64_t{(request.input_bytes + 3) / 4};
  out.Key("usage");
  out.StartObject();
  put(out, "prompt_tokens", tokens);
  put(out, "total_tokens", tokens);
  out.EndObject();
  out.EndObject();
  return {200, text_of(buffer), tokens};
} catch (const refusal& refused) {
  return to_answer(refused);
}

answer responder::list_models() const {
  rapidjson::StringBuffer buffer;
  writer json(buffer);
  json.StartObject();
  put(json, "object", "list");
  json.Key("data");
  json.StartArray();
  auto put_model = [&json](std::string_view id) {
    json.StartObject();
    put(json, "id", id);
    put(json, "object", "model");
    put(json, "created", std::uint64_t{0});
    put(json, "owned_by", "chainmail-simulator");
    json.EndObject();
  };
  if (models_.empty())
    put_model("any-name-is-accepted");
  for (const auto& model : models_)
    put_model(model);
  json.EndArray();
  json.EndObject();
  return {200, text_of(buffer)};
}

void responder::check_model(const std::string& model) const {
  if (models_.empty() || std::ranges::find(models_, model) != models_.end())
    return;
  throw refusal{.status = 404,
      .message = "the model '" + std::string(utf8_prefix(model, 100)) +
                 "' is not one that this simulator was told to accept",
      .param = "model",
      .code = "model_not_found"};
}

std::string responder::invent_reply(std::string_view prompt) {
  auto name = brand_name(prompt, seed_, replies_++);
  return name ? std::move(*name) : echo(prompt);
}

std::string responder::next_id(std::string_view prefix) {
  return std::string(prefix) + "simulated-" + std::to_string(++answers_);
}

} // namespace chainmail::simulator

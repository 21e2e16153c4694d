// Routes, errors and the replies of the simulated model.

#include "replies.hpp"

#include "anthropic_wire.hpp"
#include "brain.hpp"
#include "brain_schema.hpp"
#include "brain_tools.hpp"
#include "embeddings.hpp"
#include "json_text.hpp"
#include "names.hpp"
#include "openai_wire.hpp"
#include "pitches.hpp"
#include "words.hpp"

#include <algorithm>
#include <ctime>

namespace chainmail::simulator {

namespace {

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

/// Goes on, or ends early, until it has that many tokens.
std::string prolonged(std::string text, std::uint64_t tokens) {
  constexpr std::string_view more = " This sentence is simulated, too, and only makes it longer.";
  if (tokens == 0)
    return text;
  auto size = static_cast<std::size_t>(tokens) * 4;
  while (text.size() < size)
    text += more;
  text.resize(utf8_prefix(text, size).size());
  return text;
}

/// The earliest stop sequence ends a text, unless max_tokens ends it before.
choice finish(std::string_view text, const generation& request) {
  choice result;
  for (const auto& stop : request.stop)
    if (auto at = text.find(stop); !stop.empty() && at < text.size()) {
      text = text.substr(0, at);
      result.stop_sequence = stop;
    }
  if (request.max_tokens && *request.max_tokens < estimated_tokens(text)) {
    text = utf8_prefix(text, static_cast<std::size_t>(*request.max_tokens) * 4);
    result.reason = "length";
    result.stop_sequence.clear();
  }
  result.text = text;
  return result;
}

// -- documents ----------------------------------------------------------------

/// What a document is filled from: the question, then what was said before; the other way round when
/// the question is about the document itself.
std::string source_of(const generation& request) {
  const auto& question = request.prompts.front();
  auto lower = lower_case(question);
  bool is_repair =
      lower.find("schema") != std::string::npos || lower.find("json") != std::string::npos;
  std::string earlier;
  for (const auto& [role, text] : request.history)
    if (role == "user")
      earlier += text + "\n";
  auto source = is_repair ? earlier + question : question + "\n" + earlier;
  for (const auto& result : request.results)
    source += "\n" + result.text;
  return source;
}

std::string document_for(const generation& request, std::string_view prose, bool breaks_schema) {
  if (request.schema.empty()) {
    std::string json = R"({"reply":)";
    append_json_string(json, prose);
    return json + (breaks_schema ? R"(,"simulation":)" : R"(,"simulation":true})");
  }
  auto source = source_of(request);
  text_values values(source);
  return fill_schema(request.schema, values, {.prose = prose, .breaks_schema = breaks_schema});
}

// -- answers ------------------------------------------------------------------

answer to_answer(const refusal& refused) {
  return error_answer(
      refused.status, refused.message, "invalid_request_error", refused.param, refused.code);
}

answer to_answer(model_reply what, const generation& request, bool is_chat) {
  answer result{.tokens = what.prompt_tokens + what.completion_tokens};
  if (request.stream)
    result.stream = openai_stream(
        std::move(what), {.is_chat = is_chat, .include_usage = request.include_usage});
  else
    result.body = is_chat ? chat_json(what) : completion_json(what);
  return result;
}

} // namespace

answer error_answer(unsigned status, std::string_view message, std::string_view type,
    std::string_view param, std::string_view code) {
  rapidjson::StringBuffer buffer;
  json_writer json(buffer);
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
  if (path == "/messages" && deployment.empty())
    return {messages};
  if (path == "/embeddings")
    return {embeddings, deployment};
  if (path == "/models" && deployment.empty())
    return {models};
  return {none};
}

// -- responder ----------------------------------------------------------------

responder::responder(std::uint64_t seed, std::vector<std::string> models, std::uint64_t long_reply)
  : seed_(seed), models_(std::move(models)), long_reply_(long_reply) {
}

answer responder::complete(std::string_view json, std::string_view deployment) try {
  auto request = read_completion(json, deployment);
  check_model(request.model);
  auto result = begin_reply("cmpl-", request);
  for (const auto& prompt : request.prompts) {
    auto thought = think(prompt);
    // The completion models of old began their answers with an empty line.
    for (std::size_t i = 0; i < request.n; ++i)
      add_choice(result, "\n\n" + (thought ? *thought : invent_reply(prompt)), request);
  }
  return to_answer(std::move(result), request, false);
} catch (const refusal& refused) {
  return to_answer(refused);
}

answer responder::chat(std::string_view json, std::string_view deployment, bool breaks_schema) try {
  auto request = read_chat(json, deployment);
  check_model(request.model);
  return to_answer(converse("chatcmpl-", request, breaks_schema), request, true);
} catch (const refusal& refused) {
  return to_answer(refused);
}

answer responder::messages(std::string_view json, bool breaks_schema) try {
  auto request = read_messages(json);
  check_model(request.model);
  auto said = converse("msg_", request, breaks_schema);
  answer result{.tokens = said.prompt_tokens + said.completion_tokens};
  if (request.stream)
    result.stream = anthropic_stream(std::move(said));
  else
    result.body = message_json(said);
  return result;
} catch (const refusal& refused) {
  return to_answer(refused);
}

answer responder::embed_inputs(std::string_view json, std::string_view deployment) const try {
  auto request = read_embeddings(json, deployment);
  check_model(request.model);
  rapidjson::StringBuffer buffer;
  json_writer out(buffer);
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
  json_writer json(buffer);
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
  auto count = replies_++;
  if (auto text = pitch(prompt, seed_, count))
    return *text;
  auto name = brand_name(prompt, seed_, count);
  return name ? std::move(*name) : prolonged(echo(prompt), long_reply_);
}

model_reply responder::begin_reply(std::string_view id_prefix, const generation& request) {
  return {.id = next_id(id_prefix),
      .model = "simulated-" + request.model,
      .created = static_cast<std::uint64_t>(std::time(nullptr)),
      .prompt_tokens = (request.prompt_bytes + 3) / 4};
}

void responder::add_choice(
    model_reply& to, std::string_view text, const generation& request) const {
  to.choices.push_back(finish(text, request));
  to.completion_tokens += estimated_tokens(to.choices.back().text);
}

void responder::add_calls(
    model_reply& to, std::vector<tool_call> calls, const generation& request) {
  for (std::size_t i = 0; i < request.n; ++i) {
    for (auto& call : calls) {
      call.id = "call_simulated_" + std::to_string(++calls_);
      to.completion_tokens += estimated_tokens(call.name) + estimated_tokens(call.arguments);
    }
    to.choices.push_back({.calls = calls, .reason = "tool_calls"});
  }
}

model_reply responder::converse(
    std::string_view id_prefix, const generation& request, bool breaks_schema) {
  auto result = begin_reply(id_prefix, request);
  const auto& question = request.prompts.front();
  if (!request.tools.empty()) {
    tool_rules rules{.must_call = request.must_call,
        .one_at_a_time = request.calls_one_at_a_time,
        .breaks_schema = breaks_schema};
    auto calls = choose_calls(question, request.tools, request.results, rules);
    if (!calls.empty()) {
      add_calls(result, std::move(calls), request);
      return result;
    }
  }
  for (std::size_t i = 0; i < request.n; ++i) {
    auto text = say(request);
    if (request.wants_json)
      text = document_for(request, text, breaks_schema);
    add_choice(result, text, request);
  }
  return result;
}

std::string responder::say(const generation& request) {
  const auto& question = request.prompts.front();
  if (!request.results.empty())
    return answer_from_results(question, request.results);
  auto thought = think(question);
  if (!thought && !request.history.empty() && !brand_name(question, seed_, 0))
    thought = recall(question, request.history);
  return thought ? *thought : invent_reply(question);
}

std::string responder::next_id(std::string_view prefix) {
  return std::string(prefix) + "simulated-" + std::to_string(++answers_);
}

} // namespace chainmail::simulator

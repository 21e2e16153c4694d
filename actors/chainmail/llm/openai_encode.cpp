// Writing OpenAI requests.
#include <chainmail/errors.hpp>
#include <chainmail/json/strict_schema.hpp>
#include <chainmail/llm/openai_codec.hpp>
#include <chainmail/llm/request_writer.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace chainmail {

namespace {

/// Fields that have a place of their own, and "stream", which changes the response.
constexpr std::array<std::string_view, 16> reserved_openai_fields = {"model", "prompt", "messages",
    "temperature", "max_tokens", "top_p", "frequency_penalty", "presence_penalty", "n", "best_of",
    "seed", "user", "stop", "stream", "tools", "tool_choice"};

// -- messages ---------------------------------------------------------------------------

void write_text_part(request_writer& out, std::string_view text) {
  out.begin_object();
  out.text("type", "text");
  out.text("text", text);
  out.end_object();
}

void write_content(request_writer& out, const chat_message& message) {
  if (message.parts.empty()) {
    if (message.content.empty() && !message.tool_calls.empty())
      return out.null("content");
    return out.text("content", message.content);
  }
  out.begin_array("content");
  if (!message.content.empty())
    write_text_part(out, message.content);
  for (const auto& part : message.parts) {
    if (part.image.empty()) {
      write_text_part(out, part.text);
      continue;
    }
    out.begin_object();
    out.text("type", "image_url");
    out.begin_object("image_url");
    out.text("url", part.image);
    out.end_object();
    out.end_object();
  }
  out.end_array();
}

void write_tool_calls(request_writer& out, const std::vector<tool_call>& calls) {
  out.begin_array("tool_calls");
  for (const auto& call : calls) {
    out.begin_object();
    out.text("id", call.id);
    out.text("type", "function");
    out.begin_object("function");
    out.text("name", call.name);
    out.text("arguments", call.arguments.empty() ? "{}" : std::string_view{call.arguments});
    out.end_object();
    out.end_object();
  }
  out.end_array();
}

void write_openai_messages(request_writer& out, const std::vector<chat_message>& messages) {
  out.begin_array("messages");
  for (const auto& message : messages) {
    out.begin_object();
    out.text("role", message.role);
    write_content(out, message);
    if (!message.tool_calls.empty())
      write_tool_calls(out, message.tool_calls);
    if (!message.tool_call_id.empty())
      out.text("tool_call_id", message.tool_call_id);
    out.end_object();
  }
  out.end_array();
}

// -- tools and schemas ------------------------------------------------------------------

void write_openai_tools(request_writer& out, const llm_request& request) {
  out.begin_array("tools");
  for (size_t i = 0; i < request.tools.size(); ++i) {
    const auto& tool = request.tools[i];
    out.begin_object();
    out.text("type", "function");
    out.begin_object("function");
    out.text("name", tool.name);
    if (!tool.description.empty())
      out.text("description", tool.description);
    out.object_text("parameters", tool.parameters, "tools[" + std::to_string(i) + "].parameters");
    out.end_object();
    out.end_object();
  }
  out.end_array();
  const auto& choice = request.tool_choice;
  if (choice == "auto" || choice == "none" || choice == "required") {
    out.text("tool_choice", choice);
  } else if (!choice.empty()) {
    out.begin_object("tool_choice");
    out.text("type", "function");
    out.begin_object("function");
    out.text("name", choice);
    out.end_object();
    out.end_object();
  }
}

void write_response_format(request_writer& out, const std::string& schema) {
  out.begin_object("response_format");
  out.text("type", "json_schema");
  out.begin_object("json_schema");
  out.text("name", "answer");
  out.boolean("strict", is_strict_schema(schema));
  out.object_text("schema", schema, "response_schema");
  out.end_object();
  out.end_object();
}

void write_openai_parameters(
    request_writer& out, const llm_parameters& mine, const llm_parameters& theirs, openai_api api) {
  auto is_chat = api == openai_api::chat;
  auto temperature = either(mine.temperature, theirs.temperature);
  auto max_tokens = either(mine.max_tokens, theirs.max_tokens);
  if (!is_chat) {
    temperature = temperature.value_or(0.7);
    max_tokens = max_tokens.value_or(256);
    out.optional("best_of", either(mine.best_of, theirs.best_of));
  }
  out.optional("temperature", temperature);
  out.optional("max_tokens", max_tokens);
  out.optional("top_p", either(mine.top_p, theirs.top_p));
  out.optional("frequency_penalty", either(mine.frequency_penalty, theirs.frequency_penalty));
  out.optional("presence_penalty", either(mine.presence_penalty, theirs.presence_penalty));
  out.optional("n", either(mine.n, theirs.n));
  out.optional("seed", either(mine.seed, theirs.seed));
  out.optional("user", either(mine.user, theirs.user));
  out.extra(mine, theirs, reserved_openai_fields);
}

openai_api api_of(const llm_request& request, const openai_options& options) {
  return request.messages.empty() ? options.api : openai_api::chat;
}

} // namespace

std::string_view model_of(const llm_request& request, const openai_options& options) {
  if (const auto& named = either(request.parameters.model, options.defaults.model))
    return *named;
  return api_of(request, options) == openai_api::chat ? "gpt-4o-mini" : "gpt-3.5-turbo-instruct";
}

caf::expected<openai_call> encode(const llm_request& request, const openai_options& options) {
  auto invalid = [](const char* sentence) { return make_failure(errc::invalid_input, sentence); };
  if (request.prompts.empty() == request.messages.empty())
    return invalid("an LLM request holds either prompts or messages: exactly one of them");
  openai_call call;
  call.api = api_of(request, options);
  if (call.api == openai_api::chat && request.prompts.size() > 1)
    return invalid("a chat model takes one prompt a request; gather several requests instead");
  if (call.api == openai_api::completions &&
      !(request.tools.empty() && request.tool_choice.empty() && request.response_schema.empty()))
    return invalid("tools and a response schema need a chat endpoint: send messages, or set "
                   "openai_options::api to openai_api::chat");
  if (auto error = check_chat(request))
    return error;
  auto n = either(request.parameters.n, options.defaults.n).value_or(1);
  if (n == 0)
    return invalid("the request's field 'n' must be at least 1");
  call.completions = n * std::max<size_t>(request.prompts.size(), 1);
  request_writer out;
  out.text("model", model_of(request, options));
  if (call.api == openai_api::completions)
    out.texts("prompt", request.prompts);
  else if (!request.messages.empty())
    write_openai_messages(out, request.messages);
  else
    write_openai_messages(out, {{"user", request.prompts.front()}});
  write_openai_parameters(out, request.parameters, options.defaults, call.api);
  if (!request.stop.empty())
    out.texts("stop", request.stop);
  if (!request.tools.empty())
    write_openai_tools(out, request);
  if (!request.response_schema.empty())
    write_response_format(out, request.response_schema);
  auto body = out.finish();
  if (!body)
    return std::move(body.error());
  call.body = std::move(*body);
  return call;
}

} // namespace chainmail

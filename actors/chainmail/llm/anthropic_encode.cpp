// Writing requests in Anthropic's words.
#include <chainmail/errors.hpp>
#include <chainmail/llm/anthropic_codec.hpp>
#include <chainmail/llm/anthropic_wire.hpp>
#include <chainmail/llm/request_writer.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <array>

namespace chainmail {

namespace {

constexpr std::array<std::string_view, 15> reserved_anthropic_fields = {"model", "messages",
    "system", "max_tokens", "temperature", "top_p", "stop_sequences", "stream", "tools",
    "tool_choice", "prompt", "stop", "n", "seed", "user"};

bool is_system(const chat_message& message) {
  return message.role == "system" || message.role == "developer";
}

/// The API has two roles; what a tool answered is said by the user.
std::string_view role_of(const chat_message& message) {
  return message.role == "assistant" ? "assistant" : "user";
}

/// What the API would refuse to take, for there is nothing in it.
bool is_empty(const chat_message& message) {
  return message.content.empty() && message.parts.empty() && message.tool_calls.empty() &&
         message.role != "tool";
}

std::string text_of(const chat_message& message) {
  auto result = message.content;
  for (const auto& part : message.parts)
    result += part.text;
  return result;
}

std::string system_of(const llm_request& request) {
  std::string result;
  for (const auto& message : request.messages) {
    if (!is_system(message) || is_empty(message))
      continue;
    (result += result.empty() ? "" : "\n\n") += text_of(message);
  }
  return result;
}

// -- messages ---------------------------------------------------------------------------

void write_text(request_writer& out, std::string_view text) {
  if (text.empty())
    return;
  out.begin_object();
  out.text("type", "text");
  out.text("text", text);
  out.end_object();
}

void write_image(request_writer& out, std::string_view image) {
  constexpr std::string_view data = "data:";
  constexpr std::string_view base64 = ";base64,";
  out.begin_object();
  out.text("type", "image");
  out.begin_object("source");
  if (image.starts_with(data)) {
    auto separator = image.find(base64);
    out.text("type", "base64");
    out.text("media_type", image.substr(data.size(), separator - data.size()));
    out.text("data", image.substr(separator + base64.size()));
  } else {
    out.text("type", "url");
    out.text("url", image);
  }
  out.end_object();
  out.end_object();
}

void write_tool_call(request_writer& out, const tool_call& call) {
  out.begin_object();
  out.text("type", "tool_use");
  out.text("id", call.id);
  out.text("name", call.name);
  if (call.arguments.empty() || parsed_object(call.arguments)) {
    auto arguments = call.arguments.empty() ? std::string_view{"{}"} : call.arguments;
    out.object_text("input", arguments, "arguments");
  } else {
    // What a model wrote that is no object, so that it sees what it did.
    out.begin_object("input");
    out.text("unreadable_arguments", call.arguments);
    out.end_object();
  }
  out.end_object();
}

void write_blocks(request_writer& out, const chat_message& message) {
  if (message.role == "tool") {
    out.begin_object();
    out.text("type", "tool_result");
    out.text("tool_use_id", message.tool_call_id);
    out.text("content", text_of(message));
    out.end_object();
    return;
  }
  write_text(out, message.content);
  for (const auto& part : message.parts) {
    if (part.image.empty())
      write_text(out, part.text);
    else
      write_image(out, part.image);
  }
  for (const auto& call : message.tool_calls)
    write_tool_call(out, call);
}

/// Roles alternate: messages of one that follow one another become one.
void write_anthropic_messages(request_writer& out, const std::vector<chat_message>& messages) {
  out.begin_array("messages");
  std::string_view open;
  for (const auto& message : messages) {
    if (is_system(message) || is_empty(message))
      continue;
    if (auto role = role_of(message); role != open) {
      if (!open.empty()) {
        out.end_array();
        out.end_object();
      }
      open = role;
      out.begin_object();
      out.text("role", role);
      out.begin_array("content");
    }
    write_blocks(out, message);
  }
  if (!open.empty()) {
    out.end_array();
    out.end_object();
  }
  out.end_array();
}

// -- tools and schemas ------------------------------------------------------------------

void write_tool(request_writer& out, std::string_view name, std::string_view description,
    std::string_view schema, const std::string& place) {
  out.begin_object();
  out.text("name", name);
  if (!description.empty())
    out.text("description", description);
  out.object_text("input_schema", schema, place);
  out.end_object();
}

void write_tool_choice(request_writer& out, std::string_view type, std::string_view name = {}) {
  out.begin_object("tool_choice");
  out.text("type", type);
  if (!name.empty())
    out.text("name", name);
  out.end_object();
}

void write_anthropic_tools(request_writer& out, const llm_request& request) {
  out.begin_array("tools");
  for (size_t i = 0; i < request.tools.size(); ++i) {
    const auto& tool = request.tools[i];
    write_tool(out, tool.name, tool.description, tool.parameters,
        "tools[" + std::to_string(i) + "].parameters");
  }
  out.end_array();
  const auto& choice = request.tool_choice;
  if (choice == "required")
    write_tool_choice(out, "any");
  else if (choice == "auto" || choice == "none")
    write_tool_choice(out, choice);
  else if (!choice.empty())
    write_tool_choice(out, "tool", choice);
}

/// False for a schema that is not of an object: the input of a tool is one.
bool write_answer_tool(request_writer& out, const std::string& schema) {
  const auto parsed = parsed_object(schema);
  if (!parsed) {
    out.fail("response_schema", "is not a JSON object");
    return false;
  }
  auto type = parsed->FindMember("type");
  if (type == parsed->MemberEnd() || !type->value.IsString() ||
      std::string_view{type->value.GetString()} != "object")
    return false;
  out.begin_array("tools");
  write_tool(out, answer_tool, "Takes the answer.", schema, "response_schema");
  out.end_array();
  write_tool_choice(out, "tool", answer_tool);
  return true;
}

// -- parameters -------------------------------------------------------------------------

void write_anthropic_parameters(
    request_writer& out, const llm_request& request, const llm_parameters& theirs) {
  constexpr int64_t usual_max_tokens = 4096;
  const auto& mine = request.parameters;
  out.integer("max_tokens", either(mine.max_tokens, theirs.max_tokens).value_or(usual_max_tokens));
  out.optional("temperature", either(mine.temperature, theirs.temperature));
  out.optional("top_p", either(mine.top_p, theirs.top_p));
  if (const auto& user = either(mine.user, theirs.user)) {
    out.begin_object("metadata");
    out.text("user_id", *user);
    out.end_object();
  }
  if (!request.stop.empty())
    out.texts("stop_sequences", request.stop);
  out.extra(mine, theirs, reserved_anthropic_fields);
}

caf::error check_request(const llm_request& request, const llm_parameters& theirs) {
  if (request.prompts.empty() == request.messages.empty())
    return invalid_input("an LLM request holds either prompts or messages: exactly one of them");
  if (request.prompts.size() > 1)
    return invalid_input(
        "a chat model takes one prompt a request; gather several requests instead");
  const auto& mine = request.parameters;
  if (either(mine.n, theirs.n).value_or(1) != 1)
    return invalid_input(
        "the request's field 'n' must be 1: Anthropic's API gives one completion a request");
  if (either(mine.best_of, theirs.best_of).value_or(1) != 1)
    return invalid_input(
        "the request's field 'best_of' must be 1: Anthropic's API has no such thing");
  return check_chat(request);
}

} // namespace

std::string_view model_of(const llm_request& request, const anthropic_options& options) {
  if (const auto& named = either(request.parameters.model, options.defaults.model))
    return *named;
  return "claude-haiku-4-5";
}

caf::expected<anthropic_call> encode(
    const llm_request& request, const anthropic_options& options, bool as_stream) {
  if (auto error = check_request(request, options.defaults))
    return error;
  std::vector<chat_message> prompt;
  if (!request.prompts.empty())
    prompt.push_back({"user", request.prompts.front()});
  const auto& messages = prompt.empty() ? request.messages : prompt;
  if (std::ranges::all_of(messages, [](const auto& x) { return is_system(x) || is_empty(x); }))
    return invalid_input(
        "the request says nothing but system messages; Anthropic's API needs the message "
        "of a user");
  anthropic_call call;
  request_writer out;
  out.text("model", model_of(request, options));
  if (auto system = system_of(request); !system.empty())
    out.text("system", system);
  write_anthropic_messages(out, messages);
  write_anthropic_parameters(out, request, options.defaults);
  if (!request.tools.empty())
    write_anthropic_tools(out, request);
  else if (!request.response_schema.empty())
    call.has_answer_tool = write_answer_tool(out, request.response_schema);
  if (as_stream)
    out.boolean("stream", true);
  auto body = out.finish();
  if (!body)
    return std::move(body.error());
  call.body = std::move(*body);
  return call;
}

} // namespace chainmail

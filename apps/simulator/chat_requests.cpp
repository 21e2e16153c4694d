// The reader of OpenAI's chats: messages, tools and response formats.

#include "request_json.hpp"

#include <algorithm>
#include <map>

namespace chainmail::simulator {

namespace {

constexpr std::size_t most_tools = 128;
constexpr auto content_wanted =
    "an array of objects with a string 'role' and a 'content' that is a string, "
    "null or an array of parts";

// -- messages -----------------------------------------------------------------

/// The text of a message's content: a string, or the text parts of an array; null for tool calls.
std::string content_text(const Value& message) {
  const Value* content = find(message, "content");
  if (content == nullptr)
    return {};
  if (content->IsString())
    return std::string(view(*content));
  if (!content->IsArray())
    refuse("messages", content_wanted);
  std::string text;
  for (const auto& part : content->GetArray()) {
    if (!part.IsObject())
      refuse("messages", content_wanted);
    if (const Value* piece = find(part, "text"); piece != nullptr) {
      if (!piece->IsString())
        refuse("messages", content_wanted);
      text += view(*piece);
    }
  }
  return text;
}

/// The calls of a chat, and what was said to them.
class called_tools {
public:
  void add_calls(const Value& message) {
    const Value* calls = find(message, "tool_calls");
    if (calls == nullptr)
      return;
    constexpr auto field = "messages";
    if (!calls->IsArray())
      refuse(field, "made of messages whose 'tool_calls' are an array");
    for (const auto& call : calls->GetArray()) {
      const Value* function = call.IsObject() ? find(call, "function") : nullptr;
      if (function == nullptr || !function->IsObject())
        refuse(field, "made of messages whose 'tool_calls' have an 'id' and a 'function'");
      open_[text_member(call, "id", field, true)] = {text_member(*function, "name", field, true),
          text_member(*function, "arguments", field, false), {}};
    }
  }

  tool_result result_of(const Value& message) {
    auto found = open_.find(text_member(message, "tool_call_id", "messages", true));
    if (found == open_.end())
      refuse("messages", "such that each message of role 'tool' answers one of the 'tool_calls' "
                         "before it, by 'tool_call_id'");
    auto result = std::move(found->second);
    result.text = content_text(message);
    open_.erase(found);
    return result;
  }

  void check_all_have_results() const {
    if (!open_.empty())
      refuse("messages", "such that each of the 'tool_calls' has its message of role 'tool': there "
                         "is none with tool_call_id '" +
                             open_.begin()->first + "'");
  }

private:
  std::map<std::string, tool_result> open_;
};

void read_messages(generation& result, const Value& root) {
  const Value* messages = find(root, "messages");
  if (messages == nullptr || !messages->IsArray() || messages->Empty())
    refuse("messages", "an array of at least one message");
  auto& texts = result.history;
  called_tools called;
  std::optional<std::size_t> last_by_user;
  for (const auto& message : messages->GetArray()) {
    if (!message.IsObject())
      refuse("messages", "an array of objects");
    const Value* role = find(message, "role");
    if (role == nullptr || !role->IsString())
      refuse("messages", "an array of objects that each have a string 'role'");
    texts.push_back({std::string(view(*role)), content_text(message)});
    result.prompt_bytes += texts.back().text.size();
    if (view(*role) == "assistant")
      called.add_calls(message);
    if (view(*role) == "tool")
      result.results.push_back(called.result_of(message));
    if (view(*role) == "user") {
      last_by_user = texts.size() - 1;
      called.check_all_have_results();
      result.results.clear();
    }
  }
  called.check_all_have_results();
  auto last = last_by_user.value_or(texts.size() - 1);
  result.prompts.push_back(std::move(texts[last].text));
  texts.resize(last);
}

// -- tools --------------------------------------------------------------------

void read_chat_tools(generation& result, const Value& root) {
  const Value* tools = find(root, "tools");
  if (tools == nullptr)
    return;
  if (!tools->IsArray() || tools->Empty() || tools->Size() > most_tools)
    refuse("tools", "an array of 1 to 128 tools");
  for (const auto& one : tools->GetArray()) {
    const Value* function = one.IsObject() ? find(one, "function") : nullptr;
    if (function == nullptr || !function->IsObject())
      refuse("tools", "made of objects with a 'function'");
    tool read{.name = text_member(*function, "name", "tools", true),
        .description = text_member(*function, "description", "tools", false)};
    const Value* parameters = find(*function, "parameters");
    if (parameters != nullptr && !parameters->IsObject())
      refuse("tools", "made of functions whose 'parameters' are a JSON schema");
    read.parameters = parameters == nullptr ? "{}" : json_of(*parameters);
    result.prompt_bytes += read.name.size() + read.description.size() + read.parameters.size();
    result.tools.push_back(std::move(read));
  }
}

void read_tool_choice(generation& result, const Value& root) {
  const Value* parallel = find(root, "parallel_tool_calls");
  result.calls_one_at_a_time = parallel != nullptr && !boolean(root, "parallel_tool_calls");
  const Value* wanted = find(root, "tool_choice");
  if (wanted == nullptr)
    return;
  if (result.tools.empty())
    refuse("tool_choice", "absent when there are no 'tools'");
  auto word = wanted->IsString() ? view(*wanted) : std::string_view{};
  if (word == "none") {
    result.tools.clear();
  } else if (word == "required") {
    result.must_call = true;
  } else if (wanted->IsObject()) {
    const Value* function = find(*wanted, "function");
    if (function == nullptr || !function->IsObject())
      refuse("tool_choice", "an object with a 'function' that has a 'name'");
    auto name = text_member(*function, "name", "tool_choice", true);
    std::erase_if(result.tools, [&](const tool& one) { return one.name != name; });
    if (result.tools.empty())
      refuse("tool_choice", "the name of one of the 'tools'");
    result.must_call = true;
  } else if (word != "auto") {
    refuse("tool_choice", "\"none\", \"auto\", \"required\" or a function's name in an object");
  }
}

void read_response_format(generation& result, const Value& root) {
  const Value* format = find(root, "response_format");
  if (format == nullptr)
    return;
  auto type = format->IsObject() ? text_member(*format, "type", "response_format", true) : "";
  result.wants_json = type == "json_object" || type == "json_schema";
  if (!result.wants_json && type != "text")
    refuse("response_format", "of 'type' \"text\", \"json_object\" or \"json_schema\"");
  if (type != "json_schema")
    return;
  const Value* named = find(*format, "json_schema");
  const Value* schema = named != nullptr && named->IsObject() ? find(*named, "schema") : nullptr;
  if (schema == nullptr || !schema->IsObject())
    refuse("response_format", "an object with a 'json_schema' that has a 'name' and a 'schema'");
  text_member(*named, "name", "response_format", true);
  result.schema = json_of(*schema);
}

} // namespace

generation read_chat(std::string_view json, std::string_view deployment) {
  document body(json);
  auto result = read_common(body.root(), deployment);
  if (auto newer = whole_number(body.root(), "max_completion_tokens", 1, unlimited))
    result.max_tokens = newer;
  read_messages(result, body.root());
  read_chat_tools(result, body.root());
  read_tool_choice(result, body.root());
  read_response_format(result, body.root());
  return result;
}

} // namespace chainmail::simulator

// The reader of Anthropic's messages.

#include "anthropic_wire.hpp"
#include "request_json.hpp"

#include <algorithm>
#include <map>

namespace chainmail::simulator {

namespace {

/// A string, or the text blocks of an array.
std::string text_of_blocks(const Value& content, const char* field) {
  if (content.IsString())
    return std::string(view(content));
  if (!content.IsArray())
    refuse(field, "a string or an array of blocks");
  std::string text;
  for (const auto& block : content.GetArray())
    if (block.IsObject() && text_member(block, "type", field, true) == "text")
      text += text_member(block, "text", field, false);
  return text;
}

/// Calls by their ids, until they have their results.
using open_calls = std::map<std::string, tool_result>;

void read_calls(open_calls& open, const Value& content) {
  if (!content.IsArray())
    return;
  for (const auto& block : content.GetArray()) {
    if (text_member(block, "type", "messages", true) != "tool_use")
      continue;
    const Value* input = find(block, "input");
    if (input == nullptr || !input->IsObject())
      refuse("messages", "made of tool_use blocks whose 'input' is an object");
    open[text_member(block, "id", "messages", true)] = {
        text_member(block, "name", "messages", true), json_of(*input), {}};
  }
}

/// What the user's message says to calls; empty for a message that asks something.
std::vector<tool_result> read_results(open_calls& open, const Value& content) {
  std::vector<tool_result> results;
  if (!content.IsArray())
    return results;
  for (const auto& block : content.GetArray()) {
    if (text_member(block, "type", "messages", true) != "tool_result")
      continue;
    auto found = open.find(text_member(block, "tool_use_id", "messages", true));
    if (found == open.end())
      refuse(
          "messages", "such that each tool_result answers a tool_use before it, by 'tool_use_id'");
    results.push_back(std::move(found->second));
    open.erase(found);
    if (const Value* said = find(block, "content"))
      results.back().text = text_of_blocks(*said, "messages");
  }
  return results;
}

void check_all_have_results(const open_calls& open) {
  if (!open.empty())
    refuse("messages", "such that each tool_use has its tool_result in the next message: there is "
                       "none for '" +
                           open.begin()->first + "'");
}

void read_conversation(generation& result, const Value& root) {
  const Value* messages = find(root, "messages");
  if (messages == nullptr || !messages->IsArray() || messages->Empty())
    refuse("messages", "an array of at least one message");
  if (const Value* system = find(root, "system"))
    result.history.push_back({"system", text_of_blocks(*system, "system")});
  open_calls open;
  std::optional<std::size_t> asked;
  for (const auto& message : messages->GetArray()) {
    const Value* content = message.IsObject() ? find(message, "content") : nullptr;
    if (content == nullptr)
      refuse("messages", "made of objects with a 'role' and a 'content'");
    auto role = text_member(message, "role", "messages", true);
    if (role != "user" && role != "assistant")
      refuse(
          "messages", "of the roles \"user\" and \"assistant\"; a system text goes into 'system'");
    result.history.push_back({role, text_of_blocks(*content, "messages")});
    result.prompt_bytes += result.history.back().text.size();
    auto said = role == "user" ? read_results(open, *content) : std::vector<tool_result>{};
    check_all_have_results(open);
    if (role == "assistant")
      read_calls(open, *content);
    else if (said.empty()) {
      asked = result.history.size() - 1;
      result.results.clear();
    }
    result.results.insert(result.results.end(), said.begin(), said.end());
  }
  check_all_have_results(open);
  auto last = asked.value_or(result.history.size() - 1);
  result.prompts.push_back(std::move(result.history[last].text));
  result.history.resize(last);
}

void read_anthropic_tools(generation& result, const Value& root) {
  const Value* tools = find(root, "tools");
  if (tools != nullptr && !tools->IsArray())
    refuse("tools", "an array");
  if (tools != nullptr)
    for (const auto& one : tools->GetArray()) {
      const Value* schema = one.IsObject() ? find(one, "input_schema") : nullptr;
      if (schema == nullptr || !schema->IsObject())
        refuse("tools", "made of objects with a 'name' and an 'input_schema'");
      result.tools.push_back({.name = text_member(one, "name", "tools", true),
          .description = text_member(one, "description", "tools", false),
          .parameters = json_of(*schema)});
      const auto& read = result.tools.back();
      result.prompt_bytes += read.name.size() + read.description.size() + read.parameters.size();
    }
  const Value* wanted = find(root, "tool_choice");
  if (wanted == nullptr)
    return;
  auto type = wanted->IsObject() ? text_member(*wanted, "type", "tool_choice", true) : "";
  result.calls_one_at_a_time = wanted->IsObject() && boolean(*wanted, "disable_parallel_tool_use");
  result.must_call = type == "any" || type == "tool";
  if (type == "none") {
    result.tools.clear();
  } else if (type == "tool") {
    auto name = text_member(*wanted, "name", "tool_choice", true);
    std::erase_if(result.tools, [&](const tool& one) { return one.name != name; });
  } else if (type != "auto" && type != "any") {
    refuse("tool_choice", "of 'type' \"auto\", \"any\", \"tool\" or \"none\"");
  }
  if (result.must_call && result.tools.empty())
    refuse("tool_choice", "one that the 'tools' have something for");
}

} // namespace

generation read_messages(std::string_view json) {
  document body(json);
  const Value& root = body.root();
  generation result;
  result.model = read_model(root, {});
  result.stream = boolean(root, "stream");
  result.max_tokens = whole_number(root, "max_tokens", 1, unlimited);
  if (!result.max_tokens)
    refuse("max_tokens", "there: it has no default");
  if (const Value* stop = find(root, "stop_sequences"); stop != nullptr)
    result.stop = strings(*stop, "stop_sequences", 100, "an array of strings");
  for (auto key : {"temperature", "top_p", "top_k"})
    check_number(root, key);
  read_conversation(result, root);
  read_anthropic_tools(result, root);
  return result;
}

} // namespace chainmail::simulator

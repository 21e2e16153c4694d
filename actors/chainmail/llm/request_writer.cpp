// Writing requests, and what no provider would take.
#include <chainmail/errors.hpp>
#include <chainmail/llm/request_writer.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <array>
#include <set>

namespace chainmail {

namespace {

constexpr unsigned parse_flags =
    rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
/// Of what a user wrote, in a sentence, in code points.
constexpr size_t longest_user_excerpt = 60;

rapidjson::SizeType size_of(std::string_view text) {
  return static_cast<rapidjson::SizeType>(text.size());
}

} // namespace

// -- writing ----------------------------------------------------------------------------

void request_writer::begin_object(const char* field) {
  key(field);
  json_.StartObject();
}

void request_writer::begin_array(const char* field) {
  key(field);
  json_.StartArray();
}

void request_writer::text(const char* field, std::string_view what) {
  key(field);
  string(field, what);
}

void request_writer::texts(const char* field, const std::vector<std::string>& list) {
  begin_array(field);
  for (const auto& what : list)
    string(field, what);
  end_array();
}

void request_writer::number(const char* field, double x) {
  key(field);
  if (!json_.Double(x))
    fail(field, "is not a finite number");
}

void request_writer::integer(const char* field, int64_t x) {
  key(field);
  json_.Int64(x);
}

void request_writer::boolean(const char* field, bool x) {
  key(field);
  json_.Bool(x);
}

void request_writer::null(const char* field) {
  key(field);
  json_.Null();
}

void request_writer::object_text(
    const char* field, std::string_view json, const std::string& place) {
  key(field);
  if (!parsed_object(json)) {
    json_.Null();
    return fail(place, "is not a JSON object");
  }
  json_.RawValue(json.data(), json.size(), rapidjson::kObjectType);
}

void request_writer::extra(const llm_parameters& mine, const llm_parameters& theirs,
    std::span<const std::string_view> reserved) {
  for (const auto& [field, json] : mine.extra)
    raw(field, json, reserved);
  for (const auto& [field, json] : theirs.extra)
    if (!mine.extra.contains(field))
      raw(field, json, reserved);
}

void request_writer::raw(
    const std::string& field, const std::string& json, std::span<const std::string_view> reserved) {
  rapidjson::Document parsed;
  parsed.Parse<parse_flags>(json.data(), json.size());
  if (parsed.HasParseError())
    return fail(field, "is not valid JSON");
  if (std::ranges::find(reserved, field) != reserved.end())
    return fail(field, "cannot be passed as an extra field; llm_request and llm_parameters have "
                       "its place");
  if (!is_utf8(field))
    fail("extra", "holds a field name that is not valid UTF-8");
  json_.Key(field.data(), size_of(field));
  json_.RawValue(json.data(), json.size(), parsed.GetType());
}

void request_writer::string(const char* field, std::string_view what) {
  json_.String(what.data(), size_of(what));
  if (!is_utf8(what)) // RapidJSON's own check takes five times as long
    fail(field == nullptr ? "messages" : field, "holds text that is not valid UTF-8");
}

void request_writer::fail(const std::string& field, const std::string& what) {
  if (problem_.empty())
    problem_ = "the request's field '" + field + "' " + what;
}

caf::expected<std::string> request_writer::finish() {
  end_object();
  if (!problem_.empty())
    return make_failure(errc::invalid_input, problem_);
  return std::string{buffer_.GetString(), buffer_.GetSize()};
}

std::optional<rapidjson::Document> parsed_object(std::string_view json) {
  rapidjson::Document result;
  result.Parse<parse_flags>(json.data(), json.size());
  if (result.HasParseError() || !result.IsObject())
    return std::nullopt;
  return result;
}

// -- checking ---------------------------------------------------------------------------

namespace {

std::string quoted_excerpt(std::string_view text) {
  return std::string{"'"}.append(one_line(text, longest_user_excerpt)).append("'");
}

bool is_image(std::string_view where) {
  return where.starts_with("https://") || where.starts_with("http://") ||
         (where.starts_with("data:image/") && where.find(";base64,") != std::string_view::npos);
}

bool is_tool_name(std::string_view name) {
  constexpr size_t longest = 64;
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= longest && std::ranges::all_of(name, fits);
}

caf::error check_message(const chat_message& message, const std::string& place) {
  constexpr std::array<std::string_view, 5> roles = {
      "system", "user", "assistant", "tool", "developer"};
  if (std::ranges::find(roles, message.role) == roles.end())
    return invalid_input(place + " has the role " + quoted_excerpt(message.role) +
                         "; there are: system, user, assistant, tool, developer");
  for (size_t i = 0; i < message.parts.size(); ++i) {
    const auto& part = message.parts[i];
    auto part_place = place + ".parts[" + std::to_string(i) + "]";
    if (part.text.empty() == part.image.empty())
      return invalid_input(part_place + " holds either text or an image: exactly one of them");
    if (!part.image.empty() && !is_image(part.image))
      return invalid_input(part_place + " holds the image " + quoted_excerpt(part.image) +
                           ", which is neither an http(s) URL nor \"data:image/png;base64,...\"");
    if (!part.image.empty() && message.role != "user")
      return invalid_input(part_place + " holds an image, which only the messages of a user may");
  }
  if (!message.tool_calls.empty() && message.role != "assistant")
    return invalid_input(place + " has tool calls, which only the messages of an assistant may");
  for (const auto& call : message.tool_calls)
    if (call.id.empty() || call.name.empty())
      return invalid_input(place + " has a tool call without an id or a name");
  if (message.tool_call_id.empty() == (message.role == "tool"))
    return invalid_input(
        message.role == "tool"
            ? place + " is a tool's and needs the tool_call_id that it answers"
            : place + " has a tool_call_id, which only the messages of a tool may");
  return {};
}

} // namespace

caf::error check_chat(const llm_request& request) {
  for (size_t i = 0; i < request.messages.size(); ++i)
    if (auto error =
            check_message(request.messages[i], "the request's messages[" + std::to_string(i) + "]"))
      return error;
  std::set<std::string_view> names;
  for (const auto& tool : request.tools) {
    if (!is_tool_name(tool.name))
      return invalid_input("the tool name " + quoted_excerpt(tool.name) +
                           " is none: names are at most 64 letters, digits, '_' and '-'");
    if (!names.insert(tool.name).second)
      return invalid_input("the request has two tools of the name " + quoted_excerpt(tool.name));
  }
  const auto& choice = request.tool_choice;
  if (!choice.empty() && request.tools.empty())
    return invalid_input("the request has a tool_choice, but no tools");
  if (!choice.empty() && choice != "auto" && choice != "none" && choice != "required" &&
      !names.contains(choice))
    return invalid_input("the request's tool_choice " + quoted_excerpt(choice) +
                         " is neither auto, none or required, nor the name of one of its tools");
  return {};
}

} // namespace chainmail

// From JSON to values and back, leniently where a model wrote it.
#include <chainmail/agents/tool_arguments.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace chainmail {

namespace {

using json_writer = rapidjson::Writer<rapidjson::StringBuffer>;

/// No object for what is no JSON.
rapidjson::Document parsed(std::string_view json) {
  rapidjson::Document result;
  result.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      json.data(), json.size());
  if (result.HasParseError())
    result.SetNull();
  return result;
}

std::string_view text_of(const rapidjson::Value& x) {
  return {x.GetString(), x.GetStringLength()};
}

std::string json_of(const rapidjson::Value& x) {
  rapidjson::StringBuffer buffer;
  json_writer out{buffer};
  x.Accept(out);
  return {buffer.GetString(), buffer.GetSize()};
}

void append_string(std::string& to, std::string_view text) {
  rapidjson::StringBuffer buffer;
  json_writer out{buffer};
  out.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  to.append(buffer.GetString(), buffer.GetSize());
}

bool is_list_of_texts(const rapidjson::Value& x) {
  return x.IsArray() && std::all_of(x.Begin(), x.End(), [](const auto& y) { return y.IsString(); });
}

value value_of(const rapidjson::Value& x) {
  if (x.IsString())
    return std::string{text_of(x)};
  if (x.IsBool())
    return x.GetBool();
  if (x.IsInt64())
    return x.GetInt64();
  if (x.IsNumber())
    return x.GetDouble();
  if (!is_list_of_texts(x))
    return json_of(x);
  std::vector<std::string> list;
  for (const auto& each : x.GetArray())
    list.emplace_back(text_of(each));
  return list;
}

caf::error no_object() {
  return make_failure(errc::invalid_input, "the arguments of a tool are a JSON object");
}

struct show_value {
  std::string operator()(const std::vector<std::string>& list) const {
    std::string result;
    for (const auto& each : list)
      result += (result.empty() ? "" : "\n") + each;
    return result;
  }

  std::string operator()(const std::vector<document>& documents) const {
    return show_documents(documents);
  }

  std::string operator()(const std::vector<chat_message>& messages) const {
    std::string result;
    for (const auto& each : messages)
      result += (result.empty() ? "" : "\n") + each.role + ": " + each.content;
    return result;
  }

  template <class T>
  std::string operator()(const T& x) const {
    std::string result;
    append_text(result, value{x});
    return result;
  }
};

struct property {
  std::string name;
  bool may_be_text = true;
};

bool may_be_text(const rapidjson::Value& schema) {
  if (!schema.IsObject())
    return true;
  auto type = schema.FindMember("type");
  if (type == schema.MemberEnd())
    return true;
  if (!type->value.IsArray())
    return type->value == "string";
  const auto& types = type->value;
  return std::any_of(types.Begin(), types.End(), [](const auto& x) { return x == "string"; });
}

/// The property that a text without a name can only mean.
std::optional<property> only_property(const rapidjson::Document& schema) {
  if (!schema.IsObject() || !schema.HasMember("properties") || !schema["properties"].IsObject())
    return std::nullopt;
  const auto& properties = schema["properties"];
  if (properties.MemberCount() == 1) {
    const auto& only = *properties.MemberBegin();
    return property{std::string{text_of(only.name)}, may_be_text(only.value)};
  }
  auto needed = schema.FindMember("required");
  if (needed == schema.MemberEnd() || !needed->value.IsArray() || needed->value.Size() != 1 ||
      !needed->value[0].IsString())
    return std::nullopt;
  auto only = properties.FindMember(needed->value[0]);
  if (only == properties.MemberEnd())
    return std::nullopt;
  return property{std::string{text_of(only->name)}, may_be_text(only->value)};
}

} // namespace

std::string presentable_tool_name(std::string name) {
  constexpr size_t longest = 64;
  auto is_known = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  if (name.empty())
    return "unnamed";
  name.resize(std::min(name.size(), longest));
  std::ranges::replace_if(
      name, [is_known](char c) { return !is_known(c); }, '_');
  return name;
}

std::string schema_of_inputs(const chain_description& chain) {
  std::string properties;
  std::string needed;
  for (const auto& key : chain.input_keys) {
    const auto* comma = needed.empty() ? "" : ",";
    needed += comma;
    append_string(needed, key);
    properties += comma;
    append_string(properties, key);
    properties += R"(:{"type":"string"})";
  }
  return R"({"type":"object","properties":{)" + properties + R"(},"required":[)" + needed +
         R"(],"additionalProperties":false})";
}

caf::expected<values> values_from_json(std::string_view json) {
  const auto object = parsed(json); // as such it is iterated without ambiguity
  if (!object.IsObject())
    return no_object();
  values result;
  for (const auto& each : object.GetObject())
    result.insert_or_assign(std::string{text_of(each.name)}, value_of(each.value));
  return result;
}

caf::expected<std::string> text_from_json(std::string_view json, const std::string& key) {
  const auto object = parsed(json);
  if (!object.IsObject())
    return no_object();
  auto found = object.FindMember(key.c_str());
  if (found == object.MemberEnd() || !found->value.IsString())
    return make_failure(errc::invalid_input, "the tool needs the argument '" + key + "', a text");
  return std::string{text_of(found->value)};
}

std::string show_documents(const std::vector<document>& documents) {
  std::string result;
  for (const auto& each : documents) {
    if (!result.empty())
      result += "\n\n";
    if (auto source = each.metadata.find("source"); source != each.metadata.end())
      result += "Source: " + source->second + "\n";
    result += each.content;
  }
  return result;
}

std::string show_outputs(const values& outputs) {
  if (outputs.size() == 1)
    return std::visit(show_value{}, outputs.begin()->second);
  std::string result;
  for (const auto& [key, what] : outputs)
    result += (result.empty() ? "" : "\n") + key + ": " + std::visit(show_value{}, what);
  return result;
}

std::string_view without_code_fences(std::string_view text) {
  constexpr std::string_view fence = "```";
  text = trimmed(text);
  if (!text.starts_with(fence))
    return text;
  text.remove_prefix(fence.size());
  if (auto line_end = text.find('\n'); line_end != std::string_view::npos)
    text.remove_prefix(line_end + 1); // with the language
  if (text.ends_with(fence))          // unless the model was stopped before it wrote that
    text.remove_suffix(fence.size());
  return trimmed(text);
}

std::string arguments_from_text(std::string_view text, const std::string& schema) {
  auto bare = without_code_fences(text);
  auto given = parsed(bare);
  if (given.IsObject())
    return std::string{bare};
  if (bare.empty())
    return "{}";
  auto meant = only_property(parsed(schema));
  if (!meant)
    return std::string{bare};
  std::string result{"{"};
  append_string(result, meant->name);
  result += ':';
  if (given.IsString())
    append_string(result, text_of(given));
  else if (meant->may_be_text || given.IsNull())
    append_string(result, bare);
  else
    result += bare;
  return result + '}';
}

} // namespace chainmail

// Looking for what strict endpoints refuse.
#include <chainmail/json/json_schema_nodes.hpp>
#include <chainmail/json/strict_schema.hpp>

#include <algorithm>
#include <array>

namespace chainmail {

namespace {

constexpr std::array<std::string_view, 14> refused = {"allOf", "oneOf", "not", "if", "then", "else",
    "dependentRequired", "dependentSchemas", "patternProperties", "propertyNames", "prefixItems",
    "minProperties", "maxProperties", "uniqueItems"};

const rapidjson::Value* find(const rapidjson::Value& object, const char* name) {
  auto found = object.FindMember(name);
  return found == object.MemberEnd() ? nullptr : &found->value;
}

bool is_object_schema(const rapidjson::Value& schema) {
  auto is_object = [](const rapidjson::Value& x) { return x.IsString() && text_of(x) == "object"; };
  auto* type = find(schema, "type");
  if (type == nullptr)
    return schema.HasMember("properties");
  return is_object(*type) ||
         (type->IsArray() && std::any_of(type->Begin(), type->End(), is_object));
}

bool requires_all(const rapidjson::Value& schema) {
  auto* more = find(schema, "additionalProperties");
  if (more == nullptr || !more->IsFalse())
    return false;
  auto* properties = find(schema, "properties");
  auto count = properties != nullptr && properties->IsObject() ? properties->MemberCount() : 0;
  auto* required = find(schema, "required");
  return count == 0 || (required != nullptr && required->IsArray() && required->Size() == count);
}

/// `is_map`: the members' names are the user's, their values schemas.
bool is_strict(const rapidjson::Value& x, bool is_map) {
  if (x.IsArray())
    return std::all_of(x.Begin(), x.End(), [](const auto& item) { return is_strict(item, false); });
  if (!x.IsObject())
    return true;
  if (!is_map && is_object_schema(x) && !requires_all(x))
    return false;
  return std::all_of(x.MemberBegin(), x.MemberEnd(), [&](const auto& member) {
    auto name = text_of(member.name);
    if (is_map)
      return is_strict(member.value, false);
    if (name == "enum" || name == "const" || name == "default" || name == "examples")
      return true;
    auto holds_map = name == "properties" || name == "$defs" || name == "definitions";
    return std::ranges::find(refused, name) == refused.end() && is_strict(member.value, holds_map);
  });
}

} // namespace

bool is_strict_schema(std::string_view schema) {
  if (nesting_of(schema) > deepest_json)
    return false;
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(schema.data(), schema.size());
  if (document.HasParseError() || !document.IsObject())
    return false;
  return is_object_schema(document) && !document.HasMember("anyOf") && is_strict(document, false);
}

} // namespace chainmail

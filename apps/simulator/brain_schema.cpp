// Fills JSON schemas.

#include "brain_schema.hpp"

#include "brain_text.hpp"
#include "json_text.hpp"
#include "requests.hpp"
#include "words.hpp"

#include <rapidjson/document.h>
#include <rapidjson/pointer.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace chainmail::simulator {

namespace {

using rapidjson::Value;

constexpr int deepest = 16;
constexpr std::size_t most_items = 16;

/// A JSON text, and whether the text had something for it.
struct filled {
  std::string json;
  bool is_found = false;
};

std::string_view view(const Value& text) {
  return {text.GetString(), text.GetStringLength()};
}

std::string json_of(const Value& value) {
  rapidjson::StringBuffer buffer;
  json_writer json(buffer);
  value.Accept(json);
  return text_of(buffer);
}

std::string json_of(std::string_view text) {
  std::string result;
  append_json_string(result, text);
  return result;
}

const Value* member(const Value& object, const char* key) {
  if (!object.IsObject())
    return nullptr;
  auto found = object.FindMember(key);
  return found == object.MemberEnd() ? nullptr : &found->value;
}

const Value* array_member(const Value& object, const char* key) {
  const Value* found = member(object, key);
  return found != nullptr && found->IsArray() && !found->Empty() ? found : nullptr;
}

double number_member(const Value& object, const char* key, double otherwise) {
  const Value* found = member(object, key);
  return found != nullptr && found->IsNumber() ? found->GetDouble() : otherwise;
}

std::size_t size_member(const Value& object, const char* key, std::size_t otherwise) {
  const Value* found = member(object, key);
  return found != nullptr && found->IsUint() ? found->GetUint() : otherwise;
}

template <std::size_t N>
bool has_word(std::string_view name, const std::array<std::string_view, N>& words) {
  return std::ranges::any_of(words_of_name(name), [&](const std::string& word) {
    return std::ranges::any_of(words, [&](auto one) { return stem(one) == word; });
  });
}

bool takes_arithmetic(std::string_view name) {
  constexpr std::array<std::string_view, 6> words{
      "expression", "formula", "calculation", "equation", "arithmetic", "math"};
  return has_word(name, words);
}

/// Fields that a whole question fits.
bool takes_all(std::string_view name) {
  constexpr std::array<std::string_view, 13> words{"query", "question", "search", "input", "text",
      "prompt", "message", "topic", "content", "q", "request", "task", "keyword"};
  return has_word(name, words);
}

bool takes_prose(std::string_view name) {
  constexpr std::array<std::string_view, 12> words{"answer", "reply", "response", "summary", "text",
      "content", "explanation", "description", "reason", "comment", "message", "result"};
  return has_word(name, words);
}

/// "2026-11-28" as it stands in a text, or a sample.
filled date_of(std::string_view text, bool with_time) {
  constexpr std::string_view shape = "dddd-dd-dd";
  auto date = std::string("2026-01-01");
  bool is_found = false;
  for (std::size_t i = 0; i + shape.size() <= text.size() && !is_found; ++i) {
    is_found = true;
    for (std::size_t k = 0; k < shape.size() && is_found; ++k)
      is_found = shape[k] == 'd' ? is_digit(text[i + k]) : text[i + k] == shape[k];
    if (is_found)
      date = text.substr(i, shape.size());
  }
  return {json_of(date + (with_time ? "T00:00:00Z" : "")), is_found};
}

class filler {
public:
  filler(const Value& root, text_values& values, const filling& opts)
    : root_(root), values_(values), opts_(opts) {}

  filled fill(const Value& schema_or_ref, std::string_view name, int depth = 0) {
    const Value& schema = resolve(schema_or_ref);
    if (depth > deepest || !schema.IsObject())
      return {"null"};
    if (const Value* only = member(schema, "const"))
      return {json_of(*only), true};
    if (const Value* list = array_member(schema, "enum"))
      return fill_enum(*list);
    for (auto key : {"anyOf", "oneOf", "allOf"})
      if (const Value* list = array_member(schema, key))
        return fill(first_that_is_not_null(*list), name, depth + 1);
    auto type = type_of(schema);
    if (type == "object")
      return fill_object(schema, depth);
    if (type == "array")
      return fill_array(schema, name, depth);
    if (type == "integer" || type == "number")
      return fill_number(schema, name, type == "integer");
    if (type == "boolean")
      return fill_boolean(schema, name);
    if (type == "null")
      return {"null", true};
    return fill_text(schema, name);
  }

private:
  /// Follows "#/..." references, a few deep.
  const Value& resolve(const Value& schema) const {
    const Value* result = &schema;
    for (int i = 0; i < deepest; ++i) {
      const Value* reference = member(*result, "$ref");
      if (reference == nullptr || !reference->IsString() || !view(*reference).starts_with('#'))
        break;
      rapidjson::Pointer pointer(reference->GetString(), reference->GetStringLength());
      const Value* target = pointer.IsValid() ? pointer.Get(root_) : nullptr;
      if (target == nullptr)
        break;
      result = target;
    }
    return *result;
  }

  const Value& first_that_is_not_null(const Value& list) const {
    for (const auto& one : list.GetArray())
      if (const auto& schema = resolve(one); schema.IsObject() && type_of(schema) != "null")
        return one;
    return list[0];
  }

  static std::string_view type_of(const Value& schema) {
    const Value* type = member(schema, "type");
    if (type != nullptr && type->IsString())
      return view(*type);
    if (type != nullptr && type->IsArray())
      for (const auto& one : type->GetArray())
        if (one.IsString() && view(one) != "null")
          return view(one);
    if (member(schema, "properties") != nullptr)
      return "object";
    return member(schema, "items") != nullptr ? "array" : "string";
  }

  /// The schema's own word for what is not in the text.
  static const Value* sample_of(const Value& schema) {
    if (const Value* value = member(schema, "default"))
      return value;
    const Value* examples = array_member(schema, "examples");
    return examples == nullptr ? nullptr : &(*examples)[0];
  }

  bool is_in_text(const Value& value) const {
    if (!value.IsString())
      return false;
    auto wanted = " " + lower_case(view(value)) + " ";
    std::string text = " ";
    for (char c : lower_case(values_.text()))
      text += is_word_byte(c) || wanted.find(c) < wanted.size() ? c : ' ';
    return (text + " ").find(wanted) != std::string::npos;
  }

  filled fill_enum(const Value& list) const {
    for (const auto& one : list.GetArray())
      if (is_in_text(one))
        return {json_of(one), true};
    return {json_of(list[0])};
  }

  filled fill_object(const Value& schema, int depth) {
    const Value* properties = member(schema, "properties");
    if (properties == nullptr || !properties->IsObject())
      return {"{}", true};
    // Those that the text mentions choose first.
    std::vector<filled> all(properties->MemberCount());
    std::vector<bool> is_mentioned;
    for (const auto& one : properties->GetObject())
      is_mentioned.push_back(values_.mentions(view(one.name)));
    for (bool mentioned : {true, false}) {
      std::size_t i = 0;
      for (const auto& one : properties->GetObject()) {
        if (is_mentioned[i] == mentioned)
          all[i] = fill(one.value, view(one.name), depth + 1);
        ++i;
      }
    }
    filled result{"{", true};
    std::size_t i = 0;
    for (const auto& one : properties->GetObject()) {
      const auto& value = all[i++];
      bool is_required = requires_property(schema, view(one.name));
      if (!is_required && opts_.only_required && !value.is_found)
        continue;
      result.is_found = result.is_found && (value.is_found || !is_required);
      result.json +=
          (result.json.size() > 1 ? "," : "") + json_of(view(one.name)) + ':' +
          (depth == 0 && i == 1 && opts_.breaks_schema ? broken(value.json) : value.json);
    }
    result.json += '}';
    return result;
  }

  static std::string broken(std::string_view json) {
    return json.starts_with('"') ? "0" : R"("not of this type")";
  }

  static bool requires_property(const Value& schema, std::string_view name) {
    const Value* required = array_member(schema, "required");
    return required != nullptr &&
           std::any_of(required->Begin(), required->End(),
               [name](const Value& one) { return one.IsString() && view(one) == name; });
  }

  filled fill_array(const Value& schema, std::string_view name, int depth) {
    static const Value any_text(rapidjson::kObjectType);
    const Value* items = member(schema, "items");
    const Value& item = items != nullptr && items->IsObject() ? resolve(*items) : any_text;
    auto least = size_member(schema, "minItems", 0);
    auto most = std::min(size_member(schema, "maxItems", most_items), std::max(least, most_items));
    filled result{"["};
    std::size_t count = 0;
    auto add = [&](const std::string& json) { result.json += (count++ > 0 ? "," : "") + json; };
    if (const Value* list = array_member(item, "enum")) {
      for (const auto& one : list->GetArray())
        if (count < most && is_in_text(one))
          add(json_of(one));
    } else {
      auto type = type_of(item);
      bool needs_name = type == "string" || type == "object";
      while (count < most && (needs_name ? values_.has_name() : type != "boolean")) {
        auto next = fill(item, name, depth + 1);
        if (!next.is_found)
          break;
        add(next.json);
      }
    }
    result.is_found = count > 0;
    while (count < std::max<std::size_t>(least, opts_.only_required ? 0 : 1) && count < most)
      add(fill(item, name, depth + 1).json);
    result.json += ']';
    return result;
  }

  filled fill_number(const Value& schema, std::string_view name, bool is_whole) {
    auto found = values_.take_number(name);
    if (const Value* sample = sample_of(schema); !found && sample != nullptr && sample->IsNumber())
      return {json_of(*sample)};
    auto least = number_member(schema, "minimum", number_member(schema, "exclusiveMinimum", -1e15));
    auto most = number_member(schema, "maximum", number_member(schema, "exclusiveMaximum", 1e15));
    auto step = number_member(schema, "multipleOf", 0);
    auto number = std::clamp(found.value_or(0), least, std::max(least, most));
    if (number == least && member(schema, "exclusiveMinimum") != nullptr)
      number += is_whole ? 1 : (most - least) / 2;
    if (number == most && member(schema, "exclusiveMaximum") != nullptr)
      number -= is_whole ? 1 : (most - least) / 2;
    if (step > 0)
      number = std::ceil(number / step) * step;
    number = is_whole ? std::round(number) : number;
    bool prints_whole = number == std::round(number);
    auto json = prints_whole ? std::to_string(std::llround(number)) : json_of(Value(number));
    return {json, found.has_value()};
  }

  filled fill_boolean(const Value& schema, std::string_view name) const {
    bool is_mentioned = values_.mentions(name);
    if (const Value* sample = sample_of(schema); !is_mentioned && sample != nullptr)
      return {json_of(*sample)};
    auto text = lower_case(values_.text());
    bool is_denied = text.find(" not ") < text.size() || text.find("n't ") < text.size();
    return {is_mentioned && !is_denied ? "true" : "false", is_mentioned};
  }

  filled fill_text(const Value& schema, std::string_view name) {
    if (const Value* format = member(schema, "format"); format != nullptr && format->IsString()) {
      auto kind = view(*format);
      if (kind == "date" || kind == "date-time")
        return date_of(values_.text(), kind == "date-time");
      if (kind == "uri")
        return {R"("https://example.org/simulated")"};
      if (kind == "uuid")
        return {R"("00000000-0000-4000-8000-000000000000")"};
    }
    std::optional<std::string> text;
    if (takes_arithmetic(name))
      text = arithmetic_of(values_.text());
    else if (!opts_.prose.empty() && takes_prose(name))
      text = std::string(opts_.prose);
    else if (opts_.prose.empty() && takes_all(name))
      text = one_line(values_.text());
    else
      text = values_.take_text(name, opts_.prose.empty());
    if (const Value* sample = sample_of(schema); !text && sample != nullptr && sample->IsString())
      return {json_of(*sample)};
    auto value = text ? *text : one_line(opts_.prose.empty() ? values_.text() : opts_.prose);
    if (auto most = size_member(schema, "maxLength", value.size()); most < value.size())
      value.resize(utf8_prefix(value, most).size());
    if (auto least = size_member(schema, "minLength", 0); value.size() < least && least <= 4096)
      value.append(least - value.size(), '.');
    return {json_of(value), text && !text->empty()};
  }

  const Value& root_;
  text_values& values_;
  const filling& opts_;
};

filled fill_root(std::string_view schema, text_values& values, const filling& opts) {
  rapidjson::Document root;
  root.Parse<rapidjson::kParseIterativeFlag>(schema.data(), schema.size());
  if (root.HasParseError() || !root.IsObject())
    return {"{}"};
  auto result = filler(root, values, opts).fill(root, {});
  if (opts.breaks_schema && (!result.json.starts_with('{') || result.json == "{}"))
    result.json = result.json.starts_with('"') ? "0" : R"("not of this type")";
  return result;
}

} // namespace

std::string fill_schema(std::string_view schema, text_values& values, const filling& opts) {
  return fill_root(schema, values, opts).json;
}

bool lacks_values(std::string_view schema, std::string_view text) {
  text_values values(text);
  return !fill_root(schema, values, {.only_required = true}).is_found;
}

} // namespace chainmail::simulator

// Checking JSON documents against a schema.
#include <chainmail/json/json_schema_nodes.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace chainmail {

namespace {

/// Of a pointer or a name in a sentence, in code points.
constexpr size_t longest_json_name = 120;
/// Names that a sentence lists.
constexpr size_t most_names = 8;

std::string quoted_name(std::string_view name) {
  return std::string{"'"}.append(one_line(name, longest_json_name)).append("'");
}

unsigned types_of(const rapidjson::Value& x) {
  switch (x.GetType()) {
  case rapidjson::kNullType:
    return json_null;
  case rapidjson::kFalseType:
  case rapidjson::kTrueType:
    return json_boolean;
  case rapidjson::kObjectType:
    return json_object;
  case rapidjson::kArrayType:
    return json_array;
  case rapidjson::kStringType:
    return json_string;
  case rapidjson::kNumberType:
    break;
  }
  auto is_whole = !x.IsDouble() || std::floor(x.GetDouble()) == x.GetDouble();
  return is_whole ? json_number | json_integer : json_number;
}

/// "a string", "an integer or null".
std::string names_of(unsigned types) {
  std::string result;
  for (const auto& [name, bit] : json_type_names)
    if ((types & bit) != 0) {
      result += result.empty() ? "" : " or ";
      auto is_vowel = name.front() == 'a' || name.front() == 'i' || name.front() == 'o';
      if (bit != json_null)
        result += is_vowel ? "an " : "a ";
      result += name;
    }
  return result;
}

bool is_multiple(double x, double of) {
  auto quotient = x / of;
  constexpr double tolerance = 1e-9;
  return !std::isfinite(quotient) ||
         std::abs(quotient - std::round(quotient)) <= tolerance * std::max(1.0, std::abs(quotient));
}

std::string number_text(double x) {
  constexpr double integers_end = 1e15;
  auto is_short_integer = std::floor(x) == x && std::abs(x) < integers_end;
  return shown(is_short_integer ? rapidjson::Value{static_cast<int64_t>(x)} : rapidjson::Value{x});
}

using violation = std::optional<json_violation>;

class checker {
public:
  checker(const std::vector<schema_node>& nodes, size_t text_bytes)
    : nodes_(nodes), budget_(20'000 + 20 * text_bytes) {}

  violation check(const rapidjson::Value& document) { return node(0, document); }

private:
  using value = rapidjson::Value;

  // -- saying what is wrong ---------------------------------------------------------------

  [[nodiscard]] std::string subject() const {
    return pointer_.empty() ? "the document" : one_line(pointer_, longest_json_name);
  }

  [[nodiscard]] json_violation wrong(const char* keyword, const std::string& what) const {
    return {pointer_, keyword, subject() + " " + what};
  }

  violation spend(size_t steps) {
    if (budget_ < steps) {
      budget_ = 0;
      return json_violation{{}, {}, "the document takes too long to check against its schema"};
    }
    budget_ -= steps;
    return std::nullopt;
  }

  /// Checks a part of the value that the pointer is at.
  violation part(std::string_view key, size_t schema, const value& x) {
    auto size = pointer_.size();
    append_step(pointer_, key);
    auto result = node(schema, x);
    pointer_.resize(size);
    return result;
  }

  // -- one value against one schema -------------------------------------------------------

  violation node(size_t number, const value& x) {
    const auto& schema = nodes_[number];
    if (auto found = spend(1))
      return found;
    if (schema.is_never)
      return wrong("false", "must not be there");
    auto types = types_of(x);
    if (schema.types != 0 && (schema.types & types) == 0)
      return wrong("type", "is " + names_of(types & ~unsigned{json_integer}) +
                               "; the schema wants " + names_of(schema.types));
    if (schema.allowed_by != nullptr)
      if (auto found = allowed(schema, x))
        return found;
    violation found;
    if (x.IsNumber())
      found = number_limits(schema, x.GetDouble());
    else if (x.IsString())
      found = text_limits(schema, text_of(x));
    else if (x.IsArray())
      found = items(schema, x);
    else if (x.IsObject())
      found = properties(schema, x);
    return found ? found : in_place(schema, x);
  }

  violation allowed(const schema_node& schema, const value& x) {
    std::string text;
    append_canonical(text, x);
    if (auto found = spend(text.size() / 16 + schema.allowed.size()))
      return found;
    if (std::find(schema.allowed.begin(), schema.allowed.end(), text) != schema.allowed.end())
      return std::nullopt;
    return wrong(
        schema.allowed_by, "is " + shown(x) + "; the schema allows only " + schema.allowed_shown);
  }

  violation number_limits(const schema_node& schema, double x) {
    auto limit = [&](const char* keyword, const char* relation, const std::optional<double>& by) {
      return wrong(
          keyword, "is " + number_text(x) + "; the schema wants " + relation + number_text(*by));
    };
    if (schema.minimum && x < *schema.minimum)
      return limit("minimum", "at least ", schema.minimum);
    if (schema.maximum && x > *schema.maximum)
      return limit("maximum", "at most ", schema.maximum);
    if (schema.exclusive_minimum && x <= *schema.exclusive_minimum)
      return limit("exclusiveMinimum", "more than ", schema.exclusive_minimum);
    if (schema.exclusive_maximum && x >= *schema.exclusive_maximum)
      return limit("exclusiveMaximum", "less than ", schema.exclusive_maximum);
    if (schema.multiple_of && !is_multiple(x, *schema.multiple_of))
      return limit("multipleOf", "a multiple of ", schema.multiple_of);
    return std::nullopt;
  }

  violation size_limits(size_t size, const char* what, const std::optional<size_t>& least,
      const char* least_keyword, const std::optional<size_t>& most, const char* most_keyword) {
    auto has = "has " + std::to_string(size) + " " + what + "; the schema wants at ";
    if (least && size < *least)
      return wrong(least_keyword, has + "least " + std::to_string(*least));
    if (most && size > *most)
      return wrong(most_keyword, has + "most " + std::to_string(*most));
    return std::nullopt;
  }

  violation text_limits(const schema_node& schema, std::string_view text) {
    if (auto found = spend(text.size() / 64))
      return found;
    if (schema.min_length || schema.max_length)
      if (auto found = size_limits(count_code_points(text), "characters", schema.min_length,
              "minLength", schema.max_length, "maxLength"))
        return found;
    if (schema.pattern && !matches(*schema.pattern, text))
      return wrong("pattern", "does not match the pattern " +
                                  quoted_name(schema.pattern->pattern()) + " of the schema");
    return std::nullopt;
  }

  static bool matches(const RE2& pattern, std::string_view text) {
    return RE2::PartialMatch(re2::StringPiece{text.data(), text.size()}, pattern);
  }

  // -- arrays and objects -----------------------------------------------------------------

  violation items(const schema_node& schema, const value& x) {
    if (auto found = size_limits(
            x.Size(), "items", schema.min_items, "minItems", schema.max_items, "maxItems"))
      return found;
    for (rapidjson::SizeType i = 0; i < x.Size(); ++i) {
      auto rule =
          i < schema.prefix_items.size() ? std::optional{schema.prefix_items[i]} : schema.items;
      if (!rule)
        break;
      if (auto found = part(std::to_string(i), *rule, x[i]))
        return found;
    }
    return schema.has_unique_items ? unique_items(x) : std::nullopt;
  }

  violation unique_items(const value& x) {
    std::unordered_set<std::string> seen;
    for (rapidjson::SizeType i = 0; i < x.Size(); ++i) {
      std::string text;
      append_canonical(text, x[i]);
      if (auto found = spend(text.size() / 16 + 1))
        return found;
      if (!seen.insert(std::move(text)).second)
        return wrong("uniqueItems",
            "has an item twice, at " + std::to_string(i) + "; the schema wants each only once");
    }
    return std::nullopt;
  }

  violation properties(const schema_node& schema, const value& x) {
    if (auto found = size_limits(x.MemberCount(), "properties", schema.min_properties,
            "minProperties", schema.max_properties, "maxProperties"))
      return found;
    if (auto found = spend(schema.required.size() * (x.MemberCount() / 16 + 1)))
      return found;
    for (const auto& name : schema.required)
      if (!has_member(x, name))
        return wrong("required", "lacks " + quoted_name(name) + ", which the schema requires");
    for (auto i = x.MemberBegin(); i != x.MemberEnd(); ++i)
      if (auto found = property(schema, text_of(i->name), i->name, i->value))
        return found;
    return std::nullopt;
  }

  static bool has_member(const value& object, const std::string& name) {
    return object.HasMember(
        value{rapidjson::StringRef(name.data(), static_cast<rapidjson::SizeType>(name.size()))});
  }

  violation property(
      const schema_node& schema, std::string_view name, const value& name_json, const value& x) {
    if (schema.property_names)
      if (auto found = part(name, *schema.property_names, name_json)) {
        found->sentence = "as a name, " + found->sentence;
        return found;
      }
    auto is_known = false;
    if (auto known = schema.properties.find(name); known != schema.properties.end()) {
      is_known = true;
      if (auto found = part(name, known->second, x))
        return found;
    }
    for (const auto& [pattern, rule] : schema.pattern_properties) {
      if (!matches(*pattern, name))
        continue;
      is_known = true;
      if (auto found = part(name, rule, x))
        return found;
    }
    if (is_known || !schema.additional_properties)
      return std::nullopt;
    if (!nodes_[*schema.additional_properties].is_never)
      return part(name, *schema.additional_properties, x);
    auto result = wrong("additionalProperties",
        "has " + quoted_name(name) + ", which the schema does not allow" + allowed_names(schema));
    append_step(result.pointer, name);
    return result;
  }

  static std::string allowed_names(const schema_node& schema) {
    std::string list;
    size_t count = 0;
    for (const auto& [name, rule] : schema.properties) {
      if (++count > most_names) {
        list += ", ...";
        break;
      }
      (list += list.empty() ? "; it has " : ", ") += quoted_name(name);
    }
    return list;
  }

  // -- several schemas for the same value -------------------------------------------------

  violation in_place(const schema_node& schema, const value& x) {
    if (schema.reference)
      if (auto found = node(*schema.reference, x))
        return found;
    for (auto other : schema.all_of)
      if (auto found = node(other, x))
        return found;
    if (!schema.any_of.empty())
      if (auto found = alternatives(schema.any_of, "anyOf", x))
        return found;
    if (!schema.one_of.empty())
      if (auto found = alternatives(schema.one_of, "oneOf", x))
        return found;
    if (schema.negation) {
      auto fits = !node(*schema.negation, x);
      if (budget_ == 0)
        return spend(1);
      if (fits)
        return wrong("not", "is what the schema rules out by 'not'");
    }
    return std::nullopt;
  }

  violation alternatives(const std::vector<size_t>& schemas, const char* keyword, const value& x) {
    auto is_one_of = std::string_view{keyword} == "oneOf";
    size_t fitting = 0;
    violation nearest;
    for (auto number : schemas) {
      auto found = node(number, x);
      if (budget_ == 0)
        return spend(1);
      if (!found) {
        if (!is_one_of)
          return std::nullopt;
        ++fitting;
      } else if (!nearest || found->pointer.size() > nearest->pointer.size()) {
        nearest = std::move(found);
      }
    }
    if (fitting == 1)
      return std::nullopt;
    if (fitting > 1)
      return wrong(keyword, "fits " + std::to_string(fitting) +
                                " alternatives of the schema; it must fit exactly one");
    // What got furthest was most likely meant.
    auto is_explained = nearest->keyword == "anyOf" || nearest->keyword == "oneOf";
    if (nearest->pointer.size() > pointer_.size() || schemas.size() == 1 || is_explained)
      return nearest;
    return wrong(keyword, "fits none of the " + std::to_string(schemas.size()) +
                              " alternatives of the schema; for one of them, " + nearest->sentence);
  }

  const std::vector<schema_node>& nodes_;
  std::string pointer_;
  size_t budget_;
};

} // namespace

std::optional<json_violation> json_schema::check(std::string_view json) const {
  if (nesting_of(json) > deepest_json)
    return json_violation{{}, {}, "the document nests deeper than " + std::to_string(deepest_json)};
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      json.data(), json.size());
  if (document.HasParseError())
    return json_violation{{}, {}, "the document " + parse_problem(document)};
  return checker{compiled_->nodes, json.size()}.check(document);
}

} // namespace chainmail

// A JSON schema as it is checked, and what reading and checking share. For the .cpp files here: it
// brings RapidJSON and RE2 along.
#pragma once

#include <chainmail/json/json_schema.hpp>

#include <rapidjson/document.h>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <re2/re2.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chainmail {

/// A set of JSON types, as bits.
enum json_types : unsigned {
  json_null = 1,
  json_boolean = 2,
  json_integer = 4,
  /// Any number, integers included.
  json_number = 8,
  json_string = 16,
  json_array = 32,
  json_object = 64,
};

/// The types by the names that schemas have for them.
constexpr std::pair<std::string_view, json_types> json_type_names[] = {{"null", json_null},
    {"boolean", json_boolean}, {"integer", json_integer}, {"number", json_number},
    {"string", json_string}, {"array", json_array}, {"object", json_object}};

/// One schema within a schema. Others are known by their number.
struct schema_node {
  using number = size_t;

  /// The schema `false`: nothing fits.
  bool is_never = false;
  /// Empty for any.
  unsigned types = 0;
  /// Of enum or const: the canonical texts, and how a sentence shows them.
  std::vector<std::string> allowed;
  std::string allowed_shown;
  const char* allowed_by = nullptr;

  std::optional<double> minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of;
  std::optional<size_t> min_length, max_length, min_items, max_items, min_properties,
      max_properties;
  bool has_unique_items = false;
  std::unique_ptr<RE2> pattern;

  std::vector<std::string> required;
  std::map<std::string, number, std::less<>> properties;
  std::vector<std::pair<std::unique_ptr<RE2>, number>> pattern_properties;
  std::optional<number> additional_properties, property_names;
  std::vector<number> prefix_items;
  std::optional<number> items;

  // What the same value must fit, too.
  std::optional<number> reference, negation;
  std::vector<number> all_of, any_of, one_of;
};

struct json_schema::compiled {
  /// The first one is the whole schema.
  std::vector<schema_node> nodes;
};

/// How deep arrays and objects nest in a JSON text; for what is no JSON, some number.
size_t nesting_of(std::string_view json);

/// The deepest text that is read at all.
constexpr size_t deepest_json = 128;

inline std::string_view text_of(const rapidjson::Value& x) {
  return {x.GetString(), x.GetStringLength()};
}

/// "is no valid JSON at byte 12 (Missing a comma ...)".
std::string parse_problem(const rapidjson::Document& document);

/// A text that two values have in common exactly when JSON schema takes them for equal: 1 and 1.0
/// are, and objects in any order.
void append_canonical(std::string& to, const rapidjson::Value& x);

/// The value as JSON, cut to what a sentence can hold.
std::string shown(const rapidjson::Value& x);

/// Appends "/key", escaped as JSON pointers are.
void append_step(std::string& pointer, std::string_view key);

} // namespace chainmail

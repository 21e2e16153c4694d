// Reading JSON schemas.
#include <chainmail/errors.hpp>
#include <chainmail/json/json_schema_nodes.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

namespace chainmail {

namespace {

constexpr size_t most_nodes = 10'000;
/// Schemas that one value must fit at once, by reference or as alternatives of alternatives.
constexpr size_t deepest_in_place = 64;
/// Of a place or a value of the schema in a sentence, in code points.
constexpr size_t longest_schema_excerpt = 100;

/// Keywords that take something for wrong, and that nothing here looks at.
constexpr std::array<std::string_view, 12> unchecked = {"if", "then", "else", "contains",
    "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties",
    "unevaluatedItems", "$dynamicRef", "$recursiveRef", "propertyDependencies"};

RE2::Options pattern_options() {
  RE2::Options result;
  result.set_log_errors(false);
  result.set_max_mem(int64_t{1} << 20);
  return result;
}

std::optional<std::string> decoded_fragment(std::string_view text) {
  auto hex = [](char c) {
    if (c >= '0' && c <= '9')
      return c - '0';
    auto lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  };
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
      return std::nullopt;
    result += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
    i += 2;
  }
  return result;
}

/// Turns a schema into nodes, one after the other: those that a node needs get a number at once, and
/// are read later.
class schema_reader {
public:
  explicit schema_reader(const rapidjson::Document& document) : document_(document) {}

  caf::expected<std::vector<schema_node>> read() {
    number_of(document_, {});
    for (size_t i = 0; i < pending_.size() && problem_.empty(); ++i)
      read_node(i);
    in_place_depths_.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size() && problem_.empty(); ++i)
      in_place_depth(i, 0);
    if (!problem_.empty())
      return make_failure(errc::invalid_input, problem_);
    return std::move(nodes_);
  }

private:
  using value = rapidjson::Value;
  using number = schema_node::number;

  struct source {
    const value* json;
    /// A JSON pointer into the schema.
    std::string place;
  };

  // -- places and problems ----------------------------------------------------------------

  number number_of(const value& json, std::string place) {
    auto [found, is_new] = numbers_.emplace(place, nodes_.size());
    if (is_new) {
      if (nodes_.size() == most_nodes)
        fail(place, "is more than the " + std::to_string(most_nodes) + " schemas that are read");
      nodes_.emplace_back();
      pending_.push_back({&json, std::move(place)});
    }
    return found->second;
  }

  void fail(const std::string& place, const std::string& what) {
    if (problem_.empty())
      problem_ =
          "the JSON schema is wrong: #" + one_line(place, longest_schema_excerpt) + " " + what;
  }

  [[nodiscard]] static std::string below(std::string place, std::string_view key) {
    append_step(place, key);
    return place;
  }

  // -- one schema -------------------------------------------------------------------------

  void read_node(number i) {
    auto [json, place] = pending_[i];
    schema_node node;
    if (json->IsBool()) {
      node.is_never = !json->GetBool();
    } else if (!json->IsObject()) {
      fail(place, "is " + shown(*json) + ", where a schema is an object, true or false");
    } else {
      for (auto member = json->MemberBegin(); member != json->MemberEnd(); ++member) {
        auto keyword = text_of(member->name);
        if (std::find(unchecked.begin(), unchecked.end(), keyword) != unchecked.end())
          fail(below(place, keyword), "is a keyword that is not supported");
        read_keyword(node, keyword, member->value, below(place, keyword));
      }
      settle(node, *json, place);
    }
    nodes_[i] = std::move(node);
  }

  void read_keyword(
      schema_node& node, std::string_view keyword, const value& json, const std::string& place) {
    if (keyword == "type")
      node.types |= types(json, place);
    else if (keyword == "nullable")
      node.types |= json.IsTrue() ? json_null : 0U;
    else if (keyword == "enum")
      allowed(node, json, place);
    else if (keyword == "const")
      node.allowed_by = "const", allow(node, json);
    else if (keyword == "minimum")
      node.minimum = limit(json, place);
    else if (keyword == "maximum")
      node.maximum = limit(json, place);
    else if (keyword == "exclusiveMinimum" && !json.IsBool())
      node.exclusive_minimum = limit(json, place);
    else if (keyword == "exclusiveMaximum" && !json.IsBool())
      node.exclusive_maximum = limit(json, place);
    else if (keyword == "multipleOf")
      node.multiple_of = divisor(json, place);
    else if (keyword == "minLength")
      node.min_length = count(json, place);
    else if (keyword == "maxLength")
      node.max_length = count(json, place);
    else if (keyword == "minItems")
      node.min_items = count(json, place);
    else if (keyword == "maxItems")
      node.max_items = count(json, place);
    else if (keyword == "minProperties")
      node.min_properties = count(json, place);
    else if (keyword == "maxProperties")
      node.max_properties = count(json, place);
    else if (keyword == "uniqueItems")
      node.has_unique_items = json.IsTrue();
    else if (keyword == "pattern")
      node.pattern = pattern(json, place);
    else if (keyword == "required" && !json.IsBool()) // a draft before the fourth
      node.required = texts(json, place);
    else
      read_applicator(node, keyword, json, place);
  }

  void read_applicator(
      schema_node& node, std::string_view keyword, const value& json, const std::string& place) {
    if (keyword == "properties")
      each_member(json, place,
          [&](std::string_view name, number schema) { node.properties.emplace(name, schema); });
    else if (keyword == "patternProperties")
      each_member(json, place, [&](std::string_view name, number schema) {
        node.pattern_properties.emplace_back(compiled_pattern(name, place), schema);
      });
    else if (keyword == "additionalProperties")
      node.additional_properties = number_of(json, place);
    else if (keyword == "propertyNames")
      node.property_names = number_of(json, place);
    else if (keyword == "prefixItems" || (keyword == "items" && json.IsArray()))
      node.prefix_items = schemas(json, place);
    else if (keyword == "items")
      node.items = number_of(json, place);
    else if (keyword == "$ref")
      node.reference = referred(json, place);
    else if (keyword == "not")
      node.negation = number_of(json, place);
    else if (keyword == "allOf")
      node.all_of = schemas(json, place);
    else if (keyword == "anyOf")
      node.any_of = schemas(json, place);
    else if (keyword == "oneOf")
      node.one_of = schemas(json, place);
  }

  /// What one keyword says of another.
  void settle(schema_node& node, const value& json, const std::string& place) {
    if (node.types == json_null && !json.HasMember("type")) // nullable without a type
      node.types = 0;
    auto is_exclusive = [&](const char* keyword) {
      auto found = json.FindMember(keyword);
      return found != json.MemberEnd() && found->value.IsTrue();
    };
    if (is_exclusive("exclusiveMinimum"))
      node.exclusive_minimum = std::exchange(node.minimum, std::nullopt);
    if (is_exclusive("exclusiveMaximum"))
      node.exclusive_maximum = std::exchange(node.maximum, std::nullopt);
    if (auto items = json.FindMember("items"); items != json.MemberEnd() && items->value.IsArray())
      if (auto rest = json.FindMember("additionalItems"); rest != json.MemberEnd())
        node.items = number_of(rest->value, below(place, "additionalItems"));
    if ((node.types & json_null) != 0 && json.HasMember("nullable") && node.allowed_by != nullptr)
      node.allowed.emplace_back("n");
  }

  // -- what keywords hold -----------------------------------------------------------------

  unsigned types(const value& json, const std::string& place) {
    if (json.IsArray() && !json.Empty()) {
      unsigned result = 0;
      for (const auto& item : json.GetArray())
        result |= item.IsString() ? types(item, place) : types(value{}, place);
      return result;
    }
    if (json.IsString())
      for (const auto& [name, bit] : json_type_names)
        if (name == text_of(json))
          return bit;
    fail(place, "names no type: there are null, boolean, integer, number, string, array, object");
    return 0;
  }

  void allow(schema_node& node, const value& json) {
    append_canonical(node.allowed.emplace_back(), json);
    if (node.allowed_shown.size() < 2 * longest_schema_excerpt)
      node.allowed_shown += (node.allowed_shown.empty() ? "" : ", ") + shown(json);
    else if (!node.allowed_shown.ends_with("..."))
      node.allowed_shown += ", ...";
  }

  void allowed(schema_node& node, const value& json, const std::string& place) {
    if (!json.IsArray())
      return fail(place, "is no array");
    node.allowed_by = "enum";
    for (const auto& item : json.GetArray())
      allow(node, item);
  }

  double limit(const value& json, const std::string& place) {
    if (!json.IsNumber())
      fail(place, "is no number");
    return json.IsNumber() ? json.GetDouble() : 0;
  }

  double divisor(const value& json, const std::string& place) {
    auto result = limit(json, place);
    if (result <= 0)
      fail(place, "is not above 0");
    return result;
  }

  size_t count(const value& json, const std::string& place) {
    constexpr double most = 9e15;
    auto x = json.IsNumber() ? json.GetDouble() : -1;
    if (x >= 0 && x <= most && std::floor(x) == x)
      return static_cast<size_t>(x);
    fail(place, "is no count");
    return 0;
  }

  std::unique_ptr<RE2> pattern(const value& json, const std::string& place) {
    if (json.IsString())
      return compiled_pattern(text_of(json), place);
    fail(place, "is no text");
    return nullptr;
  }

  std::unique_ptr<RE2> compiled_pattern(std::string_view text, const std::string& place) {
    auto result =
        std::make_unique<RE2>(re2::StringPiece{text.data(), text.size()}, pattern_options());
    if (!result->ok())
      fail(place, "holds a pattern that RE2 does not take: " +
                      one_line(result->error(), longest_schema_excerpt));
    return result;
  }

  std::vector<std::string> texts(const value& json, const std::string& place) {
    std::vector<std::string> result;
    if (!json.IsArray())
      fail(place, "is no array");
    else
      for (const auto& item : json.GetArray()) {
        if (item.IsString())
          result.emplace_back(text_of(item));
        else
          fail(place, "holds what is no text");
      }
    return result;
  }

  std::vector<number> schemas(const value& json, const std::string& place) {
    std::vector<number> result;
    if (!json.IsArray() || json.Empty())
      fail(place, "is no array of schemas");
    else
      for (rapidjson::SizeType i = 0; i < json.Size(); ++i)
        result.push_back(number_of(json[i], below(place, std::to_string(i))));
    return result;
  }

  template <class F>
  void each_member(const value& json, const std::string& place, F take) {
    if (!json.IsObject())
      return fail(place, "is no object");
    for (auto i = json.MemberBegin(); i != json.MemberEnd(); ++i)
      take(text_of(i->name), number_of(i->value, below(place, text_of(i->name))));
  }

  // -- references -------------------------------------------------------------------------

  std::optional<number> referred(const value& json, const std::string& place) {
    auto text = json.IsString() ? text_of(json) : std::string_view{};
    if (auto found = text.starts_with('#') ? decoded_fragment(text.substr(1)) : std::nullopt)
      if (auto result = at_pointer(*found))
        return result;
    fail(place, "refers to " + shown(json) +
                    ", which is not in the schema; \"#/$defs/NAME\" would be a place in it");
    return std::nullopt;
  }

  std::optional<number> at_pointer(std::string_view pointer) {
    const value* at = &document_;
    std::string place;
    while (!pointer.empty()) {
      if (pointer.front() != '/')
        return std::nullopt;
      auto end = std::min(pointer.find('/', 1), pointer.size());
      auto key = unescaped(pointer.substr(1, end - 1));
      pointer.remove_prefix(end);
      append_step(place, key);
      at = step(*at, key);
      if (at == nullptr)
        return std::nullopt;
    }
    return number_of(*at, std::move(place));
  }

  static std::string unescaped(std::string_view key) {
    std::string result;
    for (size_t i = 0; i < key.size(); ++i) {
      auto is_escape = key[i] == '~' && i + 1 < key.size();
      result += is_escape ? (key[++i] == '1' ? '/' : '~') : key[i];
    }
    return result;
  }

  static const value* step(const value& from, const std::string& key) {
    if (from.IsArray()) {
      constexpr size_t most_digits = 8;
      if (key.empty() || key.size() > most_digits ||
          key.find_first_not_of("0123456789") != std::string::npos)
        return nullptr;
      auto index = static_cast<rapidjson::SizeType>(std::stoul(key));
      return index < from.Size() ? &from[index] : nullptr;
    }
    if (!from.IsObject())
      return nullptr;
    auto found = from.FindMember(
        value{rapidjson::StringRef(key.data(), static_cast<rapidjson::SizeType>(key.size()))});
    return found == from.MemberEnd() ? nullptr : &found->value;
  }

  /// How many schemas at most a value is in at once, from this one on. Ends for circles too.
  size_t in_place_depth(number i, size_t above) {
    if (in_place_depths_[i] != 0 || !problem_.empty())
      return in_place_depths_[i];
    if (above == deepest_in_place) {
      fail(pending_[i].place, "refers to itself in a circle, or stands in more than " +
                                  std::to_string(deepest_in_place) + " schemas for the same value");
      return 0;
    }
    size_t result = 0;
    auto visit = [&](number other) { result = std::max(result, in_place_depth(other, above + 1)); };
    const auto& node = nodes_[i];
    for (const auto& one : {node.reference, node.negation})
      if (one)
        visit(*one);
    for (const auto* many : {&node.all_of, &node.any_of, &node.one_of})
      for (auto other : *many)
        visit(other);
    if (result >= deepest_in_place)
      fail(pending_[i].place,
          "holds more than " + std::to_string(deepest_in_place) + " schemas for the same value");
    return in_place_depths_[i] = result + 1;
  }

  const rapidjson::Document& document_;
  std::unordered_map<std::string, number> numbers_;
  std::vector<source> pending_;
  std::vector<schema_node> nodes_;
  /// 0 for what is not known yet.
  std::vector<size_t> in_place_depths_;
  std::string problem_;
};

} // namespace

json_schema::json_schema(std::shared_ptr<const compiled> what) : compiled_(std::move(what)) {
}

caf::expected<json_schema> json_schema::parse(std::string_view text) {
  if (nesting_of(text) > deepest_json)
    return make_failure(errc::invalid_input,
        std::string{"the JSON schema nests deeper than "}.append(std::to_string(deepest_json)));
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      text.data(), text.size());
  if (document.HasParseError())
    return make_failure(errc::invalid_input, "the JSON schema " + parse_problem(document));
  auto nodes = schema_reader{document}.read();
  if (!nodes)
    return std::move(nodes.error());
  auto result = std::make_shared<compiled>();
  result->nodes = std::move(*nodes);
  return json_schema{std::move(result)};
}

} // namespace chainmail

#include <chainmail/errors.hpp>
#include <chainmail/json/json_schema.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace json_schema_test {

using namespace chainmail;
using namespace std::literals;

namespace {

json_schema schema_of(std::string_view text) {
  auto schema = json_schema::parse(text);
  INFO(text);
  INFO((schema ? "" : sentence_of(schema.error())));
  REQUIRE(schema);
  return *schema;
}

bool fits(std::string_view schema, std::string_view json) {
  return !schema_of(schema).check(json);
}

json_violation violation_of(std::string_view schema, std::string_view json) {
  auto found = schema_of(schema).check(json);
  INFO(schema << "\n" << json);
  REQUIRE(found);
  return *found;
}

std::string refusal(std::string_view schema) {
  auto parsed = json_schema::parse(schema);
  INFO(schema);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error() == errc::invalid_input);
  return sentence_of(parsed.error());
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string repeated(std::string_view text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i)
    result += text;
  return result;
}

constexpr auto order = R"({
  "type": "object",
  "properties": {
    "name": {"type": "string", "minLength": 2, "maxLength": 5},
    "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}}
  },
  "required": ["name", "items"],
  "additionalProperties": false,
  "$defs": {
    "item": {
      "type": "object",
      "properties": {
        "price": {"type": "number", "minimum": 0, "exclusiveMaximum": 100},
        "colour": {"enum": ["red", "green", 3, null]},
        "next": {"anyOf": [{"$ref": "#/$defs/item"}, {"type": "null"}]}
      },
      "required": ["price"]
    }
  }
})";

} // namespace

TEST_CASE("a document that fits its schema has no violation") {
  auto schema = schema_of(order);
  CHECK_FALSE(schema.check(R"({"name":"Ada","items":[{"price":1.5,"colour":"red"}]})"));
  CHECK_FALSE(schema.check(
      R"({"name":"Zoé","items":[{"price":0,"colour":3.0,"next":{"price":2,"next":null}}]})"));
}

TEST_CASE("a violation says where, against which keyword, and what is wanted") {
  struct example {
    std::string_view json, pointer, keyword, sentence;
  };
  const std::vector<example> examples{
      {R"([])", "", "type", "the document is an array; the schema wants an object"},
      {R"({"name":"Ada"})", "", "required",
          "the document lacks 'items', which the schema requires"},
      {R"({"name":"Ada","items":[{"price":1},{"price":1},{"price":"1"}]})", "/items/2/price",
          "type", "/items/2/price is a string; the schema wants a number"},
      {R"({"name":"Ada","items":[{"price":-1}]})", "/items/0/price", "minimum",
          "/items/0/price is -1; the schema wants at least 0"},
      {R"({"name":"Ada","items":[{"price":100}]})", "/items/0/price", "exclusiveMaximum",
          "/items/0/price is 100; the schema wants less than 100"},
      {R"({"name":"Ada","items":[{"price":1,"colour":"blue"}]})", "/items/0/colour", "enum",
          R"(/items/0/colour is "blue"; the schema allows only "red", "green", 3, null)"},
      {R"({"name":"Ada","items":[]})", "/items", "minItems",
          "/items has 0 items; the schema wants at least 1"},
      {R"({"name":"A","items":[]})", "/name", "minLength",
          "/name has 1 characters; the schema wants at least 2"},
      {R"({"name":"Adelaide","items":[]})", "/name", "maxLength",
          "/name has 8 characters; the schema wants at most 5"},
      {R"({"name":"Ada","items":[{"price":1}],"a/b~c":1})", "/a~1b~0c", "additionalProperties",
          "the document has 'a/b~c', which the schema does not allow; it has 'items', 'name'"},
      {R"({"name":"Ada","items":[{"price":1,"next":{"price":[]}}]})", "/items/0/next/price", "type",
          "/items/0/next/price is an array; the schema wants a number"},
      {R"({"name":"Ada","items":[{"price":1,"next":7}]})", "/items/0/next", "anyOf",
          "/items/0/next fits none of the 2 alternatives of the schema; for one of them, "
          "/items/0/next is a number; the schema wants an object"},
      {R"({"name":"Ada")", "", "",
          "the document is no valid JSON at byte 13 (Missing a comma or '}' after an object "
          "member.)"},
  };
  for (const auto& [json, pointer, keyword, sentence] : examples) {
    auto found = violation_of(order, json);
    CHECK(found.pointer == pointer);
    CHECK(found.keyword == keyword);
    CHECK(found.sentence == sentence);
  }
}

TEST_CASE("each keyword takes what it says and nothing else") {
  struct example {
    std::string_view schema;
    std::vector<std::string_view> right, wrong;
  };
  const std::vector<example> examples{
      {"true", {"1", "{}"}, {}},
      {"{}", {"1", "{}"}, {}},
      {"false", {}, {"1", "null"}},
      {R"({"type":["string","null"]})", {"\"a\"", "null"}, {"1", "[]", "true"}},
      {R"({"type":"integer"})", {"1", "-3", "2.0", "18446744073709551615", "1e20"},
          {"1.5", "\"1\"", "true"}},
      {R"({"type":"number"})", {"1", "1.5"}, {"\"1\"", "null"}},
      {R"({"type":"boolean"})", {"true", "false"}, {"0", "\"true\""}},
      {R"({"type":"string","nullable":true})", {"\"a\"", "null"}, {"1"}},
      {R"({"enum":["a"],"nullable":true,"type":"string"})", {"\"a\"", "null"}, {"\"b\""}},
      {R"({"const":{"a":1,"b":[2]}})", {R"({"b":[2.0],"a":1})"}, {R"({"a":1})", "1"}},
      {R"({"enum":[0,"0",false]})", {"0", "0.0", "\"0\"", "false"}, {"null", "[]", "\"\""}},
      {R"({"pattern":"^[a-z]+\\d$"})", {"\"ab1\"", "1"}, {"\"ab\"", "\"Ab1\""}},
      {R"({"maxLength":2})", {"\"\u00e9\U0001f600\""}, {"\"abc\""}},
      {R"({"minimum":1,"maximum":3})", {"1", "3", "\"0\""}, {"0.999", "3.001"}},
      {R"({"exclusiveMinimum":1,"exclusiveMaximum":3})", {"2"}, {"1", "3"}},
      {R"({"minimum":1,"exclusiveMinimum":true})", {"1.1"}, {"1"}},
      {R"({"multipleOf":0.01})", {"1.1", "19.99", "0", "4.02"}, {"1.001"}},
      {R"({"multipleOf":3})", {"9", "-3"}, {"10"}},
      {R"({"prefixItems":[{"type":"string"}],"items":{"type":"number"}})", {"[\"a\",1,2]", "[]"},
          {"[1]", "[\"a\",\"b\"]"}},
      {R"({"items":[{"type":"string"}],"additionalItems":false})", {"[\"a\"]"},
          {"[\"a\",1]", "[1]"}},
      {R"({"maxItems":1})", {"[1]"}, {"[1,2]"}},
      {R"({"uniqueItems":true})", {"[1,\"1\",[1],{\"a\":1}]"},
          {"[1,1.0]", R"([{"a":1,"b":2},{"b":2,"a":1}])"}},
      {R"({"minProperties":1,"maxProperties":2})", {R"({"a":1})"},
          {"{}", R"({"a":1,"b":1,"c":1})"}},
      {R"({"additionalProperties":{"type":"number"}})", {R"({"a":1})"}, {R"({"a":"1"})"}},
      {R"({"patternProperties":{"^x-":{"type":"number"}},"additionalProperties":false})",
          {R"({"x-a":1})"}, {R"({"x-a":"1"})", R"({"a":1})"}},
      {R"({"propertyNames":{"maxLength":3}})", {R"({"abc":1})"}, {R"({"abcd":1})"}},
      {R"({"allOf":[{"minimum":1},{"maximum":3}]})", {"2"}, {"0", "4"}},
      {R"({"anyOf":[{"type":"string"},{"minimum":3}]})", {"\"a\"", "3"}, {"2"}},
      {R"({"oneOf":[{"multipleOf":2},{"multipleOf":3}]})", {"2", "3"}, {"5", "6"}},
      {R"({"not":{"type":"string"}})", {"1"}, {"\"a\""}},
      {R"({"not":{"not":{"type":"string"}}})", {"\"a\""}, {"1"}},
      {R"({"format":"email","description":"x","default":1,"$schema":"y"})", {"1", "\"?\""}, {}},
      {R"({"definitions":{"a b":{"type":"null"}},"$ref":"#/definitions/a%20b"})", {"null"}, {"1"}},
      {R"({"properties":{"a":{"type":"null"},"b":{"$ref":"#/properties/a"}}})", {R"({"b":null})"},
          {R"({"b":1})"}},
      {R"({"$defs":{"a/b":{"type":"null"}},"$ref":"#/$defs/a~1b","description":"also"})", {"null"},
          {"1"}},
      {R"({"properties":{"self":{"$ref":"#"}},"additionalProperties":false})",
          {R"({"self":{"self":{}}})"}, {R"({"self":{"other":1}})"}},
      {R"({"allOf":[true,{"anyOf":[false,{"type":"null"}]}]})", {"null"}, {"1"}},
  };
  for (const auto& [schema, right, wrong] : examples) {
    for (auto json : right) {
      INFO(schema << " takes " << json);
      CHECK(fits(schema, json));
    }
    for (auto json : wrong) {
      INFO(schema << " refuses " << json);
      CHECK_FALSE(fits(schema, json));
    }
  }
}

TEST_CASE("a schema that is wrong is refused with the place") {
  CHECK(refusal(R"({"type":"object","properties":{"a":{"type":"str"}}})") ==
        "the JSON schema is wrong: #/properties/a/type names no type: there are null, boolean, "
        "integer, number, string, array, object");
  CHECK(contains(refusal("{\"type\":"), "the JSON schema is no valid JSON at byte 8"));
  CHECK(contains(refusal("3"), "# is 3, where a schema is an object, true or false"));
  CHECK(contains(refusal(R"({"properties":[]})"), "#/properties is no object"));
  CHECK(contains(refusal(R"({"properties":{"a":1}})"), "#/properties/a is 1, where a schema"));
  CHECK(contains(refusal(R"({"required":[1]})"), "#/required holds what is no text"));
  CHECK(contains(refusal(R"({"minLength":-1})"), "#/minLength is no count"));
  CHECK(contains(refusal(R"({"minItems":1e300})"), "#/minItems is no count"));
  CHECK(contains(refusal(R"({"minimum":"1"})"), "#/minimum is no number"));
  CHECK(contains(refusal(R"({"multipleOf":0})"), "#/multipleOf is not above 0"));
  CHECK(contains(refusal(R"({"anyOf":[]})"), "#/anyOf is no array of schemas"));
  CHECK(contains(refusal(R"-({"pattern":"(?=a)"})-"), "#/pattern holds a pattern that RE2"));
  CHECK(contains(refusal(R"({"enum":1})"), "#/enum is no array"));
  CHECK(contains(refusal(R"({"unevaluatedProperties":false})"),
      "#/unevaluatedProperties is a keyword that is not supported"));
}

TEST_CASE("a reference that leads nowhere is refused") {
  auto target = GENERATE("#/$defs/none", "https://example.com/schema", "other.json", "#anchor",
      "#/%zz", "#/enum/x", "");
  auto sentence = refusal(R"({"enum":[1],"items":{"$ref":")" + std::string{target} + "\"}}");
  CHECK(contains(sentence, "#/items/$ref refers to \""));
  CHECK(contains(sentence, "which is not in the schema"));
  CHECK(contains(refusal(R"({"$ref":3})"), "#/$ref refers to 3"));
}

TEST_CASE("references in a circle are refused, unless they go down into the document") {
  auto circle = GENERATE(R"({"$ref":"#"})",
      R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})",
      R"({"anyOf":[{"type":"string"},{"not":{"$ref":"#"}}]})");
  CHECK(contains(refusal(circle), "refers to itself in a circle"));
  CHECK(fits(R"({"type":"array","items":{"$ref":"#"}})", "[[],[[]]]"));
}

TEST_CASE("long chains of references are refused, in whichever order they stand") {
  auto is_reversed = GENERATE(false, true);
  std::string defs;
  for (size_t i = 0; i < 100; ++i) {
    auto at = is_reversed ? 99 - i : i;
    defs += (defs.empty() ? "\"d" : ",\"d") + std::to_string(at) + R"(":{"$ref":"#/$defs/d)" +
            std::to_string(at + 1) + "\"}";
  }
  auto sentence =
      refusal(R"({"$ref":"#/$defs/d0","$defs":{)" + defs + R"(,"d100":{"type":"null"}}})");
  CHECK(contains(sentence, "64 schemas for the same value"));
}

TEST_CASE("hostile documents and schemas end neither the stack nor the time") {
  constexpr size_t deep = 200'000;
  auto any = schema_of(R"({"items":{"$ref":"#"},"uniqueItems":true})");
  SECTION("a document that nests without end") {
    auto found = any.check(repeated("[", deep));
    REQUIRE(found);
    CHECK(found->sentence == "the document nests deeper than 128");
    CHECK(any.check(repeated("[", deep) + repeated("]", deep)));
    CHECK(any.check(repeated("{\"a\":", deep)));
    CHECK_FALSE(any.check(repeated("[", 128) + repeated("]", 128)));
  }
  SECTION("a schema that nests without end") {
    CHECK(contains(refusal(repeated("{\"not\":", deep)), "nests deeper than 128"));
    CHECK(contains(refusal(repeated("{\"not\":", 100) + "{}" + repeated("}", 100)), "64 schemas"));
  }
  SECTION("numbers beyond a double") {
    CHECK(contains(any.check("[1" + repeated("0", 400) + "]")->sentence, "no valid JSON"));
    CHECK(any.check("1e999"));
    CHECK_FALSE(any.check("[1e308,-1e308,1e-400]"));
    CHECK(fits(R"({"multipleOf":1e-300})", "1e300"));
  }
  SECTION("alternatives that double the work with each level") {
    auto doubling = schema_of(R"({"$defs":{"a":{"anyOf":[
      {"properties":{"x":{"$ref":"#/$defs/a"}},"required":["y"]},
      {"properties":{"x":{"$ref":"#/$defs/a"}},"required":["y"]}]}},"$ref":"#/$defs/a"})");
    CHECK_FALSE(doubling.check(R"({"y":1,"x":{"y":1}})"));
    auto small = doubling.check(R"({"y":1,"x":{}})");
    REQUIRE(small);
    CHECK(small->pointer == "/x");
    auto twice = schema_of(R"({"$defs":{"a":{"anyOf":[
      {"properties":{"x":{"$ref":"#/$defs/a"}},"minProperties":1},
      {"properties":{"x":{"$ref":"#/$defs/a"}},"minProperties":1}]}},"$ref":"#/$defs/a"})");
    auto found = twice.check(repeated("{\"x\":", 60) + "{}" + repeated("}", 60));
    REQUIRE(found);
    CHECK(found->sentence == "the document takes too long to check against its schema");
    auto negated = schema_of(R"({"not":{"allOf":[{"$ref":"#/$defs/a"}]},"$defs":{"a":{"anyOf":[
      {"properties":{"x":{"$ref":"#/$defs/a"}},"minProperties":1},
      {"properties":{"x":{"$ref":"#/$defs/a"}},"minProperties":1}]}}})");
    CHECK(negated.check(repeated("{\"x\":", 60) + "{}" + repeated("}", 60)));
  }
  SECTION("texts that are not UTF-8, and what is quoted of long ones") {
    CHECK(any.check("\"\xff\""));
    auto key = repeated("k", 100'000);
    auto found = violation_of(R"({"additionalProperties":{"type":"null"}})", "{\"" + key + "\":1}");
    CHECK(found.pointer == "/" + key);
    CHECK(found.sentence.size() < 500);
    CHECK(violation_of(R"({"enum":["a"]})", "\"" + key + "\"").sentence.size() < 500);
  }
  SECTION("many items") {
    std::string many = "[0";
    for (size_t i = 1; i < 20'000; ++i)
      many += "," + std::to_string(i);
    CHECK_FALSE(any.check(many + "]"));
    CHECK(any.check(many + ",19999]"));
  }
}

TEST_CASE("any text whatever is answered") {
  // Every cut and every one-byte change of a document and of a schema.
  constexpr auto document = R"({"name":"Ada","items":[{"price":1.5,"next":{"price":2}}]})"sv;
  auto schema = schema_of(order);
  size_t violations = 0;
  for (size_t i = 0; i < document.size(); ++i) {
    violations += schema.check(document.substr(0, i)) ? 1 : 0;
    std::string changed{document};
    for (auto c : "\"]{:\\\xff"sv) {
      changed[i] = c;
      (void)schema.check(changed);
    }
  }
  CHECK(violations == document.size());
  for (size_t i = 0; i < std::string_view{order}.size(); ++i) {
    (void)json_schema::parse(std::string_view{order}.substr(0, i));
    std::string changed{order};
    for (auto c : "\"]{,0"sv) {
      changed[i] = c;
      if (auto parsed = json_schema::parse(changed))
        (void)parsed->check(document);
    }
  }
}

} // namespace json_schema_test

#include <chainmail/json/strict_schema.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace strict_schema_test {

using namespace chainmail;

TEST_CASE("a schema whose objects require all they have is strict") {
  CHECK(is_strict_schema(GENERATE(
      R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false})",
      R"({"type":"object","properties":{},"additionalProperties":false})",
      R"({"type":"object","properties":{"not":{"enum":[{"allOf":1}]}},"required":["not"],
          "additionalProperties":false,"$defs":{"oneOf":{"type":"null"}}})",
      R"({"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"$ref":"#"}]}},"required":["a"],
          "additionalProperties":false})")));
}

TEST_CASE("what strict endpoints refuse is not strict") {
  CHECK_FALSE(is_strict_schema(GENERATE("", "[]", "true", "{}", R"({"type":"string"})",
      R"({"type":"object"})",
      R"({"type":"object","properties":{"a":{}},"additionalProperties":false})",
      R"({"type":"object","properties":{"a":{}},"required":["a"]})",
      R"({"type":"object","properties":{"a":{"type":"object","properties":{"b":{}}}},"required":["a"],
          "additionalProperties":false})",
      R"({"type":"object","properties":{"a":{"type":["object","null"]}},"required":["a"],
          "additionalProperties":false})",
      R"({"type":"object","properties":{"a":{"oneOf":[{"type":"null"}]}},"required":["a"],
          "additionalProperties":false})",
      R"({"type":"object","properties":{"a":{"$ref":"#/$defs/b"}},"required":["a"],
          "additionalProperties":false,"$defs":{"b":{"properties":{"c":{}}}}})",
      R"({"anyOf":[{"type":"object","properties":{},"additionalProperties":false}],"type":"object",
          "additionalProperties":false})")));
  CHECK_FALSE(is_strict_schema(std::string(1'000'000, '[')));
}

} // namespace strict_schema_test

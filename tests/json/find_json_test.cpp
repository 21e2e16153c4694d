#include <chainmail/json/find_json.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace find_json_test {

using namespace chainmail;

TEST_CASE("a text that is JSON is taken whole, without blanks around it") {
  CHECK(find_json(" {\"a\": [1]}\n") == "{\"a\": [1]}");
  CHECK(find_json("3") == "3");
  CHECK(find_json("\"``` {}\"") == "\"``` {}\"");
}

TEST_CASE("JSON is found between fences, with a language or without") {
  CHECK(find_json("Here:\n```json\n{\"a\":1}\n```\nDone.") == "{\"a\":1}");
  CHECK(find_json("```\n[1]\n```") == "[1]");
  CHECK(find_json("```json\n{\"a\":1}") == "{\"a\":1}"); // cut off behind it
  CHECK(find_json("```py\nx = {}\n```\n```json\n{\"a\":1}\n```") == "{\"a\":1}");
}

TEST_CASE("JSON is found in prose") {
  CHECK(find_json("The answer is {\"a\":{\"b\":[1]}}, I think.") == "{\"a\":{\"b\":[1]}}");
  CHECK(find_json("[1, 2] it is") == "[1, 2]");
}

TEST_CASE("a text without JSON stays as it is, trimmed") {
  CHECK(find_json("") == "");
  CHECK(find_json(" I cannot. ") == "I cannot.");
  CHECK(find_json("```") == "```");
  CHECK(find_json("}{") == "}{");
  CHECK(find_json("{\"a\":") == "{\"a\":");
  auto deep = std::string(200'000, '[');
  CHECK(find_json(deep) == deep);
  std::string fences;
  for (auto i = 0; i < 50'000; ++i)
    fences += "```\n";
  CHECK(find_json(fences).size() == fences.size() - 1);
}

} // namespace find_json_test

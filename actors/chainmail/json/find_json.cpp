// Looking for JSON where models put it.
#include <chainmail/json/find_json.hpp>
#include <chainmail/json/json_schema_nodes.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <rapidjson/reader.h>

namespace chainmail {

namespace {

bool is_json(std::string_view text) {
  rapidjson::MemoryStream in{text.data(), text.size()};
  rapidjson::BaseReaderHandler<> nobody;
  rapidjson::Reader reader;
  return !reader
              .Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
                  in, nobody)
              .IsError();
}

} // namespace

std::string_view find_json(std::string_view text) {
  constexpr std::string_view fence = "```";
  constexpr size_t most_fences = 16;
  auto whole = trimmed(text);
  if (is_json(whole))
    return whole;
  auto at = whole.find(fence);
  for (size_t i = 0; i < most_fences && at != std::string_view::npos; ++i) {
    // Behind the fence stands a language, or nothing.
    auto begin = whole.find('\n', at);
    if (begin == std::string_view::npos)
      break;
    auto end = whole.find(fence, begin);
    if (auto inside = trimmed(whole.substr(begin, end - begin)); is_json(inside))
      return inside;
    at = end == std::string_view::npos ? end : whole.find(fence, end + fence.size());
  }
  auto first = whole.find_first_of("{[");
  auto last = whole.find_last_of("}]");
  if (first < last && last != std::string_view::npos)
    if (auto inside = whole.substr(first, last - first + 1); is_json(inside))
      return inside;
  return whole;
}

} // namespace chainmail

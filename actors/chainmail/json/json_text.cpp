// JSON values as texts: for comparing, for sentences, for pointers.
#include <chainmail/json/json_schema_nodes.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace chainmail {

namespace {

/// Of a value in a sentence, in code points.
constexpr size_t longest_value = 60;

template <class Number>
void append_number(std::string& to, Number x) {
  char digits[40];
  to.append(digits, std::to_chars(digits, digits + sizeof digits, x).ptr);
}

void append_sized(std::string& to, std::string_view text) {
  append_number(to, text.size());
  (to += ':') += text;
}

} // namespace

size_t nesting_of(std::string_view json) {
  size_t depth = 0;
  size_t deepest = 0;
  for (size_t i = 0; i < json.size(); ++i) {
    switch (json[i]) {
    case '"':
      for (++i; i < json.size() && json[i] != '"'; ++i)
        if (json[i] == '\\')
          ++i;
      break;
    case '[':
    case '{':
      deepest = std::max(deepest, ++depth);
      break;
    case ']':
    case '}':
      depth -= depth == 0 ? 0 : 1;
      break;
    default:
      break;
    }
  }
  return deepest;
}

std::string parse_problem(const rapidjson::Document& document) {
  return "is no valid JSON at byte " + std::to_string(document.GetErrorOffset()) + " (" +
         rapidjson::GetParseError_En(document.GetParseError()) + ")";
}

void append_canonical(std::string& to, const rapidjson::Value& x) {
  constexpr double integers_end = 9.2e18;
  switch (x.GetType()) {
  case rapidjson::kNullType:
    to += 'n';
    return;
  case rapidjson::kTrueType:
    to += 't';
    return;
  case rapidjson::kFalseType:
    to += 'f';
    return;
  case rapidjson::kNumberType:
    if (x.IsInt64())
      append_number(to, x.GetInt64());
    else if (x.IsUint64())
      append_number(to, x.GetUint64());
    else if (auto number = x.GetDouble();
             std::floor(number) == number && std::abs(number) < integers_end)
      append_number(to, static_cast<int64_t>(number));
    else
      append_number(to, number);
    to += ';';
    return;
  case rapidjson::kStringType:
    append_sized(to, text_of(x));
    return;
  case rapidjson::kArrayType:
    to += '[';
    for (const auto& item : x.GetArray())
      append_canonical(to, item);
    to += ']';
    return;
  case rapidjson::kObjectType:
    break;
  }
  std::vector<rapidjson::Value::ConstMemberIterator> members;
  for (auto i = x.MemberBegin(); i != x.MemberEnd(); ++i)
    members.push_back(i);
  std::stable_sort(members.begin(), members.end(),
      [](auto a, auto b) { return text_of(a->name) < text_of(b->name); });
  to += '{';
  for (auto member : members) {
    append_sized(to, text_of(member->name));
    append_canonical(to, member->value);
  }
  to += '}';
}

std::string shown(const rapidjson::Value& x) {
  if (x.IsObject() || x.IsArray())
    return x.IsObject() ? "an object" : "an array";
  if (x.IsString())
    return '"' + one_line(text_of(x), longest_value) + '"';
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer{buffer};
  x.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

void append_step(std::string& pointer, std::string_view key) {
  pointer += '/';
  for (auto c : key) {
    if (c == '~')
      pointer += "~0";
    else if (c == '/')
      pointer += "~1";
    else
      pointer += c;
  }
}

} // namespace chainmail

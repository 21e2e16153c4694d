// Reads and checks the fields of a request's JSON. Private to the readers.

#pragma once

#include "json_text.hpp"
#include "requests.hpp"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

using rapidjson::Value;

inline constexpr std::size_t most_nesting = 256;
inline constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

[[noreturn]] inline void refuse(std::string_view field, std::string_view wanted) {
  throw refusal{.message = "'" + std::string(field) + "' must be " + std::string(wanted),
      .param = std::string(field)};
}

// -- parsing ------------------------------------------------------------------

/// RapidJSON's iterative parser spends heap instead of stack on nesting: bounded here all the same.
inline bool is_nested_deeper_than(std::string_view json, std::size_t limit) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    char c = json[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limit)
        return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

/// A parsed body. The usual one fits in the pool on the stack.
class document {
public:
  explicit document(std::string_view json) : allocator_(pool_.data(), pool_.size()) {
    if (is_nested_deeper_than(json, most_nesting))
      throw refusal{.message = "the JSON body is nested more than 256 levels deep"};
    constexpr unsigned flags =
        rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    root_.Parse<flags>(json.data(), json.size());
    if (root_.HasParseError())
      throw refusal{.message = "the body is not valid JSON: " +
                               std::string(rapidjson::GetParseError_En(root_.GetParseError())) +
                               " (byte " + std::to_string(root_.GetErrorOffset()) + ")"};
    if (!root_.IsObject())
      throw refusal{.message = "the JSON body must be an object"};
  }

  const Value& root() const { return root_; }

private:
  alignas(std::max_align_t) std::array<char, 4096> pool_;
  rapidjson::MemoryPoolAllocator<> allocator_;
  rapidjson::Document root_{&allocator_};
};

// -- fields -------------------------------------------------------------------

/// Null counts as absent, as in the API.
inline const Value* find(const Value& object, const char* key) {
  auto member = object.FindMember(key);
  return member == object.MemberEnd() || member->value.IsNull() ? nullptr : &member->value;
}

inline std::string_view view(const Value& text) {
  return {text.GetString(), text.GetStringLength()};
}

inline std::optional<std::uint64_t> whole_number(
    const Value& root, const char* key, std::uint64_t least, std::uint64_t most) {
  const Value* value = find(root, key);
  if (value == nullptr)
    return {};
  if (value->IsUint64() && value->GetUint64() >= least && value->GetUint64() <= most)
    return value->GetUint64();
  auto limits = most == unlimited ? "of at least " + std::to_string(least)
                                  : "from " + std::to_string(least) + " to " + std::to_string(most);
  refuse(key, "a whole number " + limits);
}

inline void check_number(const Value& root, const char* key) {
  if (const Value* value = find(root, key); value != nullptr && !value->IsNumber())
    refuse(key, "a number");
}

/// False when it is not there.
inline bool boolean(const Value& root, const char* key) {
  const Value* value = find(root, key);
  if (value == nullptr)
    return false;
  if (!value->IsBool())
    refuse(key, "a boolean");
  return value->GetBool();
}

/// A string or an array of strings.
inline std::vector<std::string> strings(
    const Value& value, const char* key, std::size_t most, std::string_view wanted) {
  std::vector<std::string> result;
  if (value.IsString()) {
    result.emplace_back(view(value));
    return result;
  }
  if (!value.IsArray() || value.Empty() || value.Size() > most)
    refuse(key, wanted);
  for (const auto& item : value.GetArray()) {
    if (!item.IsString())
      refuse(key, wanted);
    result.emplace_back(view(item));
  }
  return result;
}

inline std::string json_of(const Value& value) {
  rapidjson::StringBuffer buffer;
  json_writer json(buffer);
  value.Accept(json);
  return text_of(buffer);
}

/// A refusal names the field that the object is a part of.
inline std::string text_member(
    const Value& object, const char* key, const char* field, bool is_required) {
  const Value* value = find(object, key);
  if (value == nullptr && !is_required)
    return {};
  if (value == nullptr || !value->IsString() || (is_required && value->GetStringLength() == 0))
    refuse(field, "made of objects with a string '" + std::string(key) + "'");
  return std::string(view(*value));
}

std::string read_model(const Value& root, std::string_view deployment);

/// What completions and chats have in common.
generation read_common(const Value& root, std::string_view deployment);

} // namespace chainmail::simulator

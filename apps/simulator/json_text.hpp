// How the simulator writes JSON: RapidJSON's writer for whole documents, plain appending for events.
// Private to the replies.

#pragma once

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace chainmail::simulator {

using json_writer = rapidjson::Writer<rapidjson::StringBuffer>;

inline void put(json_writer& json, std::string_view text) {
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

inline void put(json_writer& json, const char* key, std::string_view text) {
  json.Key(key);
  put(json, text);
}

inline void put(json_writer& json, const char* key, std::uint64_t number) {
  json.Key(key);
  json.Uint64(number);
}

inline void put_null(json_writer& json, const char* key) {
  json.Key(key);
  json.Null();
}

inline std::string text_of(const rapidjson::StringBuffer& buffer) {
  return {buffer.GetString(), buffer.GetSize()};
}

/// Spares a writer and its buffer for each of the many short texts of a stream.
inline void append_json_string(std::string& to, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  to += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (c == '\n') {
      to += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      to += "\\u00";
      to += digits[static_cast<unsigned char>(c) >> 4U];
      to += digits[static_cast<unsigned char>(c) & 0xFU];
    } else {
      to += c;
    }
  }
  to += '"';
}

} // namespace chainmail::simulator

// Writes the JSON of a request to a provider. For the .cpp files of the codecs: it brings RapidJSON
// along.
#pragma once

#include <chainmail/llm.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace chainmail {

/// Writes one object, and remembers the first thing that could not be written. Without a field's name,
/// a value is an item of the array that is open.
class request_writer {
public:
  request_writer() { json_.StartObject(); }

  void begin_object(const char* field = nullptr);
  void end_object() { json_.EndObject(); }
  void begin_array(const char* field);
  void end_array() { json_.EndArray(); }

  void text(const char* field, std::string_view what);
  void texts(const char* field, const std::vector<std::string>& list);
  void number(const char* field, double x);
  void integer(const char* field, int64_t x);
  void boolean(const char* field, bool x);
  void null(const char* field);

  template <class T>
  void optional(const char* field, const std::optional<T>& x) {
    if (!x)
      return;
    if constexpr (std::is_same_v<T, double>)
      number(field, *x);
    else if constexpr (std::is_same_v<T, std::string>)
      text(field, *x);
    else
      integer(field, static_cast<int64_t>(*x));
  }

  /// A JSON text as it stands. `place` is what an error calls it.
  void object_text(const char* field, std::string_view json, const std::string& place);

  /// Fields that a user added, the request's over the client's. `reserved` are those that have a place
  /// of their own in llm_request, or change the response.
  void extra(const llm_parameters& mine, const llm_parameters& theirs,
      std::span<const std::string_view> reserved);

  void fail(const std::string& field, const std::string& what);

  /// The object, or errc::invalid_input that names the field.
  caf::expected<std::string> finish();

private:
  void key(const char* field) {
    if (field != nullptr)
      json_.Key(field);
  }

  void string(const char* field, std::string_view what);
  void raw(const std::string& field, const std::string& json,
      std::span<const std::string_view> reserved);

  /// Most requests are shorter.
  static constexpr size_t usual_bytes = 1024;

  rapidjson::StringBuffer buffer_{nullptr, usual_bytes};
  rapidjson::Writer<rapidjson::StringBuffer> json_{buffer_};
  std::string problem_;
};

/// A JSON text that is an object, or nothing.
std::optional<rapidjson::Document> parsed_object(std::string_view json);

template <class T>
const std::optional<T>& either(const std::optional<T>& first, const std::optional<T>& second) {
  return first ? first : second;
}

/// errc::invalid_input, naming the message or the tool, for a request that no chat endpoint would
/// take: a role that is none, an image that is no image, an answer to no call, a tool without a name.
caf::error check_chat(const llm_request& request);

} // namespace chainmail

// Chain values: text, numbers, lists, documents and chats by name, and how they are read.
#pragma once

#include <chainmail/type_ids.hpp>

#include <caf/fwd.hpp>
#include <caf/inspector_access.hpp>
#include <caf/sec.hpp>

#include <compare>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace chainmail {

/// A piece of text with what is known about it: "source", "title", "page".
struct document {
  std::string content = {};
  std::map<std::string, std::string> metadata = {};

  friend auto operator<=>(const document&, const document&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, document& x) {
  return f.object(x).fields(f.field("content", x.content), f.field("metadata", x.metadata));
}

/// A piece of a chat message: text, or an image.
struct content_part {
  std::string text = {};
  /// Where the image is, or the image itself: an http(s) URL, or "data:image/png;base64,...". Empty
  /// for text.
  std::string image = {};

  friend auto operator<=>(const content_part&, const content_part&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, content_part& x) {
  return f.object(x).fields(f.field("text", x.text), f.field("image", x.image));
}

/// What a model wants to have done: a call of one of the request's tools.
struct tool_call {
  /// The provider's, or one made up where it gave none: the answer refers to it.
  std::string id = {};
  std::string name = {};
  /// The JSON text that the model wrote, as it stands: neither complete nor valid for sure.
  std::string arguments = {};

  friend auto operator<=>(const tool_call&, const tool_call&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, tool_call& x) {
  return f.object(x).fields(
      f.field("id", x.id), f.field("name", x.name), f.field("arguments", x.arguments));
}

/// One message of a chat. Roles are the provider's words: "system", "user", "assistant", "tool".
struct chat_message {
  std::string role = {};
  std::string content = {};
  /// What follows the content, such as images.
  std::vector<content_part> parts = {};
  /// Of an assistant's message: what it wants to have done.
  std::vector<tool_call> tool_calls = {};
  /// Of a tool's message: which call its content answers.
  std::string tool_call_id = {};

  friend auto operator<=>(const chat_message&, const chat_message&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, chat_message& x) {
  return f.object(x).fields(f.field("role", x.role), f.field("content", x.content),
      f.field("parts", x.parts), f.field("tool_calls", x.tool_calls),
      f.field("tool_call_id", x.tool_call_id));
}

/// The text under `key`, or null when the key is missing or holds something else.
const std::string* find_text(const values& from, std::string_view key);

/// The text under `key`; errc::missing_input or errc::invalid_input when there is none.
caf::expected<std::string> get_text(const values& from, std::string_view key);

/// Appends text, a number or a bool as a person would write it: 3, 0.5, true. False, and nothing
/// appended, for lists, documents and chats, which have no such form.
bool append_text(std::string& to, const value& what);

} // namespace chainmail

namespace caf {

/// A value crosses the wire as the index of its alternative and the alternative. CAF's own form of a
/// variant wants a type ID for each, and std::vector<std::string> is not ours to give one.
template <>
struct inspector_access<chainmail::value> : inspector_access_base<chainmail::value> {
  template <class Inspector>
  static bool apply(Inspector& f, chainmail::value& x) {
    auto type = static_cast<uint8_t>(x.index());
    if (!f.begin_object(caf::type_id_v<chainmail::value>, "chainmail::value") ||
        !f.begin_field("type") || !f.apply(type) || !f.end_field() || !f.begin_field("value"))
      return false;
    if constexpr (Inspector::is_loading) {
      if (!become<0>(x, type)) {
        f.emplace_error(caf::sec::invalid_field_type, std::string{"value"});
        return false;
      }
    }
    return std::visit([&f](auto& what) { return f.apply(what); }, x) && f.end_field() &&
           f.end_object();
  }

private:
  template <size_t Index>
  static bool become(chainmail::value& x, size_t type) {
    if constexpr (Index < std::variant_size_v<chainmail::value>) {
      if (type != Index)
        return become<Index + 1>(x, type);
      x.emplace<Index>();
      return true;
    } else {
      return false;
    }
  }
};

} // namespace caf

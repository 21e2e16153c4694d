// Chain values: text, numbers, lists, documents and chats by name, and how they are read.
#pragma once

#include <chainmail/type_ids.hpp>

#include <caf/fwd.hpp>

#include <compare>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace chainmail {

/// A piece of text with what is known about it: "source", "title", "page".
struct document {
  std::string content;
  std::map<std::string, std::string> metadata;

  friend auto operator<=>(const document&, const document&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, document& x) {
  return f.object(x).fields(f.field("content", x.content), f.field("metadata", x.metadata));
}

/// One message of a chat. Roles are the provider's words: "system", "user", "assistant", "tool".
struct chat_message {
  std::string role;
  std::string content;

  friend auto operator<=>(const chat_message&, const chat_message&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, chat_message& x) {
  return f.object(x).fields(f.field("role", x.role), f.field("content", x.content));
}

/// The text under `key`, or null when the key is missing or holds something else.
const std::string* find_text(const values& from, std::string_view key);

/// The text under `key`; errc::missing_input or errc::invalid_input when there is none.
caf::expected<std::string> get_text(const values& from, std::string_view key);

/// Appends text, a number or a bool as a person would write it: 3, 0.5, true. False, and nothing
/// appended, for lists, documents and chats, which have no such form.
bool append_text(std::string& to, const value& what);

} // namespace chainmail

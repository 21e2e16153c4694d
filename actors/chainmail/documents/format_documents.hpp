// Documents as text: how one is written into a prompt, and how several are joined.
#pragma once

#include <chainmail/prompts/prompt_template.hpp>
#include <chainmail/values.hpp>

#include <caf/fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// Writes one document. The prompt's variables are `page_content` and the names of metadata;
/// errc::missing_input when the document lacks one of them.
caf::expected<std::string> format_document(const prompt_template& prompt, const document& what);

/// Writes each document and joins them. An error names the document by its position.
caf::expected<std::string> join_documents(const prompt_template& prompt,
    const std::vector<document>& documents, std::string_view separator);

/// Moves the documents out of `from`, and the entry with them. errc::missing_input or
/// errc::invalid_input when there are none under `key`; an empty list is a list.
caf::expected<std::vector<document>> take_documents(values& from, std::string_view key);

/// Moves the text out of what `who` (a chain of another's slot) answered. errc::malformed_response
/// when it is not there or is no text.
caf::expected<std::string> take_text(values& from, const std::string& key, const char* who);

} // namespace chainmail

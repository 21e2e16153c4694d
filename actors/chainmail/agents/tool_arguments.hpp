// Arguments of tools: JSON that a model wrote, made fit for those that get it.
#pragma once

#include <chainmail/chains.hpp>
#include <chainmail/llm.hpp>
#include <chainmail/values.hpp>

#include <caf/fwd.hpp>

#include <string>
#include <string_view>

namespace chainmail {

/// The name as providers take it: 1 to 64 letters, digits, '_' and '-'. Such a name stays as it is.
std::string presentable_tool_name(std::string name);

/// A JSON schema of an object whose properties are the inputs of a chain: texts, all of them needed,
/// and no other.
std::string schema_of_inputs(const chain_description& chain);

/// The members of a JSON object as values: texts, numbers, bools, and arrays of texts as lists. What
/// values have no place for (null, objects, other arrays) becomes its JSON text.
/// errc::invalid_input for what is no JSON object.
caf::expected<values> values_from_json(std::string_view json);

/// The member `key` of a JSON object; errc::invalid_input when there is no such text.
caf::expected<std::string> text_from_json(std::string_view json, const std::string& key);

/// Outputs as a model reads them: the only one by itself, several each after its name. Lists are
/// written line by line, documents with their sources.
std::string show_outputs(const values& outputs);

/// Documents with blank lines between them, each after its source, if it has one.
std::string show_documents(const std::vector<document>& documents);

/// Without blanks at both ends, and the code fences around it: ```json and ```.
std::string_view without_code_fences(std::string_view text);

/// What a model wrote behind "Action Input:" as a JSON object. Code fences around it go. A JSON
/// object stays as it is; nothing is an empty one. Anything else becomes the tool's only property (of one or more, the only
/// one that is needed): as text when the schema has that for a text, else as the JSON that it is.
/// Where no property can be meant, the text stays as it is, for the schema to complain about.
std::string arguments_from_text(std::string_view text, const std::string& schema);

} // namespace chainmail

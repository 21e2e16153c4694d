// Writing documents into prompts.
#include <chainmail/documents/format_documents.hpp>
#include <chainmail/errors.hpp>

#include <caf/expected.hpp>

namespace chainmail {

caf::expected<std::string> format_document(const prompt_template& prompt, const document& what) {
  values inputs;
  for (const auto& name : prompt.input_variables()) {
    if (name == "page_content")
      inputs.emplace(name, what.content);
    else if (auto found = what.metadata.find(name); found != what.metadata.end())
      inputs.emplace(name, found->second);
    else
      return make_failure(errc::missing_input,
          "the document prompt wants '" + name + "', which the document's metadata does not have");
  }
  return prompt.format_from(inputs);
}

caf::expected<std::string> join_documents(const prompt_template& prompt,
    const std::vector<document>& documents, std::string_view separator) {
  std::string result;
  for (size_t i = 0; i < documents.size(); ++i) {
    auto text = format_document(prompt, documents[i]);
    if (!text)
      return make_failure(code_of(text.error()), "document " + std::to_string(i + 1) + " of " +
                                                     std::to_string(documents.size()) + ": " +
                                                     sentence_of(text.error()));
    if (i > 0)
      result += separator;
    result += *text;
  }
  return result;
}

caf::expected<std::vector<document>> take_documents(values& from, std::string_view key) {
  auto found = from.find(key);
  auto name = std::string{"'"}.append(key) + "'";
  if (found == from.end())
    return make_failure(errc::missing_input, "there are no documents under " + name);
  auto* documents = std::get_if<std::vector<document>>(&found->second);
  if (documents == nullptr)
    return make_failure(
        errc::invalid_input, "what is under " + name + " is not a list of documents");
  auto result = std::move(*documents);
  from.erase(found);
  return result;
}

caf::expected<std::string> take_text(values& from, const std::string& key, const char* who) {
  auto found = from.find(key);
  auto* text = found == from.end() ? nullptr : std::get_if<std::string>(&found->second);
  if (text == nullptr)
    return make_failure(errc::malformed_response,
        std::string{who} + " answered without a text under '" + key + "'");
  return std::move(*text);
}

} // namespace chainmail

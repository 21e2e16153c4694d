// Output parsers, on RE2.
#include <chainmail/errors.hpp>
#include <chainmail/prompts/output_parsers.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <re2/re2.h>

namespace chainmail {

namespace {

/// As much of a text without a match as its error quotes, in code points.
constexpr size_t longest_text_excerpt = 100;

RE2::Options silent(RE2::Options::Encoding encoding) {
  RE2::Options result;
  result.set_log_errors(false);
  result.set_encoding(encoding);
  return result;
}

re2::StringPiece piece(std::string_view text) {
  return {text.data(), text.size()};
}

caf::error invalid(std::string_view pattern, const std::string& what) {
  return make_failure(errc::invalid_input,
      "the output pattern '" + one_line(pattern, longest_text_excerpt) + "' " + what);
}

} // namespace

struct regex_parser::compiled {
  compiled(std::string_view text, std::vector<std::string> names, std::string_view otherwise)
    : pattern(piece(text), silent(RE2::Options::EncodingUTF8)),
      bytes_pattern(piece(text), silent(RE2::Options::EncodingLatin1)),
      keys(std::move(names)),
      default_key(otherwise) {}

  RE2 pattern;
  /// For texts that are not UTF-8: there, no dot of the other pattern matches a stray byte, and a
  /// match would start behind it.
  RE2 bytes_pattern;
  std::vector<std::string> keys;
  std::string default_key;
};

regex_parser::regex_parser(std::shared_ptr<const compiled> what) : compiled_(std::move(what)) {
}

caf::expected<regex_parser> regex_parser::make(
    std::string_view pattern, std::vector<std::string> keys, std::string_view default_key) {
  auto result = std::make_shared<const compiled>(pattern, std::move(keys), default_key);
  for (const auto* half : {&result->pattern, &result->bytes_pattern})
    if (!half->ok())
      return invalid(pattern, "does not compile: " + one_line(half->error(), longest_text_excerpt));
  auto groups = static_cast<size_t>(result->pattern.NumberOfCapturingGroups());
  if (groups != result->keys.size())
    return invalid(pattern, "has " + std::to_string(groups) + " groups for " +
                                std::to_string(result->keys.size()) +
                                " keys; a group that is for no key is written (?:...)");
  for (auto key = result->keys.begin(); key != result->keys.end(); ++key)
    if (key->empty() || std::find(result->keys.begin(), key, *key) != key)
      return invalid(pattern, "has a key '" + *key + "' that is empty or repeated");
  if (!default_key.empty() &&
      std::find(result->keys.begin(), result->keys.end(), default_key) == result->keys.end())
    return invalid(
        pattern, "has the default key '" + result->default_key + "', which is none of its keys");
  return regex_parser{std::move(result)};
}

caf::expected<values> regex_parser::parse(std::string_view text) const {
  const auto& [pattern, bytes_pattern, names, default_key] = *compiled_;
  const auto& fitting = is_utf8(text) ? pattern : bytes_pattern;
  // The whole match comes first.
  std::vector<re2::StringPiece> groups(names.size() + 1);
  auto found = fitting.Match(
      piece(text), 0, text.size(), RE2::UNANCHORED, groups.data(), static_cast<int>(groups.size()));
  if (!found && default_key.empty())
    return make_failure(
        errc::malformed_response, "the model's text does not match the output pattern '" +
                                      one_line(pattern.pattern(), longest_text_excerpt) +
                                      "': " + one_line(text, longest_text_excerpt));
  values result;
  for (size_t i = 0; i < names.size(); ++i) {
    if (found)
      result.emplace(names[i], std::string{groups[i + 1].data(), groups[i + 1].size()});
    else
      result.emplace(names[i], names[i] == default_key ? std::string{text} : std::string{});
  }
  return result;
}

const std::vector<std::string>& regex_parser::keys() const {
  return compiled_->keys;
}

std::vector<std::string> parse_comma_list(std::string_view text) {
  std::vector<std::string> items;
  if (trimmed(text).empty())
    return items;
  for (size_t begin = 0; begin <= text.size();) {
    auto end = std::min(text.find(',', begin), text.size());
    items.emplace_back(trimmed(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return items;
}

} // namespace chainmail

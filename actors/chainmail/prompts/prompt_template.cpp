// Parsing and formatting of prompt templates.
#include <chainmail/errors.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace chainmail {

namespace {

bool is_identifier(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
}

caf::error malformed(std::string what, size_t position) {
  return make_failure(errc::invalid_input,
      "the prompt template " + std::move(what) + " at character " + std::to_string(position + 1) +
          "; a brace that is meant as a brace is written twice");
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string result;
  for (const auto& name : names)
    result += (result.empty() ? "'" : ", '") + name + "'";
  return result.empty() ? "none" : result;
}

prompt_template or_throw(caf::expected<prompt_template> parsed) {
  if (!parsed)
    throw std::invalid_argument{sentence_of(parsed.error())};
  return std::move(*parsed);
}

} // namespace

prompt_template::prompt_template(std::string_view text) : prompt_template(or_throw(parse(text))) {
}

prompt_template::prompt_template(const char* text) : prompt_template(std::string_view{text}) {
}

// -- making -------------------------------------------------------------------------

caf::expected<prompt_template> prompt_template::parse(std::string_view text) {
  prompt_template result;
  if (auto error = result.append_parsed(text))
    return error;
  result.collect_variables();
  return result;
}

caf::expected<prompt_template> prompt_template::parse(
    std::string_view text, std::vector<std::string> declared) {
  auto result = parse(text);
  if (!result)
    return result;
  std::sort(declared.begin(), declared.end());
  declared.erase(std::unique(declared.begin(), declared.end()), declared.end());
  if (declared != result->input_variables_)
    return make_failure(
        errc::invalid_input, "the prompt template uses " + quoted_list(result->input_variables_) +
                                 ", but the declared variables are " + quoted_list(declared));
  return result;
}

caf::expected<prompt_template> prompt_template::from_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::ostringstream text;
  std::error_code ignored;
  auto readable = file && !std::filesystem::is_directory(path, ignored);
  if (readable && file.peek() != std::ifstream::traits_type::eof())
    text << file.rdbuf();
  if (!readable || !text)
    return make_failure(
        errc::invalid_input, "the prompt template file " + path.string() + " cannot be read");
  return parse(text.str());
}

caf::expected<prompt_template> prompt_template::from_examples(
    const std::vector<std::string>& examples, std::string_view suffix, std::string_view prefix,
    std::string_view separator) {
  std::string joined;
  for (const auto& example : examples) {
    if (example.empty())
      continue;
    if (!joined.empty())
      joined += separator;
    joined += example;
  }
  return around(
      prefix, [joined](const values&) -> caf::expected<std::string> { return joined; }, suffix,
      separator);
}

caf::expected<prompt_template> prompt_template::around(
    std::string_view prefix, block middle, std::string_view suffix, std::string_view separator) {
  prompt_template result;
  if (auto error = result.append_parsed(prefix))
    return error;
  // The middle may turn out empty, so it brings its separators along, unless the suffix needs one
  // anyway.
  auto between = !prefix.empty() && !suffix.empty();
  auto bridged = [middle = std::move(middle),
                     before = std::string{prefix.empty() ? std::string_view{} : separator},
                     after =
                         std::string{between || suffix.empty() ? std::string_view{} : separator}](
                     const values& inputs) -> caf::expected<std::string> {
    auto text = middle(inputs);
    if (!text || text->empty())
      return text;
    return before + *text + after;
  };
  result.pieces_.push_back(
      {piece::computed, {}, std::make_shared<const block>(std::move(bridged))});
  if (between)
    result.append_literal(separator);
  if (auto error = result.append_parsed(suffix))
    return error;
  result.collect_variables();
  return result;
}

caf::expected<prompt_template> prompt_template::with_partial(
    std::string name, std::string text) const {
  return with_partial(std::move(name), partial{[text = std::move(text)] { return text; }});
}

caf::expected<prompt_template> prompt_template::with_partial(std::string name, partial text) const {
  if (!uses(name))
    return make_failure(
        errc::unexpected_input, "the prompt template has no variable '" + name + "'");
  auto result = *this;
  result.partials_.insert_or_assign(std::move(name), std::move(text));
  result.collect_variables();
  return result;
}

caf::error prompt_template::append_parsed(std::string_view text) {
  std::string literal;
  for (size_t i = 0; i < text.size();) {
    auto c = text[i];
    if (c != '{' && c != '}') {
      auto end = std::min(text.find_first_of("{}", i), text.size());
      literal += text.substr(i, end - i);
      i = end;
    } else if (i + 1 < text.size() && text[i + 1] == c) {
      literal += c;
      i += 2;
    } else if (c == '}') {
      return malformed("has a closing brace without an opening one", i);
    } else {
      auto end = text.find('}', i);
      if (end == std::string_view::npos)
        return malformed("has an opening brace that is never closed", i);
      std::string name{text.substr(i + 1, end - i - 1)};
      if (name == "stop")
        return malformed("uses the reserved name 'stop' for a variable", i);
      if (!is_identifier(name))
        return malformed("has '{" + name + "}', which names no variable,", i);
      append_literal(literal);
      literal.clear();
      pieces_.push_back({piece::variable, std::move(name), nullptr});
      i = end + 1;
    }
  }
  append_literal(literal);
  return {};
}

void prompt_template::append_literal(std::string_view text) {
  if (!text.empty())
    pieces_.push_back({piece::literal, std::string{text}, nullptr});
}

void prompt_template::collect_variables() {
  input_variables_.clear();
  for (const auto& p : pieces_)
    if (p.kind == piece::variable && !partials_.contains(p.text))
      input_variables_.push_back(p.text);
  std::sort(input_variables_.begin(), input_variables_.end());
  input_variables_.erase(
      std::unique(input_variables_.begin(), input_variables_.end()), input_variables_.end());
}

bool prompt_template::uses(std::string_view name) const {
  return std::any_of(pieces_.begin(), pieces_.end(),
      [name](const piece& p) { return p.kind == piece::variable && p.text == name; });
}

// -- using --------------------------------------------------------------------------

caf::expected<std::string> prompt_template::format(const values& inputs) const {
  for (const auto& [name, unused] : inputs)
    if (!uses(name))
      return make_failure(errc::unexpected_input, "the prompt template has no variable '" + name +
                                                      "'; it uses " +
                                                      quoted_list(input_variables_));
  return format_from(inputs);
}

caf::expected<std::string> prompt_template::format_from(const values& inputs) const {
  // Partials and blocks are the user's code, and this runs inside actors.
  try {
    return format_pieces(inputs);
  } catch (const std::exception& error) {
    return make_failure(errc::invalid_input,
        std::string{"a partial or a selector of the prompt failed: "} + error.what());
  }
}

caf::expected<std::string> prompt_template::format_pieces(const values& inputs) const {
  std::string result;
  result.reserve(128);
  for (const auto& p : pieces_) {
    if (p.kind == piece::literal) {
      result += p.text;
    } else if (p.kind == piece::computed) {
      auto text = (*p.compute)(inputs);
      if (!text)
        return text;
      result += *text;
    } else if (auto error = append_variable(result, p.text, inputs)) {
      return error;
    }
  }
  return result;
}

caf::error prompt_template::append_variable(
    std::string& to, const std::string& name, const values& inputs) const {
  if (auto found = inputs.find(name); found != inputs.end()) {
    if (append_text(to, found->second))
      return {};
    return make_failure(errc::invalid_input,
        "the input '" + name + "' is a list; a prompt template takes text, a number or a bool");
  }
  if (auto found = partials_.find(name); found != partials_.end()) {
    to += found->second();
    return {};
  }
  std::vector<std::string> missing;
  for (const auto& key : input_variables_)
    if (!inputs.contains(key))
      missing.push_back(key);
  std::vector<std::string> given;
  for (const auto& [key, unused] : inputs)
    given.push_back(key);
  return make_failure(errc::missing_input,
      (missing.size() == 1 ? "the prompt needs the input " : "the prompt needs the inputs ") +
          quoted_list(missing) + "; the inputs are " + quoted_list(given));
}

} // namespace chainmail

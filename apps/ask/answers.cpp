// Sorting sources, and writing answers.
#include "answers.hpp"

#include "corpus.hpp"

#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace chainmail::asking {

namespace {

/// In bytes: a long page, and about what a model that embeds takes in (8,191 tokens).
constexpr size_t longest_question = 20'000;
/// In characters.
constexpr size_t longest_place = 200;

std::string source_of(const document& piece) {
  auto found = piece.metadata.find("source");
  return found == piece.metadata.end() ? std::string{} : found->second;
}

std::string without_blanks(std::string_view text) {
  std::string result{text};
  std::erase_if(result, [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; });
  return result;
}

/// Whether the answer's text stands in the piece, however its lines are broken: of several pieces of
/// one file, that is the one meant.
bool holds(const document& piece, std::string_view text) {
  auto wanted = without_blanks(text);
  return !wanted.empty() && without_blanks(piece.content).find(wanted) != std::string::npos;
}

bool belongs_to_name(char c) {
  constexpr std::string_view others = "_-/.";
  auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || std::isalnum(byte) != 0 || others.find(c) != std::string_view::npos;
}

/// Whether list[at, at + size) is no part of a longer name. A sentence's dot may follow.
bool stands_alone(std::string_view list, size_t at, size_t size) {
  auto end = std::min(list.find_first_not_of('.', at + size), list.size());
  return (at == 0 || !belongs_to_name(list[at - 1])) &&
         (end == list.size() || !belongs_to_name(list[end]));
}

/// The sources of pieces that the list names, in its order. Names may hold commas and blanks, and
/// models separate them as they like, so the list is searched for the names that there are.
std::vector<std::string> named_in(std::string list, const std::vector<document>& pieces) {
  std::vector<std::string> names;
  for (const auto& piece : pieces)
    if (auto name = source_of(piece); !name.empty())
      names.push_back(std::move(name));
  std::ranges::sort(names, [](const auto& a, const auto& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b; // the longest that fits is meant
  });
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::pair<size_t, std::string>> found;
  for (auto& name : names) {
    auto at = list.find(name);
    while (at != std::string::npos && !stands_alone(list, at, name.size()))
      at = list.find(name, at + 1);
    if (at == std::string::npos)
      continue;
    list.replace(at, name.size(), name.size(), '\n');
    found.emplace_back(at, std::move(name));
  }
  std::ranges::sort(found);
  std::vector<std::string> result;
  result.reserve(found.size());
  for (auto& [at, name] : found)
    result.push_back(std::move(name));
  return result;
}

std::vector<std::string> places_of(const std::vector<document>& pieces) {
  std::vector<std::string> result;
  for (const auto& piece : pieces)
    if (auto place = one_line(place_of(piece), longest_place);
        std::ranges::find(result, place) == result.end())
      result.push_back(std::move(place));
  return result;
}

/// Each code point as `change(code_point, its bytes)` writes it; U+FFFD for what is not UTF-8.
template <class F>
std::string rewritten(std::string_view text, F change) {
  std::string result;
  while (!text.empty()) {
    auto next = first_code_point(text);
    result += next.number == not_utf8 ? "\uFFFD" : change(next.number, text.substr(0, next.bytes));
    text.remove_prefix(next.bytes);
  }
  return result;
}

std::string valid_utf8(std::string_view text) {
  return rewritten(text, [](char32_t, std::string_view bytes) { return bytes; });
}

/// A terminal would obey control characters, those of ISO 6429 above U+0080 among them.
std::string without_control(std::string_view text) {
  return rewritten(text, [](char32_t number, std::string_view bytes) -> std::string_view {
    if (number == '\t')
      return " ";
    auto is_control = number < 0x20 || (number >= 0x7f && number < 0xa0);
    return is_control && number != '\n' ? "" : bytes;
  });
}

using json_writer = rapidjson::Writer<rapidjson::StringBuffer>;

void put(json_writer& json, std::string_view text) {
  auto valid = valid_utf8(text);
  json.String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
}

void put_pieces(json_writer& json, const char* key, const std::vector<document>& pieces) {
  json.Key(key);
  json.StartArray();
  for (const auto& piece : pieces) {
    json.StartObject();
    json.Key("file");
    put(json, source_of(piece));
    if (auto heading = piece.metadata.find("heading"); heading != piece.metadata.end()) {
      json.Key("heading");
      put(json, heading->second);
    }
    json.EndObject();
  }
  json.EndArray();
}

} // namespace

caf::error check_question(std::string_view question) {
  auto refuse = [](std::string why) { return make_failure(errc::invalid_input, std::move(why)); };
  if (trimmed(question).empty())
    return refuse("the question is empty");
  if (question.size() > longest_question)
    return refuse("the question is " + std::to_string(question.size()) +
                  " bytes long; no more than " + std::to_string(longest_question) +
                  " can be asked at once");
  if (!is_utf8(question))
    return refuse("the question is not UTF-8 text");
  return {};
}

answer read_answer(std::string question, const values& outputs, double seconds) {
  answer result;
  result.question = std::move(question);
  result.seconds = seconds;
  if (auto* text = find_text(outputs, "answer"))
    result.text = trimmed(*text);
  auto found = outputs.find("source_documents");
  auto* pieces =
      found == outputs.end() ? nullptr : std::get_if<std::vector<document>>(&found->second);
  if (pieces == nullptr)
    return result;
  std::vector<std::string> named;
  if (auto* list = find_text(outputs, "sources"))
    named = named_in(*list, *pieces);
  for (const auto& name : named) {
    auto of_name = [&](const document& piece) { return source_of(piece) == name; };
    auto best = std::ranges::find_if(*pieces,
        [&](const document& piece) { return of_name(piece) && holds(piece, result.text); });
    if (best != pieces->end())
      result.sources.push_back(*best);
    else
      result.sources.push_back({{}, {{"source", name}}});
  }
  for (const auto& piece : *pieces)
    if (std::ranges::find(named, source_of(piece)) == named.end())
      result.looked_at.push_back(piece);
  return result;
}

std::string show(const answer& what) {
  auto result = without_control(what.text) + "\n\n";
  auto is_sourced = !what.sources.empty();
  auto places = places_of(is_sourced ? what.sources : what.looked_at);
  const std::string head = is_sourced ? "Sources: " : "Looked at: ";
  for (size_t i = 0; i < places.size(); ++i)
    result += (i == 0 ? head : std::string(head.size(), ' ')) + places[i] + "\n";
  return result;
}

std::string to_json(const answer& what, bool is_simulated) {
  rapidjson::StringBuffer buffer;
  json_writer json{buffer};
  json.SetMaxDecimalPlaces(4);
  json.StartObject();
  json.Key("question");
  put(json, what.question);
  json.Key("answer");
  put(json, what.text);
  put_pieces(json, "sources", what.sources);
  put_pieces(json, "looked_at", what.looked_at);
  json.Key("seconds");
  json.Double(what.seconds);
  json.Key("simulated");
  json.Bool(is_simulated);
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

std::string to_json(std::string_view question, const caf::error& why) {
  rapidjson::StringBuffer buffer;
  json_writer json{buffer};
  json.StartObject();
  json.Key("question");
  put(json, question.substr(0, longest_question));
  json.Key("error");
  put(json, describe(why));
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

} // namespace chainmail::asking

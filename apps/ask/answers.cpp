// Sorting sources, and writing answers.
#include "answers.hpp"

#include "corpus.hpp"

#include <chainmail/prompts/output_parsers.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstdio>

namespace chainmail::ask {

namespace {

std::string source_of(const document& piece) {
  auto found = piece.metadata.find("source");
  return found == piece.metadata.end() ? std::string{} : found->second;
}

/// Whether the answer's text stands in the piece: of several of one file, that is the one meant.
bool holds(const document& piece, std::string_view text) {
  return !text.empty() && piece.content.find(text) != std::string::npos;
}

std::vector<std::string> places_of(const std::vector<document>& pieces) {
  std::vector<std::string> result;
  for (const auto& piece : pieces)
    if (auto place = place_of(piece); std::ranges::find(result, place) == result.end())
      result.push_back(std::move(place));
  return result;
}

std::string without_control(std::string_view text) {
  std::string result{text};
  std::erase_if(result,
      [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f; });
  return result;
}

using json_writer = rapidjson::Writer<rapidjson::StringBuffer>;

void put(json_writer& json, const std::string& text) {
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
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

answer read_answer(std::string question, const values& outputs, double seconds) {
  answer result;
  result.question = std::move(question);
  result.seconds = seconds;
  if (auto* text = find_text(outputs, "answer"))
    result.text = trimmed(*text);
  std::vector<std::string> named;
  if (auto* list = find_text(outputs, "sources"))
    named = parse_comma_list(*list);
  auto found = outputs.find("source_documents");
  auto* pieces =
      found == outputs.end() ? nullptr : std::get_if<std::vector<document>>(&found->second);
  if (pieces == nullptr)
    return result;
  for (const auto& name : named) {
    auto of_name = [&](const document& piece) { return source_of(piece) == name; };
    auto best = std::ranges::find_if(*pieces,
        [&](const document& piece) { return of_name(piece) && holds(piece, result.text); });
    if (best != pieces->end())
      result.sources.push_back(*best);
    else if (std::ranges::any_of(*pieces, of_name))
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
  return buffer.GetString();
}

} // namespace chainmail::ask

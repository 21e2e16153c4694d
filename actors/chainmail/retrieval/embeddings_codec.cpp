// Writing requests for embeddings, and reading the vectors.
#include <chainmail/errors.hpp>
#include <chainmail/llm/provider_reply.hpp>
#include <chainmail/prompts/utf8.hpp>
#include <chainmail/retrieval/embeddings_codec.hpp>

#include <caf/expected.hpp>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string_view>

namespace chainmail {

namespace {

// -- base64 (RFC 4648, section 4) ---------------------------------------------------------

constexpr uint8_t no_digit = 64;

constexpr std::array<uint8_t, 256> make_digits() {
  std::array<uint8_t, 256> result{};
  result.fill(no_digit);
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < alphabet.size(); ++i)
    result[static_cast<unsigned char>(alphabet[i])] = static_cast<uint8_t>(i);
  return result;
}

constexpr auto digit_values = make_digits();

std::string_view without_padding(std::string_view text) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i)
    text.remove_suffix(1);
  return text;
}

/// False unless `text` is base64, with or without its padding, of exactly `into`'s numbers in
/// little-endian order.
bool decode_base64(std::string_view text, std::span<float> into) {
  uint32_t bits = 0;
  unsigned held = 0;
  uint32_t number = 0;
  size_t bytes = 0;
  for (auto c : without_padding(text)) {
    auto digit = digit_values[static_cast<unsigned char>(c)];
    if (digit == no_digit)
      return false;
    bits = (bits << 6U) | digit;
    held += 6;
    if (held < 8)
      continue;
    held -= 8;
    number |= ((bits >> held) & 0xffU) << (8 * (bytes % 4));
    if (++bytes % 4 != 0)
      continue;
    if (bytes / 4 > into.size())
      return false;
    into[bytes / 4 - 1] = std::bit_cast<float>(number);
    number = 0;
  }
  return bytes == 4 * into.size() && held < 6 && (bits & ((1U << held) - 1)) == 0;
}

// -- replies --------------------------------------------------------------------------------

struct embeddings_reader {
  const provider_reply& reply;
  const embedder_options& asked;
  size_t count;

  [[nodiscard]] caf::expected<embeddings> result() const {
    auto* data = member(reply.json(), "data");
    if (data == nullptr || !data->IsArray())
      return reply.malformed("'data' is missing or is no array");
    if (data->Size() != count)
      return reply.malformed("'data' has " + std::to_string(data->Size()) + " entries, but " +
                             std::to_string(count) + " were asked for");
    embeddings result;
    result.dimension = asked.dimension;
    std::vector<const json_value*> rows(count);
    for (rapidjson::SizeType i = 0; i < data->Size(); ++i)
      if (auto error = place((*data)[i], i, rows, result.dimension))
        return error;
    // All rows have that many numbers in the body, so this is no larger than the body.
    result.numbers.resize(count * result.dimension);
    for (size_t i = 0; i < count; ++i)
      if (auto error = row(*rows[i], i, {&result.numbers[i * result.dimension], result.dimension}))
        return error;
    if (auto error = reply.read_usage(result.usage))
      return error;
    result.model = text_member(reply.json(), "model");
    if (result.model.empty())
      result.model = asked.model;
    return result;
  }

  /// Notes where the row of an entry is. The first row says how long the others are.
  caf::error place(const json_value& entry, size_t position, std::vector<const json_value*>& rows,
      uint32_t& dimension) const {
    auto name = "data[" + std::to_string(position) + "]";
    auto* index = member(entry, "index");
    if (index == nullptr)
      return reply.malformed("'" + name + ".index' is missing");
    if (!index->IsUint64() || index->GetUint64() >= count || rows[index->GetUint64()] != nullptr)
      return reply.malformed("'" + name + ".index' is out of range or repeated");
    auto* numbers = member(entry, "embedding");
    if (numbers == nullptr || !(numbers->IsArray() || numbers->IsString()))
      return reply.malformed("'" + name + ".embedding' is missing or is no vector");
    auto length = numbers->IsArray() ? size_t{numbers->Size()}
                                     : without_padding(view(*numbers)).size() * 3 / 4 / 4;
    if (length == 0)
      return reply.malformed("'" + name + ".embedding' is empty");
    if (dimension == 0)
      dimension = static_cast<uint32_t>(length); // sizes in RapidJSON have 32 bits
    if (length != dimension)
      return reply.malformed("'" + name + ".embedding' has " + std::to_string(length) +
                             " numbers where " + std::to_string(dimension) + " were expected");
    rows[index->GetUint64()] = numbers;
    return {};
  }

  caf::error row(const json_value& from, size_t index, std::span<float> into) const {
    auto name = "the vector with index " + std::to_string(index);
    if (from.IsString()) {
      if (!decode_base64(view(from), into))
        return reply.malformed(name + " is no base64 of 32-bit numbers");
    } else {
      for (rapidjson::SizeType i = 0; i < from.Size(); ++i) {
        if (!from[i].IsNumber())
          return reply.malformed(name + " holds something that is no number");
        auto number = from[i].GetDouble();
        if (std::abs(number) > std::numeric_limits<float>::max())
          return reply.malformed(name + " holds a number that is too large");
        into[i] = static_cast<float>(number);
      }
    }
    if (!std::all_of(into.begin(), into.end(), [](float x) { return std::isfinite(x); }))
      return reply.malformed(name + " holds a number that is not finite");
    return {};
  }
};

} // namespace

caf::error check(const embedder_options& options) {
  if (options.model.empty() || !is_utf8(options.model))
    return invalid_input("the embedder's model is empty or not UTF-8; name one, such as "
                         "text-embedding-3-small");
  if (options.batch_size < 1 || options.batch_size > 2048)
    return invalid_input("the embedder's batch_size is " + std::to_string(options.batch_size) +
                         "; the API takes 1 to 2048 texts a request");
  if (options.concurrent_requests < 1)
    return invalid_input("the embedder's concurrent_requests must be at least 1");
  return check(options.retry);
}

caf::error check_texts(std::span<const std::string> texts) {
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty())
      return invalid_input("the text with index " + std::to_string(i) +
                           " is empty, and an empty text has no embedding; leave it out");
    if (!is_utf8(texts[i]))
      return invalid_input("the text with index " + std::to_string(i) + " is not valid UTF-8");
  }
  return {};
}

std::string encode_embeddings(std::span<const std::string> texts, const embedder_options& options) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json{buffer};
  auto string = [&json](std::string_view text) {
    json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  };
  json.StartObject();
  json.Key("model");
  string(options.model);
  json.Key("input");
  json.StartArray();
  auto wants_one_line = options.model.ends_with("-001");
  for (const auto& text : texts) {
    if (wants_one_line) {
      auto line = text;
      std::replace(line.begin(), line.end(), '\n', ' ');
      string(line);
    } else {
      string(text);
    }
  }
  json.EndArray();
  json.Key("encoding_format");
  json.String("base64");
  if (options.dimension != 0 && options.model.starts_with("text-embedding-3")) {
    json.Key("dimensions");
    json.Uint(options.dimension);
  }
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

caf::expected<embeddings> decode_embeddings(size_t count, const embedder_options& asked,
    http_response& response, const std::string& endpoint, const openai_options& options) {
  provider_reply reply{response, endpoint, options};
  if (auto error = reply.parse())
    return error;
  return embeddings_reader{reply, asked, count}.result();
}

} // namespace chainmail

// Feature hashing of words and trigrams, and the two ways to write a vector.

#include "embeddings.hpp"

#include "words.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

namespace chainmail::simulator {

namespace {

constexpr float stop_word_weight = 0.1F;
constexpr float trigram_weight = 0.2F;

struct feature {
  std::uint64_t hash;
  float weight;
};

std::uint64_t hash_of(std::string_view text, std::uint64_t kind) {
  auto hash = 14695981039346656037U ^ kind;
  for (char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  // Mixed once more, because the index takes the low bits and the sign the highest.
  hash = (hash ^ (hash >> 32U)) * 0x9E3779B97F4A7C15U;
  return hash ^ (hash >> 29U);
}

std::vector<feature> features_of(std::string_view text) {
  std::vector<feature> result;
  auto rest = text;
  for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
    if (is_stop_word(lower_case(word.substr(0, 16)))) {
      result.push_back({hash_of(lower_case(word), 1), stop_word_weight});
      continue;
    }
    auto stemmed = stem(word);
    result.push_back({hash_of(stemmed, 1), 1});
    auto bounded = "^" + stemmed + "$";
    for (std::size_t i = 0; i + 3 <= bounded.size(); ++i)
      result.push_back({hash_of({bounded.data() + i, 3}, 2), trigram_weight});
  }
  if (result.empty()) // punctuation alone
    result.push_back({hash_of(text, 3), 1});
  return result;
}

} // namespace

std::vector<float> embed(std::string_view text, std::size_t dimensions) {
  std::vector<float> result(dimensions);
  auto features = features_of(text);
  std::ranges::sort(features, {}, &feature::hash);
  for (auto first = features.begin(); first != features.end();) {
    auto last = std::find_if(
        first, features.end(), [first](const feature& other) { return other.hash != first->hash; });
    auto weight = first->weight * (1 + std::log(static_cast<float>(last - first)));
    result[first->hash % dimensions] += (first->hash >> 63U) != 0 ? weight : -weight;
    first = last;
  }
  float squares = 0;
  for (auto number : result)
    squares += number * number;
  if (squares == 0) { // what cancels itself out
    result.front() = 1;
    return result;
  }
  for (auto& number : result)
    number /= std::sqrt(squares);
  return result;
}

std::string base64_of(const std::vector<float>& numbers) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  result.reserve(numbers.size() * 16 / 3 + 4);
  std::uint32_t pending = 0;
  unsigned bits = 0;
  for (auto number : numbers) {
    auto word = std::bit_cast<std::uint32_t>(number);
    for (unsigned shift = 0; shift < 32; shift += 8) {
      pending = (pending << 8U) | ((word >> shift) & 0xFFU);
      for (bits += 8; bits >= 6; bits -= 6)
        result += digits[(pending >> (bits - 6)) & 0x3FU];
    }
  }
  if (bits > 0)
    result += digits[(pending << (6 - bits)) & 0x3FU];
  result.resize((result.size() + 3) / 4 * 4, '=');
  return result;
}

std::string json_array_of(const std::vector<float>& numbers) {
  std::string result = "[";
  result.reserve(numbers.size() * 13 + 2);
  std::array<char, 32> digits;
  for (auto number : numbers) {
    auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    result.append(digits.data(), end) += ',';
  }
  result.back() = ']';
  return result;
}

} // namespace chainmail::simulator

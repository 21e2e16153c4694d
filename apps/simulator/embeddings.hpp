// Embeddings without a model: texts that share words get vectors that lie near each other.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

/// A vector of length 1 that follows from the text alone: signed feature hashing of its stemmed words
/// and, at a lower weight, of their character trigrams. Knows nothing of meaning.
std::vector<float> embed(std::string_view text, std::size_t dimensions);

/// Little-endian float32 in standard base64, as OpenAI's `encoding_format` "base64" has it.
std::string base64_of(const std::vector<float>& numbers);

/// A JSON array with the shortest texts that read back as the same floats.
std::string json_array_of(const std::vector<float>& numbers);

} // namespace chainmail::simulator

// What a refused spawn says.
#pragma once

#include <stdexcept>
#include <string>

namespace chainmail::test {

/// The sentence of the std::invalid_argument that `spawn` throws; "accepted" when it throws none.
template <class Spawn>
std::string refusal_of(Spawn spawn) {
  try {
    spawn();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

} // namespace chainmail::test

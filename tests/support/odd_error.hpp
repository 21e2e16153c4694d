// Errors that only a hostile peer could send.
#pragma once

#include <caf/binary_deserializer.hpp>
#include <caf/byte_buffer.hpp>
#include <caf/error.hpp>
#include <caf/type_id.hpp>

#include <cstdint>
#include <stdexcept>

namespace chainmail::test {

/// With any code and category, as it comes from the wire: CAF's type lets nobody make it.
inline caf::error odd_error(uint8_t code, caf::type_id_t category) {
  // There is one; its code, its category, and a context of no parts.
  caf::byte_buffer bytes{caf::byte{1}, static_cast<caf::byte>(code),
      static_cast<caf::byte>(category >> 8U), static_cast<caf::byte>(category & 0xffU),
      caf::byte{0}};
  caf::binary_deserializer source{nullptr, bytes};
  caf::error result;
  if (!source.apply(result) || result.code() != code || result.category() != category)
    throw std::logic_error{"errors look different on the wire"};
  return result;
}

} // namespace chainmail::test

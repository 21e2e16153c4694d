// Errors that only a hostile peer could send.
#pragma once

#include <chainmail/caf/compat.hpp>

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
  caf::byte_buffer bytes{caf::byte_buffer::value_type{1},
      static_cast<caf::byte_buffer::value_type>(code),
      static_cast<caf::byte_buffer::value_type>(category >> 8U),
      static_cast<caf::byte_buffer::value_type>(category & 0xffU), caf::byte_buffer::value_type{0}};
  auto source = compat::reader_of(bytes);
  caf::error result;
  if (!source.apply(result) || result.code() != code || result.category() != category)
    throw std::logic_error{"errors look different on the wire"};
  return result;
}

} // namespace chainmail::test

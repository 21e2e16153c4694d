// The one sum that searching vectors consists of.
#pragma once

#include <cstddef>

namespace chainmail {

/// The sum of products of two vectors of `size` numbers, with the widest instructions of this CPU.
float dot_product(const float* x, const float* y, size_t size);

} // namespace chainmail

// Which conversation a call belongs to.
#pragma once

#include <chainmail/values.hpp>

#include <string>

namespace chainmail {

/// The text under the input "conversation", or "default" for a call without. errc::invalid_input for
/// one that is empty or no text.
caf::expected<std::string> conversation_key(const values& inputs);

} // namespace chainmail

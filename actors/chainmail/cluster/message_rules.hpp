// What other nodes may ask of this one's actors: sizes, UTF-8 and ranges.
#pragma once

#include <caf/error.hpp>
#include <caf/message.hpp>

#include <string_view>

namespace chainmail {

/// Checks a message from another node before an actor of the given kind (service::kind) gets it. It
/// must be one of that kind's interface: errc::unsupported. errc::invalid_input, with a
/// sentence that names the field, for
/// - text that is not UTF-8, more than 8 MiB of it in one message, or more than 1,000 bytes of a
///   name (keys, tenants, models);
/// - lists of more than 10,000 entries;
/// - numbers that are not finite, or out of the range that any provider takes;
/// - handles that are missing.
/// Allocates nothing when there is nothing to say.
caf::error check_message(std::string_view kind, const caf::message& content);

} // namespace chainmail

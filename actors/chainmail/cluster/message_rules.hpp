// What other nodes may ask of this one's actors: sizes, UTF-8 and ranges.
#pragma once

#include <caf/error.hpp>
#include <caf/message.hpp>

#include <cstdint>
#include <string_view>

namespace chainmail {

/// Checks a message from another node before an actor of the given kind (service::kind) gets it, and
/// before it goes to another node: there it would be refused, too. It must be one of that kind's
/// interface: errc::unsupported. errc::invalid_input, with a sentence that names the field, for
/// - text that is not UTF-8, more than 6 MiB of it in one message, or more than 1,000 bytes of a
///   name (keys, tenants, models);
/// - lists of more than 10,000 entries, or more than 200 tools;
/// - numbers that are not finite, or out of the range that any provider takes;
/// - handles that are missing.
/// Allocates nothing when there is nothing to say.
caf::error check_message(std::string_view kind, const caf::message& content);

/// The same for what a limiter asks of those who lease of it.
caf::error check_share(const caf::message& content);

/// The same for an answer that is a result: errc::response_too_large for too much, and
/// errc::malformed_response for the rest, such as an LLM's result without a completion.
caf::error check_answer(std::string_view kind, const caf::message& answer);

/// The same for a chunk of a stream.
caf::error check_chunk(uint32_t index, std::string_view text);

/// An error that came from another node. Of its code and its context nothing is believed: CAF's
/// to_string reads them as its category says, whatever that is. `who` stands in the sentence for an
/// error that is none of chainmail's.
caf::error error_from_peer(const caf::error& error, const char* who);

} // namespace chainmail

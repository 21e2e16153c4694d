// Conversations that come as a chain's input.
#pragma once

#include <chainmail/retrieval.hpp>
#include <chainmail/values.hpp>

#include <caf/fwd.hpp>

#include <string>

namespace chainmail {

/// Reads a history: chat messages (roles "user" and "assistant", in turns; the content of a
/// "system" message becomes the summary), or a list of texts, human and AI in turns, or one text,
/// which becomes the summary as it is. A last human text without an answer is a turn with an empty
/// answer. errc::invalid_input for anything else.
caf::expected<conversation> read_chat_history(const value& history);

} // namespace chainmail

// How the simulator sends a stream of events. Private to the server.

#pragma once

#include "http_connection.hpp"

namespace chainmail::simulator {

/// Sends the plan's stream, its first token at once, and counts what becomes of it. False: the
/// connection is to be closed.
awaitable<bool> send_stream(connection& client, plan& decided, counters& counted);

} // namespace chainmail::simulator

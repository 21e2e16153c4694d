// The lines of failed calls, in CAF's log.
#pragma once

#include <chainmail/call_context.hpp>

#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <string_view>

namespace chainmail {

/// Writes the line of a call that failed to CAF's log, under the component "chainmail": as an error,
/// and for errc::cancelled as info. It has the call's ID, the actor, the code, the duration and the
/// sentence, of at most 500 bytes and without line breaks. What the log is not open for costs next to
/// nothing. CAF's macros would be compiled away with its log level, which is "quiet" by default.
void log_failure(caf::actor_system& system, std::string_view actor, const call_id& id,
    caf::timespan took, const caf::error& why);

/// The side of an actor that writes the lines of its failed calls. Whoever hands its errors on writes
/// none: a failed call has one line, however many actors it came through.
class logs_failures {
public:
  virtual ~logs_failures() = default;
};

/// An actor that does.
template <class Base>
class logging_actor : public Base, public logs_failures {
public:
  using Base::Base;
};

/// Whether an error that `from` answered with has its line already. False for actors of other nodes,
/// whose lines are elsewhere, and for errc::shut_down: who is gone writes nothing.
bool is_logged(const caf::strong_actor_ptr& from, const caf::error& why);

} // namespace chainmail

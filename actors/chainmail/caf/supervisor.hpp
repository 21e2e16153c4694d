// Keeps an actor running: a crash costs the calls that were under way, and the next ones find
// another actor behind the same handle.
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/fwd.hpp>

#include <functional>
#include <utility>

namespace chainmail {

/// For one kind of handle: see spawn_supervised.
caf::actor spawn_supervisor(
    caf::actor_system& system, std::function<caf::actor()> start, const char* name);

/// Runs what `start` spawns, here and again after each crash, when restart_policy says. The handle
/// stands for whichever actor runs: it passes everything on, and answers come from that actor
/// itself.
///
/// Calls that a crashed actor held end as those of any actor that is gone (to_failure makes
/// errc::shut_down of that). Requests that find none running are answered with errc::unavailable at
/// once; other messages are dropped. Nothing is kept or sent a second time: that is for who knows
/// whether it is safe.
///
/// Told to exit, the supervisor tells its actor and quits; killed, it leaves the actor to finish
/// what it holds. An actor that ends on purpose (exit_reason::normal or user_shutdown) is not
/// started again, and the supervisor ends with it. Both go when nobody has the handle any more, so
/// neither `start` nor what it spawns may hold it.
///
/// `name` stands in errors: "the LLM client". It is not copied. Not for chains: the handle would not
/// give their description without being asked by message.
/// @throws whatever the first `start` throws; later, throwing is as good as crashing.
/// @throws std::invalid_argument when the first `start` gives no actor.
template <class Handle>
Handle spawn_supervised(
    caf::actor_system& system, std::function<Handle()> start, const char* name) {
  return caf::actor_cast<Handle>(spawn_supervisor(
      system, [start = std::move(start)] { return caf::actor_cast<caf::actor>(start()); }, name));
}

} // namespace chainmail

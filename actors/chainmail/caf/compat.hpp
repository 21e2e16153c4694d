// The differences between CAF 0.18 and 1.x; no other file of chainmail looks at CAF's version.
//
// Never test CAF_VERSION: 1.1.0 defines it as octal.
#pragma once

#include <caf/action.hpp>
#include <caf/actor.hpp>
#include <caf/actor_clock.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/send.hpp>

#if CAF_MAJOR_VERSION >= 1
#include <caf/anon_mail.hpp>
#endif

#include <string>
#include <utility>
#include <vector>

namespace chainmail::compat {

#if CAF_MAJOR_VERSION >= 1

/// The second parameter of the virtual abstract_actor::enqueue.
using enqueue_context = caf::scheduler*;

template <class Self, class Handle, class... Ts>
auto request(Self* self, const Handle& to, Ts&&... xs) {
  return self->mail(std::forward<Ts>(xs)...).request(to, caf::infinite);
}

template <class Self, class Handle, class... Ts>
auto request_within(caf::timespan timeout, Self* self, const Handle& to, Ts&&... xs) {
  return self->mail(std::forward<Ts>(xs)...).request(to, timeout);
}

template <class Self, class Handle, class... Ts>
void send(Self* self, const Handle& to, Ts&&... xs) {
  self->mail(std::forward<Ts>(xs)...).send(to);
}

template <class Handle, class... Ts>
void anon_send(const Handle& to, Ts&&... xs) {
  caf::anon_mail(std::forward<Ts>(xs)...).send(to);
}

template <class... Ts>
auto make_element(caf::strong_actor_ptr sender, caf::message_id id, Ts&&... xs) {
  return caf::make_mailbox_element(std::move(sender), id, std::forward<Ts>(xs)...);
}

inline bool printed_help(const caf::actor_system_config& config) {
  return config.helptext_printed();
}

inline const std::vector<std::string>& remainder(const caf::actor_system_config& config) {
  return config.remainder();
}

template <class F>
caf::action make_timer_action(F what) {
  return caf::make_action(std::move(what));
}

#else

using enqueue_context = caf::execution_unit*;

/// `self->request(to, caf::infinite, xs...)`: chainmail's deadlines travel in the call_context.
template <class Self, class Handle, class... Ts>
auto request(Self* self, const Handle& to, Ts&&... xs) {
  return self->request(to, caf::infinite, std::forward<Ts>(xs)...);
}

/// For the edges only: a timer a request, and CAF's own error when it runs out.
template <class Self, class Handle, class... Ts>
auto request_within(caf::timespan timeout, Self* self, const Handle& to, Ts&&... xs) {
  return self->request(to, timeout, std::forward<Ts>(xs)...);
}

template <class Self, class Handle, class... Ts>
void send(Self* self, const Handle& to, Ts&&... xs) {
  self->send(to, std::forward<Ts>(xs)...);
}

template <class Handle, class... Ts>
void anon_send(const Handle& to, Ts&&... xs) {
  caf::anon_send(to, std::forward<Ts>(xs)...);
}

template <class... Ts>
auto make_element(caf::strong_actor_ptr sender, caf::message_id id, Ts&&... xs) {
  return caf::make_mailbox_element(std::move(sender), id, {}, std::forward<Ts>(xs)...);
}

inline bool printed_help(const caf::actor_system_config& config) {
  return config.cli_helptext_printed;
}

inline const std::vector<std::string>& remainder(const caf::actor_system_config& config) {
  return config.remainder;
}

/// The clock of 0.18 moves an action from waiting to scheduled, and drops one in another state.
template <class F>
caf::action make_timer_action(F what) {
  return caf::make_action(std::move(what), caf::action::state::waiting);
}

#endif

/// Runs `what` inside an actor of this process, as its next message.
template <class F>
void run_inside(const caf::actor& who, F what) {
  compat::anon_send(who, caf::make_action(std::move(what)));
}

/// Runs `what` inside `self` at `when`, unless `self` is gone by then: a waiting timer keeps nobody
/// alive, unlike run_delayed.
template <class F>
caf::disposable run_at(caf::scheduled_actor* self, caf::actor_clock::time_point when, F what) {
  return self->clock().schedule(
      when, make_timer_action(std::move(what)), caf::weak_actor_ptr{self->ctrl()});
}

} // namespace chainmail::compat

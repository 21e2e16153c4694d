// The supervisor: lets mail by, and restarts.
#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/bypass.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/restart_policy.hpp>
#include <chainmail/caf/supervisor.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/type_ids.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <stdexcept>
#include <string>

namespace chainmail {

namespace {

bool is_on_purpose(const caf::error& reason) {
  return !reason || reason == caf::exit_reason::normal || reason == caf::exit_reason::user_shutdown;
}

struct supervisor_state {
  static constexpr const char* name = "chainmail.supervisor";

  using actor_type = caf::stateful_actor<supervisor_state, bypass<caf::event_based_actor>>;

  supervisor_state(
      actor_type* self_ptr, caf::actor first, std::function<caf::actor()> how, const char* of)
    : self(self_ptr), start(std::move(how)), who(of) {
    policy.starts(self->clock().now());
    take(std::move(first));
  }

  supervisor_state(const supervisor_state&) = delete;
  supervisor_state& operator=(const supervisor_state&) = delete;

  /// Nobody is reached through a supervisor that is gone.
  ~supervisor_state() { self->lead_to(nullptr); }

  caf::behavior make_behavior() {
    compat::on_other(self, [this](caf::scheduled_actor*, caf::message&) { return refuse(); });
    compat::on_down(self, [this](caf::down_msg& down) {
      if (running && running.address() == down.source)
        on_down(std::move(down.reason));
    });
    compat::on_exit(self, [this](caf::exit_msg& message) {
      if (running)
        self->send_exit(running, message.reason);
      self->quit(std::move(message.reason));
    });
    // Nobody sends this, but an actor without any handler is over.
    return {[](turn_atom) {}};
  }

  /// What came while nobody ran.
  caf::skippable_result refuse() {
    if (self->current_mailbox_element()->mid.is_request())
      return make_failure(errc::unavailable,
          std::string{who} + " crashed and is being started again; try again in a while");
    return caf::delegated<caf::message>{};
  }

  void take(caf::actor actor) {
    running = std::move(actor);
    compat::monitor(self, running);
    self->lead_to(running);
  }

  void on_down(caf::error reason) {
    running = nullptr;
    self->lead_to(nullptr);
    if (is_on_purpose(reason))
      self->quit(std::move(reason));
    else
      on_crash();
  }

  void on_crash() {
    auto now = self->clock().now();
    if (auto when = policy.crashed(now); when > now)
      restart.at(when);
    else
      start_another();
  }

  void start_another() {
    policy.starts(self->clock().now());
    caf::actor another;
    try {
      another = start();
    } catch (...) { // whatever it was, the next one may work
    }
    if (another)
      take(std::move(another));
    else
      on_crash(); // waits, since it has just started one
  }

  actor_type* self;
  std::function<caf::actor()> start;
  const char* who;
  caf::actor running;
  restart_policy policy;
  alarm restart{self, [this] { start_another(); }};
};

} // namespace

caf::actor spawn_supervisor(
    caf::actor_system& system, std::function<caf::actor()> start, const char* name) {
  auto first = start();
  if (!first)
    throw std::invalid_argument{std::string{name} + " cannot be supervised: there is no actor"};
  return system.spawn<supervisor_state::actor_type>(std::move(first), std::move(start), name);
}

} // namespace chainmail

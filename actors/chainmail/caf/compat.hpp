// The differences between CAF 0.18 and 1.x; no other file but runner.hpp looks at CAF's version.
//
// Never test CAF_VERSION: 1.1.0 defines it as octal.
#pragma once

#include <caf/action.hpp>
#include <caf/actor.hpp>
#include <caf/actor_clock.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/byte_buffer.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>

#if CAF_MAJOR_VERSION >= 1
#include <caf/anon_mail.hpp>
#include <caf/event_based_mail.hpp>
#else
#include <caf/string_view.hpp>
#endif

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace chainmail::compat {

#if CAF_MAJOR_VERSION >= 1

/// The second parameter of the virtual abstract_actor::enqueue.
using enqueue_context = caf::scheduler*;

/// What CAF takes for texts that it does not keep.
using string_view = std::string_view;

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

/// Whom a request is to be answered.
struct reply_route {
  caf::strong_actor_ptr to;
  caf::message_id request;

  /// Takes it out of the request: nobody else answers.
  static reply_route take(caf::mailbox_element& mail) { return {std::move(mail.sender), mail.mid}; }

  caf::mailbox_element_ptr reply(caf::strong_actor_ptr from, caf::message content) {
    return make_element(std::move(from), request.response_id(), std::move(content));
  }
};

inline bool printed_help(const caf::actor_system_config& config) {
  return config.helptext_printed();
}

inline std::vector<std::string> remainder(const caf::actor_system_config& config) {
  auto rest = config.remainder();
  return {rest.begin(), rest.end()};
}

/// Whether caf.openssl.* names a certificate, its key and whom to trust.
inline bool has_tls_files(const caf::actor_system_config& config) {
  auto is_set = [&config](const char* option) {
    return !caf::get_or(config, option, std::string{}).empty();
  };
  return is_set("caf.openssl.certificate") && is_set("caf.openssl.key") &&
         (is_set("caf.openssl.cafile") || is_set("caf.openssl.capath"));
}

template <class F>
caf::action make_timer_action(F what) {
  return caf::make_action(std::move(what));
}

template <class Self, class Handle, class... Ts>
auto delegate(Self* self, const Handle& to, Ts&&... xs) {
  return self->mail(std::forward<Ts>(xs)...).delegate(to);
}

template <class Self, class... Ts>
void send_self_after(Self* self, caf::timespan delay, Ts&&... xs) {
  self->mail(std::forward<Ts>(xs)...).delay(delay).send(self);
}

template <class StatefulActor>
auto& state_of(StatefulActor& who) {
  return who.state();
}

/// Reads what holds no handles of actors.
template <class Bytes>
caf::binary_deserializer reader_of(const Bytes& bytes) {
  return caf::binary_deserializer{bytes};
}

template <class Bytes>
caf::binary_deserializer reader_of(caf::actor_system& system, const Bytes& bytes) {
  return caf::binary_deserializer{system, bytes};
}

/// Writes what holds no handles of actors.
inline caf::binary_serializer writer_to(caf::byte_buffer& buffer) {
  return caf::binary_serializer{buffer};
}

inline caf::binary_serializer writer_to(caf::actor_system& system, caf::byte_buffer& buffer) {
  return caf::binary_serializer{system, buffer};
}

/// Why a connection to another node ended that sent what is no frame.
inline constexpr auto malformed_frame = caf::sec::malformed_message;

/// Whether a message between nodes begins with the actors that it is to be forwarded through.
inline constexpr bool messages_have_stages = false;

#else

using enqueue_context = caf::execution_unit*;

using string_view = caf::string_view;

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

/// CAF's own function passes a vector of stages on from hand to hand, and asks whether `content` is of
/// a CAF stream, which ours never is.
inline caf::mailbox_element_ptr make_element(
    caf::strong_actor_ptr sender, caf::message_id id, caf::message content) {
  auto result = std::make_unique<caf::mailbox_element>();
  result->sender = std::move(sender);
  result->mid = id;
  result->payload = std::move(content);
  return result;
}

template <class T, class... Ts>
requires(!std::is_same_v<std::remove_cvref_t<T>, caf::message>) auto make_element(
    caf::strong_actor_ptr sender, caf::message_id id, T&& x, Ts&&... xs) {
  return make_element(
      std::move(sender), id, caf::make_message(std::forward<T>(x), std::forward<Ts>(xs)...));
}

/// Whom a request is to be answered: its sender or, of composed actors, the next stage.
struct reply_route {
  caf::strong_actor_ptr to;
  caf::message_id request;
  caf::strong_actor_ptr asked_by;
  caf::mailbox_element::forwarding_stack stages;

  /// Takes it out of the request: nobody else answers.
  static reply_route take(caf::mailbox_element& mail) {
    if (mail.stages.empty())
      return {std::move(mail.sender), mail.mid, nullptr, {}};
    reply_route result{
        std::move(mail.stages.back()), mail.mid, std::move(mail.sender), std::move(mail.stages)};
    result.stages.pop_back();
    return result;
  }

  caf::mailbox_element_ptr reply(caf::strong_actor_ptr from, caf::message content) {
    if (asked_by)
      return caf::make_mailbox_element(
          std::move(asked_by), request, std::move(stages), std::move(content));
    return make_element(std::move(from), request.response_id(), std::move(content));
  }
};

inline bool printed_help(const caf::actor_system_config& config) {
  return config.cli_helptext_printed;
}

inline std::vector<std::string> remainder(const caf::actor_system_config& config) {
  return config.remainder;
}

/// Whether caf.openssl.* names a certificate, its key and whom to trust.
inline bool has_tls_files(const caf::actor_system_config& config) {
  return !config.openssl_certificate.empty() && !config.openssl_key.empty() &&
         !(config.openssl_cafile.empty() && config.openssl_capath.empty());
}

/// The clock of 0.18 moves an action from waiting to scheduled, and drops one in another state.
template <class F>
caf::action make_timer_action(F what) {
  return caf::make_action(std::move(what), caf::action::state::waiting);
}

template <class Self, class Handle, class... Ts>
auto delegate(Self* self, const Handle& to, Ts&&... xs) {
  return self->delegate(to, std::forward<Ts>(xs)...);
}

template <class Self, class... Ts>
void send_self_after(Self* self, caf::timespan delay, Ts&&... xs) {
  self->delayed_send(self, delay, std::forward<Ts>(xs)...);
}

template <class StatefulActor>
auto& state_of(StatefulActor& who) {
  return who.state;
}

/// Reads what holds no handles of actors.
template <class Bytes>
caf::binary_deserializer reader_of(const Bytes& bytes) {
  return caf::binary_deserializer{nullptr, bytes};
}

template <class Bytes>
caf::binary_deserializer reader_of(caf::actor_system& system, const Bytes& bytes) {
  return caf::binary_deserializer{system, bytes};
}

/// Writes what holds no handles of actors.
inline caf::binary_serializer writer_to(caf::byte_buffer& buffer) {
  return caf::binary_serializer{nullptr, buffer};
}

inline caf::binary_serializer writer_to(caf::actor_system& system, caf::byte_buffer& buffer) {
  return caf::binary_serializer{system, buffer};
}

/// Why a connection to another node ended that sent what is no frame.
inline constexpr auto malformed_frame = caf::sec::malformed_basp_message;

/// Whether a message between nodes begins with the actors that it is to be forwarded through.
inline constexpr bool messages_have_stages = true;

#endif

// What 1.x calls deprecated, and still has: handlers for an actor as a whole, and monitors that they
// hear of. Its successors cannot be written for 0.18.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

template <class Self, class F>
void on_down(Self* self, F handler) {
  self->set_down_handler(std::move(handler));
}

template <class Self, class F>
void on_exit(Self* self, F handler) {
  self->set_exit_handler(std::move(handler));
}

template <class Self, class F>
void on_other(Self* self, F handler) {
  self->set_default_handler(std::move(handler));
}

template <class Self, class Handle>
void monitor(Self* self, const Handle& whom) {
  self->monitor(whom);
}

template <class Self, class Handle>
void demonitor(Self* self, const Handle& whom) {
  self->demonitor(whom);
}

#pragma GCC diagnostic pop

inline string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

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

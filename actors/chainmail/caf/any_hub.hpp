// The base of actors that pass requests of any interface on, and their answers back.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/hub_base.hpp>
#include <chainmail/call_context.hpp>
#include <chainmail/type_ids.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/message.hpp>

#include <utility>

namespace chainmail {

/// What `hub` is for typed actors: responses become ordinary mail, (reply_atom, uint64_t id, message),
/// which the state looks up in a table of its own. CAF's own request().then() must not be used.
class any_hub : public hub_base<caf::event_based_actor> {
public:
  using hub_base::hub_base;

  /// Sends `content` as a request. The result is the `id` of its reply.
  uint64_t ask(const caf::actor& to, caf::message content) {
    auto id = new_request_id(caf::message_priority::normal);
    caf::actor_cast<caf::abstract_actor*>(to)->enqueue(
        compat::make_element(caf::strong_actor_ptr{ctrl()}, id, std::move(content)), context());
    return id.response_id().integer_value();
  }

  /// Whether the message that is being handled came from this process. Other nodes cannot send
  /// without a sender: frame_rules.
  [[nodiscard]] bool is_local_mail() {
    auto from = current_sender();
    return !from || from->node() == node();
  }
};

/// The context that a request ends with, or null.
inline const call_context* context_in(const caf::message& request) {
  auto last = request.size() - 1;
  return !request.empty() && request.match_element<call_context>(last)
             ? &request.get_as<call_context>(last)
             : nullptr;
}

} // namespace chainmail

// What typed and untyped hubs share: actors with thousands of outstanding requests.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/type_ids.hpp>

#include <caf/actor_clock.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/message.hpp>
#include <caf/message_id.hpp>
#include <caf/resumable.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

namespace chainmail {

/// Turns responses into ordinary mail, (reply_atom, uint64_t id, message), for a table of the actor's
/// own. Its turns are short: what was begun goes on while it is in the cache. Mail stays in order, since
/// an answer must not overtake the pieces of a stream that came before it.
template <class Base>
class hub_base : public Base {
public:
  using Base::Base;
  using Base::enqueue;

  bool enqueue(caf::mailbox_element_ptr mail, compat::enqueue_context context) override {
    if (mail->mid.is_response()) {
      mail->payload =
          caf::make_message(reply_atom_v, mail->mid.integer_value(), std::move(mail->payload));
      mail->mid = caf::make_message_id();
    }
    return Base::enqueue(std::move(mail), context);
  }

  caf::resumable::resume_result resume(
      compat::enqueue_context context, size_t max_throughput) override {
    constexpr size_t messages_a_turn = 20;
    turn_time_.reset();
    return Base::resume(context, std::min(max_throughput, messages_a_turn));
  }

  /// The time, read once a turn: reading the clock takes as long as a hundred instructions, and the
  /// handlers of light actors take microseconds. Inside the actor.
  [[nodiscard]] caf::actor_clock::time_point turn_time() {
    if (!turn_time_)
      turn_time_ = this->clock().now();
    return *turn_time_;
  }

private:
  std::optional<caf::actor_clock::time_point> turn_time_;
};

} // namespace chainmail

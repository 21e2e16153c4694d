// Replies in constant time, with deadlines, for actors that hold thousands of outstanding requests.
//
// CAF finds a response's handler by linear search: 0.5 us with 100 outstanding, 9 us with 10,000. A
// hub turns responses into ordinary mail that meets a hash table: 1.3 us with 10,000.
#pragma once

#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/caf/hub_base.hpp>
#include <chainmail/call_context.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/type_ids.hpp>

#include <caf/message.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_message_view.hpp>

#include <cstdint>
#include <functional>
#include <type_traits>
#include <unordered_map>

namespace chainmail {

/// The requests that one hub has outstanding. A member of the actor's state, so that quitting
/// breaks the promises held in its handlers and CAF answers for them.
class reply_table {
public:
  /// `name` stands in errors of receivers that are gone: "the LLM".
  reply_table(caf::scheduled_actor* self, const char* receiver_name)
    : self_(self), receiver_name_(receiver_name) {}

  /// How long after its deadline a request is given up. Whoever is below has the same deadline, and
  /// knows better what it was waiting for: its error is let through first.
  static constexpr caf::timespan grace = std::chrono::milliseconds{25};

  /// Law 5. Far more than an engine takes; reached when a receiver does not answer.
  static constexpr size_t capacity = 100'000;

  /// Sends a request. Exactly one of `on_result(Result&)` (nothing for void) and
  /// `on_error(caf::error&)` runs: with the answer, or with errc::timed_out when `due` and the grace pass first, or with
  /// errc::shut_down when the receiver is gone.
  template <class Result, class Handle, class OnResult, class OnError, class... Ts>
  void ask(const Handle& to, deadline due, OnResult on_result, OnError on_error, Ts&&... xs) {
    auto id = self_->new_request_id(caf::message_priority::normal);
    insert(id.response_id().integer_value(), due,
        [this, on_result = std::move(on_result), on_error = std::move(on_error)](
            caf::message& reply) mutable {
          if constexpr (std::is_void_v<Result>) {
            if (reply.empty())
              return on_result();
          } else {
            if (auto result = caf::make_typed_message_view<Result>(reply))
              return on_result(caf::get<0>(result));
          }
          auto error = error_in(reply);
          on_error(error);
        });
    caf::actor_cast<caf::abstract_actor*>(to)->enqueue(
        compat::make_element(caf::strong_actor_ptr{self_->ctrl()}, id, std::forward<Ts>(xs)...),
        self_->context());
  }

  /// The handler that a hub's behavior needs for its replies.
  auto on_reply() {
    return [this](reply_atom, uint64_t id, caf::message& reply) { resolve(id, reply); };
  }

  [[nodiscard]] bool is_full() const { return pending_.size() >= capacity; }

private:
  using handler = std::function<void(caf::message&)>;

  void insert(uint64_t id, deadline due, handler f);
  void resolve(uint64_t id, caf::message& reply);
  void expire();
  [[nodiscard]] caf::error error_in(const caf::message& reply) const;

  caf::scheduled_actor* self_;
  const char* receiver_name_;
  std::unordered_map<uint64_t, handler> pending_;
  deadline_heap<uint64_t> dues_;
  alarm alarm_{self_, [this] { expire(); }};
};

/// The private side of a hub's interface.
template <class Interface>
using with_replies =
    typename Interface::template extend<caf::result<void>(reply_atom, uint64_t, caf::message)>;

/// The base of an actor whose state has a reply_table. All its requests go through that: what comes
/// back to a request().then() would be taken for mail of the table's, and dropped.
template <class Interface>
class hub : public hub_base<typename with_replies<Interface>::impl> {
public:
  using super = hub_base<typename with_replies<Interface>::impl>;
  using behavior_type = typename super::behavior_type;
  using super::super;
};

/// A stateful hub: State has `explicit State(hub_actor<Interface, State>*, ...)`.
template <class Interface, class State>
using hub_actor = caf::stateful_actor<State, hub<Interface>>;

} // namespace chainmail

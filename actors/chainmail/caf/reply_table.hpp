// Replies in constant time, with deadlines, for actors that hold thousands of outstanding requests.
//
// CAF finds a response's handler by linear search: 0.5 us with 100 outstanding, 9 us with 10,000. A
// hub turns responses into ordinary mail whose ID says where in a table the handler is.
#pragma once

#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/caf/hub_base.hpp>
#include <chainmail/call_context.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/type_ids.hpp>

#include <caf/message.hpp>
#include <caf/result.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_message_view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

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
    ask_for<Result>(to, due,
        overloaded<OnResult, OnError>{std::move(on_result), std::move(on_error)},
        std::forward<Ts>(xs)...);
  }

  /// The same with both in one, which is called with the one or the other. It need not be copyable.
  template <class Result, class Handle, class OnReply, class... Ts>
  void ask_for(const Handle& to, deadline due, OnReply on_reply, Ts&&... xs) {
    auto& where = take_slot();
    where.template hold<typed_handler<Result, OnReply>>(std::move(on_reply));
    auto id = note(where, due);
    caf::actor_cast<caf::abstract_actor*>(to)->enqueue(
        compat::make_element(caf::strong_actor_ptr{self_->ctrl()}, id, std::forward<Ts>(xs)...),
        self_->context());
  }

  /// The handler that a hub's behavior needs for its replies. The first one of them: CAF compares a
  /// message with one after the other. Says that it answers itself, which saves CAF looking for whom.
  auto on_reply() {
    return [this](reply_atom, uint64_t id, caf::message& reply) -> caf::result<void> {
      resolve(id, reply);
      return caf::delegated<void>{};
    };
  }

  [[nodiscard]] bool is_full() const { return count() >= capacity; }

private:
  template <class... Fs>
  struct overloaded : Fs... {
    using Fs::operator()...;
  };

  struct handler {
    virtual ~handler() = default;
    virtual void take(const reply_table& table, caf::message& reply) = 0;
  };

  template <class Result, class OnReply>
  struct typed_handler final : handler {
    explicit typed_handler(OnReply f) : on_reply(std::move(f)) {}

    void take(const reply_table& table, caf::message& reply) override {
      if constexpr (std::is_void_v<Result>) {
        if (reply.empty())
          return on_reply();
      } else {
        if (auto result = caf::make_typed_message_view<Result>(reply))
          return on_reply(caf::get<0>(result));
      }
      auto error = table.error_in(reply);
      on_reply(error);
    }

    OnReply on_reply;
  };

  /// One request, or none. Its ID tells it from those that had the slot before. It stays where it is,
  /// and so does its handler, in it if there is room.
  struct slot {
    slot() = default;
    slot(const slot&) = delete;
    slot& operator=(const slot&) = delete;
    ~slot() { drop(); }

    template <class Handler, class OnReply>
    void hold(OnReply f) {
      static_assert(alignof(Handler) <= alignof(std::max_align_t));
      if constexpr (sizeof(Handler) <= sizeof(room))
        what = new (room) Handler{std::move(f)};
      else
        what = new Handler{std::move(f)};
    }

    void drop();

    uint64_t id = 0;
    uint32_t index = 0;
    handler* what = nullptr;
    alignas(std::max_align_t) std::byte room[96];
  };

  /// Slots are made this many at a time.
  static constexpr size_t block_size = 16;

  slot& slot_at(size_t index) { return blocks_[index / block_size][index % block_size]; }

  [[nodiscard]] size_t count() const { return blocks_.size() * block_size - free_.size(); }

  slot& take_slot();
  caf::message_id note(slot& where, deadline due);
  void resolve(uint64_t id, caf::message& reply);
  void expire();
  [[nodiscard]] bool is_pending(uint64_t id);
  [[nodiscard]] caf::error error_in(const caf::message& reply) const;

  caf::scheduled_actor* self_;
  const char* receiver_name_;
  std::vector<std::unique_ptr<slot[]>> blocks_;
  std::vector<uint32_t> free_;
  uint64_t counted_ = 0;
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

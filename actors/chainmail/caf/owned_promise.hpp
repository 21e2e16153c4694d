// The answer that an actor owes.
#pragma once

#include <chainmail/caf/compat.hpp>

#include <caf/expected.hpp>
#include <caf/local_actor.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/message.hpp>
#include <caf/result.hpp>

#include <utility>

namespace chainmail {

/// What promises of any result have in common.
class any_owned_promise {
public:
  any_owned_promise() = default;

  /// Of the message that `self` is handling.
  explicit any_owned_promise(caf::local_actor* self)
    : any_owned_promise(self, *self->current_mailbox_element()) {}

  any_owned_promise(caf::local_actor* self, caf::mailbox_element& request);

  any_owned_promise(any_owned_promise&& other) noexcept = default;
  any_owned_promise& operator=(any_owned_promise&& other) noexcept;

  /// A promise that was not kept is answered with sec::broken_promise, as CAF's are.
  ~any_owned_promise();

  /// From any thread, whose context it is. The first answer counts.
  void deliver(caf::message content, compat::enqueue_context context) {
    send(caf::strong_actor_ptr{self_->ctrl()}, std::move(content), context);
  }

protected:
  caf::local_actor* self_ = nullptr;

private:
  void send(caf::strong_actor_ptr from, caf::message content, compat::enqueue_context context);

  compat::reply_route route_{};
};

/// What caf::typed_response_promise is, for less: it has one owner, so nothing is shared or counted. It
/// lives in the state of its actor; the handler that made it returns pending().
template <class Result>
class owned_promise : public any_owned_promise {
public:
  using any_owned_promise::any_owned_promise;

  static caf::result<Result> pending() { return caf::delegated<Result>{}; }

  using any_owned_promise::deliver;

  void deliver(Result x) { answer(caf::make_message(std::move(x))); }
  void deliver(caf::error why) { answer(caf::make_message(std::move(why))); }

  void deliver(caf::expected<Result> x) {
    if (x)
      deliver(std::move(*x));
    else
      deliver(std::move(x.error()));
  }

private:
  /// In a thread that runs the actor.
  void answer(caf::message content) {
    if (self_ != nullptr)
      any_owned_promise::deliver(std::move(content), self_->context());
  }
};

} // namespace chainmail

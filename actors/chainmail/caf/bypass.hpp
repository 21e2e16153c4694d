// Passing mail on in the sender's thread, without a turn of the actor that it was sent to.
#pragma once

#include <chainmail/caf/compat.hpp>

#include <caf/action.hpp>
#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/system_messages.hpp>

#include <mutex>
#include <utility>

namespace chainmail {

/// Whether mail is about the actor itself: that it is to exit, that another is gone, a timer's.
inline bool is_own_mail(const caf::mailbox_element& mail) {
  const auto& content = mail.payload;
  return !content.empty() &&
         (content.match_element<caf::exit_msg>(0) || content.match_element<caf::down_msg>(0) ||
             content.match_element<caf::action>(0));
}

/// An actor whose mail goes to another one, as long as there is one. The rest, and its own mail, it
/// gets itself. Of one sender, mail that went by stays in order; mail that the actor got because
/// nobody was there must be refused, not passed on late.
template <class Base>
class bypass : public Base {
public:
  using Base::Base;
  using Base::enqueue;

  /// Inside the actor. Null for nobody.
  void lead_to(caf::actor target) {
    std::scoped_lock lock{mutex_};
    target_.swap(target);
  }

  bool enqueue(caf::mailbox_element_ptr mail, compat::enqueue_context context) override {
    if (!is_own_mail(*mail))
      if (auto to = target())
        return caf::actor_cast<caf::abstract_actor*>(to)->enqueue(std::move(mail), context);
    return Base::enqueue(std::move(mail), context);
  }

private:
  caf::actor target() {
    std::scoped_lock lock{mutex_};
    return target_;
  }

  std::mutex mutex_;
  caf::actor target_;
};

} // namespace chainmail

// Promises kept and broken.
#include <chainmail/caf/owned_promise.hpp>

#include <caf/sec.hpp>

namespace chainmail {

any_owned_promise::any_owned_promise(caf::local_actor* self, caf::mailbox_element& request)
  : self_(self) {
  if (request.mid.is_response() || request.mid.is_answered())
    return;
  route_ = compat::reply_route::take(request);
  request.mid.mark_as_answered();
}

any_owned_promise& any_owned_promise::operator=(any_owned_promise&& other) noexcept {
  std::swap(self_, other.self_);
  std::swap(route_, other.route_);
  return *this;
}

any_owned_promise::~any_owned_promise() {
  // From nobody: the actor itself may be about to be destroyed.
  if (route_.to)
    send(nullptr, caf::make_message(caf::make_error(caf::sec::broken_promise)), nullptr);
}

void any_owned_promise::send(
    caf::strong_actor_ptr from, caf::message content, compat::enqueue_context context) {
  if (auto to = std::move(route_.to))
    to->enqueue(route_.reply(std::move(from), std::move(content)), context);
}

} // namespace chainmail

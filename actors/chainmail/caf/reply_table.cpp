// The bookkeeping of outstanding requests and of their deadlines.
#include <chainmail/caf/reply_table.hpp>

namespace chainmail {

void reply_table::insert(uint64_t id, deadline due, handler f) {
  pending_.emplace(id, std::move(f));
  if (due.is_never())
    return;
  auto at = due.plus(grace);
  dues_.push(at, id, pending_.size(), [this](uint64_t x) { return pending_.contains(x); });
  alarm_.at(at);
}

void reply_table::resolve(uint64_t id, caf::message& reply) {
  if (auto entry = pending_.extract(id))
    entry.mapped()(reply);
}

void reply_table::expire() {
  auto now = self_->clock().now();
  auto is_live = [this](uint64_t x) { return pending_.contains(x); };
  while (auto id = dues_.pop_due(now, is_live)) {
    auto late = caf::make_message(make_failure(errc::timed_out,
        "the deadline of the call passed before " + std::string{receiver_name_} + " answered"));
    resolve(*id, late);
  }
  alarm_.at(dues_.next());
}

caf::error reply_table::error_in(const caf::message& reply) const {
  if (auto error = caf::make_const_typed_message_view<caf::error>(reply))
    return to_failure(caf::get<0>(error), receiver_name_);
  return make_failure(errc::internal,
      std::string{receiver_name_} + " answered with something that its interface does not have");
}

} // namespace chainmail

// The bookkeeping of outstanding requests and of their deadlines.
#include <chainmail/caf/reply_table.hpp>

namespace chainmail {

namespace {

/// The lower bits of an ID are its slot, the upper ones count requests from 1. CAF has 60 bits for an ID.
constexpr uint64_t slot_bits = 26;
constexpr uint64_t slot_mask = (uint64_t{1} << slot_bits) - 1;
constexpr uint64_t most_counted = caf::message_id::request_id_mask >> slot_bits;

} // namespace

caf::message_id reply_table::insert(deadline due, std::unique_ptr<handler> what) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  auto index = free_.back();
  free_.pop_back();
  counted_ = counted_ % most_counted + 1;
  auto id = counted_ << slot_bits | index;
  slots_[index] = {id, std::move(what)};
  if (!due.is_never()) {
    auto at = due.plus(grace);
    dues_.push(at, id, slots_.size() - free_.size(), [this](uint64_t x) { return is_pending(x); });
    alarm_.at(at);
  }
  return caf::make_message_id(id);
}

bool reply_table::is_pending(uint64_t id) const {
  return slots_[id & slot_mask].id == id;
}

void reply_table::resolve(uint64_t id, caf::message& reply) {
  id &= caf::message_id::request_id_mask;
  auto index = id & slot_mask;
  if (index >= slots_.size() || slots_[index].id != id)
    return;
  auto what = std::move(slots_[index].what);
  slots_[index].id = 0;
  free_.push_back(static_cast<uint32_t>(index));
  what->take(*this, reply);
}

void reply_table::expire() {
  auto now = self_->clock().now();
  auto is_live = [this](uint64_t x) { return is_pending(x); };
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

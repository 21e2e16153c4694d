// The bookkeeping of outstanding requests and of their deadlines.
#include <chainmail/caf/reply_table.hpp>

namespace chainmail {

namespace {

/// The lower bits of an ID are its slot, the upper ones count requests from 1. CAF has 60 bits for an ID.
constexpr uint64_t slot_bits = 26;
constexpr uint64_t slot_mask = (uint64_t{1} << slot_bits) - 1;
constexpr uint64_t most_counted = caf::message_id::request_id_mask >> slot_bits;

} // namespace

void reply_table::slot::drop() {
  if (static_cast<void*>(what) == room)
    what->~handler();
  else
    delete what;
  what = nullptr;
}

reply_table::slot& reply_table::take_slot() {
  if (free_.empty()) {
    auto first = static_cast<uint32_t>(blocks_.size() * block_size);
    auto& added = blocks_.emplace_back(std::make_unique<slot[]>(block_size));
    for (uint32_t i = block_size; i-- > 0;) {
      added[i].index = first + i;
      free_.push_back(first + i);
    }
  }
  auto& result = slot_at(free_.back());
  free_.pop_back();
  return result;
}

caf::message_id reply_table::note(slot& where, deadline due) {
  counted_ = counted_ % most_counted + 1;
  where.id = counted_ << slot_bits | where.index;
  if (!due.is_never()) {
    auto at = due.plus(grace);
    dues_.push(at, where.id, count(), [this](uint64_t x) { return is_pending(x); });
    alarm_.at(at);
  }
  return caf::make_message_id(where.id);
}

bool reply_table::is_pending(uint64_t id) {
  return slot_at(id & slot_mask).id == id;
}

void reply_table::resolve(uint64_t id, caf::message& reply) {
  id &= caf::message_id::request_id_mask;
  auto index = id & slot_mask;
  if (index / block_size >= blocks_.size() || slot_at(index).id != id)
    return;
  // Not free before the handler is gone: it may well make the next request.
  struct release {
    reply_table& table;
    slot& what;

    ~release() {
      what.drop();
      table.free_.push_back(what.index);
    }
  };
  release after{*this, slot_at(index)};
  after.what.id = 0;
  after.what.what->take(*this, reply);
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

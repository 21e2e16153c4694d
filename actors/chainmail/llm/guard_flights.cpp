// Who waits for what.
#include <chainmail/llm/guard_flights.hpp>

#include <caf/expected.hpp>

#include <algorithm>

namespace chainmail {

flight_ptr flight_table::start(llm_request request, call_context context, std::string key,
    owned_promise<llm_result> caller, time_point now) {
  auto result = std::make_shared<flight>();
  result->request = std::move(request);
  result->context = std::move(context);
  if (!result->context.id)
    result->context.id = call_id::make(); // so that its attempts can be cancelled
  const auto& id = result->context.id;
  result->attempt_id = id.step != 0 ? id : id.child(~uint64_t{0});
  result->key = std::move(key);
  result->begin = now;
  if (!result->key.empty())
    by_key_[result->key] = result;
  result->waiters.push_back({result->context.id, result->context.due, now, std::move(caller)});
  by_id_.emplace(result->context.id, result);
  return result;
}

flight_ptr flight_table::find(const std::string& key) const {
  auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second.lock();
}

void flight_table::join(const flight_ptr& to, const call_context& context,
    owned_promise<llm_result> caller, time_point now) {
  auto id = context.id ? context.id : call_id::make();
  to->waiters.push_back({id, context.due, now, std::move(caller)});
  to->context.due.at = std::max(to->context.due.at, context.due.at);
  to->context.priority = std::max(to->context.priority, context.priority);
  by_id_.emplace(id, to);
  auto due_of = [](const flight::waiter& x) { return x.due.at; };
  auto earliest = std::ranges::min_element(to->waiters, {}, due_of)->due.at;
  if (earliest < to->context.due.at)
    wake(to, flight::late_waiter, earliest);
}

void flight_table::forget(const flight::waiter& who, const flight* in) {
  auto [begin, end] = by_id_.equal_range(who.id);
  for (auto i = begin; i != end; ++i)
    if (i->second.get() == in) {
      by_id_.erase(i);
      return;
    }
}

void flight_table::answer(const flight& of, flight::waiter& who, caf::expected<llm_result> answer) {
  forget(who, &of);
  if (!answer && of.stream) {
    auto why = with_text_so_far(answer.error(), of.stream->text_so_far());
    on_answer_(of, who, &why);
    who.caller.deliver(std::move(why));
    return;
  }
  on_answer_(of, who, answer ? nullptr : &answer.error());
  who.caller.deliver(std::move(answer));
}

std::vector<flight_ptr> flight_table::leave(const call_id& id, const caf::error& why) {
  std::vector<flight_ptr> touched;
  auto [begin, end] = by_id_.equal_range(id);
  if (id.step != 0)
    for (auto i = begin; i != end; ++i)
      touched.push_back(i->second);
  else if (id)
    for (const auto& [waiting, what] : by_id_)
      if (waiting.root == id.root)
        touched.push_back(what);
  auto is_leaving = [&id](const flight::waiter& x) {
    return x.id.root == id.root && (id.step == 0 || x.id == id);
  };
  std::vector<flight_ptr> deserted;
  for (const auto& what : touched) {
    if (what->is_over)
      continue;
    for (auto& who : what->waiters)
      if (is_leaving(who))
        answer(*what, who, why);
    std::erase_if(what->waiters, is_leaving);
    if (what->waiters.empty()) {
      land(what, why);
      deserted.push_back(what);
    }
  }
  return deserted;
}

void flight_table::drop_late_waiters(const flight_ptr& from, time_point now) {
  auto next = time_point::max();
  std::erase_if(from->waiters, [&](flight::waiter& who) {
    if (!who.due.has_passed(now)) {
      next = std::min(next, who.due.at);
      return false;
    }
    answer(*from, who,
        make_failure(errc::timed_out,
            "the deadline of the call passed before the LLM answered another like it"));
    return true;
  });
  if (next < from->context.due.at)
    wake(from, flight::late_waiter, next);
}

void flight_table::land(const flight_ptr& done, caf::expected<llm_result> result) {
  done->is_over = true;
  if (!done->key.empty())
    if (auto found = by_key_.find(done->key);
        found != by_key_.end() && found->second.lock() == done)
      by_key_.erase(found);
  auto& waiters = done->waiters;
  for (size_t i = 0; i + 1 < waiters.size(); ++i)
    answer(*done, waiters[i], result);
  if (!waiters.empty())
    answer(*done, waiters.back(), std::move(result));
  waiters.clear();
}

std::vector<flight_ptr> flight_table::all() const {
  std::vector<flight_ptr> result;
  for (const auto& [id, what] : by_id_)
    result.push_back(what);
  std::ranges::sort(result);
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

// -- timers -------------------------------------------------------------------------

bool flight_table::is_live(const timer& x) {
  auto what = x.what.lock();
  return what && !what->is_over && what->timer_stamps[x.purpose] == x.stamp;
}

void flight_table::wake(const flight_ptr& what, flight::purpose purpose, time_point at) {
  auto stamp = ++what->timer_stamps[purpose];
  timers_.push(at, timer{what, purpose, stamp}, by_id_.size() * what->timer_stamps.size(), is_live);
}

std::optional<flight_table::due_timer> flight_table::pop_due(time_point now) {
  auto due = timers_.pop_due(now, is_live);
  if (!due)
    return std::nullopt;
  return due_timer{due->what.lock(), due->purpose};
}

} // namespace chainmail

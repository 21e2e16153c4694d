// A scheduler of one thread, for a moment.
#include <chainmail/caf/caller_runs.hpp>

namespace chainmail {

void caller_runs::take(caf::resumable* job) {
  if (is_light(*job))
    jobs_.push_back(job);
  else
    compat::schedule(system_, job);
}

/// A dynamic_cast takes 200 instructions, and there are few types of actors.
bool caller_runs::is_light(const caf::resumable& job) {
  const auto& type = typeid(job);
  for (const auto& [known, result] : types_)
    if (*known == type)
      return result;
  return types_.emplace_back(&type, dynamic_cast<const light*>(&job) != nullptr).second;
}

void caller_runs::run() {
  // A hundred answers that lead to as many new calls take about forty.
  constexpr auto most_turns = 250;
  constexpr size_t messages_a_turn = 20;
  for (auto left = most_turns; !jobs_.empty(); --left) {
    // The last one first, as CAF's workers do: its message is still in the cache.
    auto* job = jobs_.back();
    jobs_.pop_back();
    if (left <= 0)
      compat::schedule(system_, job);
    else if (job->resume(this, messages_a_turn) == caf::resumable::resume_later)
      jobs_.insert(jobs_.begin(), job);
    else
      intrusive_ptr_release(job);
  }
}

} // namespace chainmail

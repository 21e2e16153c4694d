// Keeping conversations, and forgetting the right ones.
#include <chainmail/errors.hpp>
#include <chainmail/memory/conversation_memory.hpp>
#include <chainmail/memory/show_conversation.hpp>

#include <algorithm>

namespace chainmail {

namespace {

size_t size_of(const conversation_turn& turn) {
  return sizeof turn + turn.human.size() + turn.ai.size();
}

} // namespace

// -- turns ------------------------------------------------------------------------

const conversation& conversation_memory::load(const std::string& key) {
  static const conversation nothing;
  auto* found = find_and_touch(key);
  return found != nullptr ? found->what : nothing;
}

caf::error conversation_memory::save(const std::string& key, conversation_turn turn) {
  auto* known = find_and_touch(key);
  auto before = known != nullptr ? known->bytes : sizeof(entry) + key.size();
  if (known != nullptr && window_ != 0 && known->what.turns.size() == window_)
    before -= size_of(known->what.turns.front());
  if (before + size_of(turn) > limits_.max_bytes)
    return make_failure(errc::overloaded, "the conversation is larger than the memory may be: " +
                                              std::to_string(limits_.max_bytes) + " bytes");
  if (window_ == 0 && known != nullptr && known->what.turns.size() >= limits_.max_turns)
    return make_failure(errc::overloaded,
        "the conversation has " + std::to_string(limits_.max_turns) +
            " turns, which is the limit: erase it, or use a memory that summarises");
  auto& to = find_or_add(key);
  resize(to, to.bytes + size_of(turn));
  to.what.turns.push_back(std::move(turn));
  if (window_ != 0 && to.what.turns.size() > window_)
    drop_oldest_turns(to, to.what.turns.size() - window_);
  forget_beyond_limits();
  return {};
}

void conversation_memory::erase(const std::string& key) {
  if (auto found = by_key_.find(key); found != by_key_.end())
    forget(found->second);
}

// -- summaries --------------------------------------------------------------------

std::optional<conversation_memory::folding> conversation_memory::begin_folding(
    const std::string& key, size_t count) {
  auto* from = find_and_touch(key);
  if (from == nullptr || from->is_folding || count == 0)
    return std::nullopt;
  from->is_folding = true;
  auto first = from->what.turns.begin();
  auto last = first + static_cast<std::ptrdiff_t>(std::min(count, from->what.turns.size()));
  return folding{key, from->number, {from->what.summary, {first, last}}};
}

void conversation_memory::end_folding(const folding& lent, std::optional<std::string> summary) {
  auto found = by_key_.find(lent.key);
  if (found == by_key_.end() || found->second->number != lent.number)
    return; // forgotten meanwhile
  auto& to = *found->second;
  to.is_folding = false;
  if (!summary)
    return;
  drop_oldest_turns(to, lent.what.turns.size());
  resize(to, to.bytes - to.what.summary.size() + summary->size());
  to.what.summary = std::move(*summary);
  find_and_touch(lent.key);
  forget_beyond_limits();
}

size_t turns_beyond(
    const std::vector<conversation_turn>& turns, size_t max_tokens, const token_measure& count) {
  size_t tokens = 0;
  for (auto kept = turns.size(); kept > 0; --kept) {
    tokens += count(show_conversation({{}, {turns[kept - 1]}}));
    if (tokens > max_tokens)
      return kept;
  }
  return 0;
}

// -- entries ----------------------------------------------------------------------

conversation_memory::entry* conversation_memory::find_and_touch(const std::string& key) {
  auto found = by_key_.find(key);
  if (found == by_key_.end())
    return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &entries_.front();
}

conversation_memory::entry& conversation_memory::find_or_add(const std::string& key) {
  if (auto* known = find_and_touch(key))
    return *known;
  auto& added = entries_.emplace_front();
  added.key = key;
  added.number = next_number_++;
  by_key_.emplace(added.key, entries_.begin());
  resize(added, sizeof(entry) + key.size());
  return added;
}

void conversation_memory::forget(std::list<entry>::iterator which) {
  resize(*which, 0);
  by_key_.erase(which->key);
  entries_.erase(which);
}

void conversation_memory::forget_beyond_limits() {
  while (entries_.size() > 1 &&
         (entries_.size() > limits_.max_conversations || bytes_ > limits_.max_bytes))
    forget(std::prev(entries_.end()));
}

void conversation_memory::drop_oldest_turns(entry& from, size_t count) {
  auto first = from.what.turns.begin();
  auto last = first + static_cast<std::ptrdiff_t>(count);
  auto bytes = from.bytes;
  for (auto turn = first; turn != last; ++turn)
    bytes -= size_of(*turn);
  resize(from, bytes);
  from.what.turns.erase(first, last);
}

void conversation_memory::resize(entry& what, size_t bytes) {
  bytes_ = bytes_ - what.bytes + bytes;
  what.bytes = bytes;
}

} // namespace chainmail

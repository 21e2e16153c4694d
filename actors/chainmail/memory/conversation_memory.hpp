// Conversations by key, within bounds: what the memory actors keep.
#pragma once

#include <chainmail/llm/token_counter.hpp>
#include <chainmail/retrieval.hpp>

#include <caf/error.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace chainmail {

/// How much a memory holds. All of it is in this process's main memory.
struct memory_limits {
  /// With one conversation more, the one that was loaded or saved least recently is forgotten.
  size_t max_conversations = 100'000;
  /// Of all keys, turns and summaries together. With more, conversations are forgotten in the same
  /// order; a single conversation that would be larger is errc::overloaded when saved to.
  size_t max_bytes = size_t{1} << 30;
  /// Of one conversation, outside its summary. A save beyond it is errc::overloaded.
  size_t max_turns = 10'000;
};

/// The conversations themselves. Turns are summarised from outside: what begin_folding lends stays
/// in the conversation until end_folding brings its summary, so nothing is lost between the two.
class conversation_memory {
public:
  /// `window` is how many turns of a conversation are kept at most, the oldest going first; 0 keeps
  /// them all.
  explicit conversation_memory(memory_limits limits, size_t window = 0)
    : limits_(limits), window_(window) {}

  conversation_memory(conversation_memory&&) = default;
  conversation_memory& operator=(conversation_memory&&) = default;

  /// Empty for an unknown key. Valid until the next call of this class.
  const conversation& load(const std::string& key);

  caf::error save(const std::string& key, conversation_turn turn);

  void erase(const std::string& key);

  /// What is to be summarised: the summary so far, and the turns to add to it.
  struct folding {
    std::string key;
    /// Tells the conversation from a later one under the same key.
    uint64_t number = 0;
    conversation what;
  };

  /// Lends the `count` oldest turns. Nothing when that is 0, or when the conversation has a folding
  /// under way.
  std::optional<folding> begin_folding(const std::string& key, size_t count);

  /// Puts the summary in the place of what was lent. Without a summary everything stays as it is.
  void end_folding(const folding& lent, std::optional<std::string> summary);

  [[nodiscard]] size_t conversations() const { return entries_.size(); }
  [[nodiscard]] size_t bytes() const { return bytes_; }

private:
  struct entry {
    std::string key;
    uint64_t number = 0;
    conversation what;
    size_t bytes = 0;
    bool is_folding = false;
  };

  entry* find_and_touch(const std::string& key);
  entry& find_or_add(const std::string& key);
  void forget(std::list<entry>::iterator which);
  void forget_beyond_limits();
  void drop_oldest_turns(entry& from, size_t count);
  void resize(entry& what, size_t bytes);

  memory_limits limits_;
  size_t window_;
  /// Most recently used first.
  std::list<entry> entries_;
  std::unordered_map<std::string_view, std::list<entry>::iterator> by_key_;
  size_t bytes_ = 0;
  uint64_t next_number_ = 0;
};

/// How many of the oldest turns are too many: those without which the others, as prompts show them,
/// have at most `max_tokens` together.
size_t turns_beyond(
    const std::vector<conversation_turn>& turns, size_t max_tokens, const token_measure& count);

} // namespace chainmail

// Answers that are kept in memory, for the same question asked again.
#pragma once

#include <chainmail/llm.hpp>

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace chainmail {

/// Every field of a request, and the defaults for what it leaves open, as one text: two requests that
/// differ in anything never have the same. `scope` names who is asked, and by which interface.
std::string cache_key(
    std::string_view scope, const llm_request& request, const llm_parameters& defaults);

/// Whether the same request should have the same answer: it has temperature 0, or a seed.
bool is_deterministic(const llm_request& request, const llm_parameters& defaults);

struct cache_options {
  /// Of keys, texts and what holds them.
  size_t max_bytes = size_t{64} << 20U;
  caf::timespan time_to_live = std::chrono::hours{24};
  /// False: answers that were sampled are kept, too, and asking again gives the same one.
  bool only_deterministic = true;
};

/// errc::invalid_input with a sentence for options that can never work.
caf::error check(const cache_options& options);

/// Forgets the least recently used first. For one thread at a time.
class response_cache {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `options` pass check().
  explicit response_cache(cache_options options) : options_(options) {}

  /// Null when there is none, or it is too old. Valid until the next insert. The answer says that it
  /// is_cached, and has neither attempts nor limits.
  const llm_result* find(const std::string& key, time_point now);

  /// Replaces what was there. An answer that is larger than the whole cache is not kept.
  void insert(const std::string& key, const llm_result& result, time_point now);

  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] size_t size() const { return entries_.size(); }

private:
  struct entry {
    std::string key;
    llm_result result;
    time_point ends;
    size_t bytes = 0;
  };

  using iterator = std::list<entry>::iterator;

  void erase(iterator what);

  cache_options options_;
  /// The most recently used first.
  std::list<entry> entries_;
  std::unordered_map<std::string_view, iterator> by_key_;
  size_t bytes_ = 0;
};

} // namespace chainmail

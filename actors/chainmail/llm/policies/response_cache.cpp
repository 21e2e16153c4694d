// Keys, and who is forgotten first.
#include <chainmail/errors.hpp>
#include <chainmail/llm/policies/response_cache.hpp>

#include <charconv>
#include <concepts>

namespace chainmail {

namespace {

// -- keys -------------------------------------------------------------------------------

/// Writes fields so that they can be told apart: texts with their length, numbers with an end.
class key_writer {
public:
  void add(std::string_view text) {
    add(text.size());
    key_.append(text);
  }

  void add(const std::string& text) { add(std::string_view{text}); }

  /// The shortest digits that read back as the same number.
  template <class Number>
  requires std::integral<Number> || std::floating_point<Number>
  void add(Number number) {
    char digits[40];
    auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    key_.append(digits, end);
    key_ += ';';
  }

  template <class T>
  void add(const std::optional<T>& own, const std::optional<T>& usual) {
    const auto& field = own ? own : usual;
    key_ += field ? '+' : '-';
    if (field)
      add(*field);
  }

  std::string take() { return std::move(key_); }

private:
  std::string key_;
};

// -- sizes ------------------------------------------------------------------------------

/// Of a text beyond the string object itself, which has room for 15 bytes.
size_t heap_bytes(const std::string& text) {
  return text.capacity() > 15 ? text.capacity() + 1 : 0;
}

size_t bytes_of(const std::string& key, const llm_result& result) {
  // Three pointers a list node, a pointer and a hash a hash node, a bucket, and what malloc adds.
  constexpr size_t nodes = 160;
  auto bytes = nodes + sizeof(llm_result) + heap_bytes(key) + heap_bytes(result.model) +
               result.completions.capacity() * sizeof(completion);
  for (const auto& x : result.completions) {
    bytes += heap_bytes(x.text) + heap_bytes(x.finish_reason) +
             x.tool_calls.capacity() * sizeof(tool_call);
    for (const auto& call : x.tool_calls)
      bytes += heap_bytes(call.id) + heap_bytes(call.name) + heap_bytes(call.arguments);
  }
  return bytes;
}

} // namespace

std::string cache_key(
    std::string_view scope, const llm_request& request, const llm_parameters& defaults) {
  key_writer key;
  key.add(scope);
  key.add(request.prompts.size());
  for (const auto& prompt : request.prompts)
    key.add(prompt);
  key.add(request.messages.size());
  for (const auto& message : request.messages) {
    key.add(message.role);
    key.add(message.content);
    key.add(message.tool_call_id);
    key.add(message.parts.size());
    for (const auto& part : message.parts) {
      key.add(part.text);
      key.add(part.image);
    }
    key.add(message.tool_calls.size());
    for (const auto& call : message.tool_calls) {
      key.add(call.id);
      key.add(call.name);
      key.add(call.arguments);
    }
  }
  key.add(request.tools.size());
  for (const auto& tool : request.tools) {
    key.add(tool.name);
    key.add(tool.description);
    key.add(tool.parameters);
  }
  key.add(request.tool_choice);
  key.add(request.response_schema);
  key.add(request.stop.size());
  for (const auto& text : request.stop)
    key.add(text);
  const auto& own = request.parameters;
  key.add(own.model, defaults.model);
  key.add(own.temperature, defaults.temperature);
  key.add(own.max_tokens, defaults.max_tokens);
  key.add(own.top_p, defaults.top_p);
  key.add(own.frequency_penalty, defaults.frequency_penalty);
  key.add(own.presence_penalty, defaults.presence_penalty);
  key.add(own.n, defaults.n);
  key.add(own.best_of, defaults.best_of);
  key.add(own.seed, defaults.seed);
  key.add(own.user, defaults.user);
  for (const auto* fields : {&own.extra, &defaults.extra}) {
    key.add(fields->size());
    for (const auto& [name, json] : *fields) {
      key.add(name);
      key.add(json);
    }
  }
  return key.take();
}

bool is_deterministic(const llm_request& request, const llm_parameters& defaults) {
  const auto& own = request.parameters;
  auto temperature = own.temperature ? own.temperature : defaults.temperature;
  return own.seed || defaults.seed || (temperature && *temperature == 0);
}

caf::error check(const cache_options& options) {
  if (options.max_bytes == 0)
    return make_failure(errc::invalid_input, "cache_options::max_bytes must be at least 1");
  constexpr auto a_century = std::chrono::hours{24 * 36'525};
  if (options.time_to_live.count() <= 0 || options.time_to_live > a_century)
    return make_failure(errc::invalid_input,
        "cache_options::time_to_live must be positive, and at most a hundred years");
  return {};
}

// -- the cache ------------------------------------------------------------------------------

const llm_result* response_cache::find(const std::string& key, time_point now) {
  auto found = by_key_.find(key);
  if (found == by_key_.end())
    return nullptr;
  auto at = found->second;
  if (at->ends <= now) {
    erase(at);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, at);
  return &at->result;
}

void response_cache::insert(const std::string& key, const llm_result& result, time_point now) {
  if (auto found = by_key_.find(key); found != by_key_.end())
    erase(found->second);
  auto kept = result;
  kept.attempts = {};
  kept.node.clear();
  kept.limits.reset();
  kept.is_cached = true;
  auto bytes = bytes_of(key, kept);
  if (bytes > options_.max_bytes)
    return;
  while (bytes_ + bytes > options_.max_bytes)
    erase(std::prev(entries_.end()));
  entries_.push_front({key, std::move(kept), now + options_.time_to_live, bytes});
  by_key_.emplace(entries_.front().key, entries_.begin());
  bytes_ += bytes;
}

void response_cache::erase(iterator what) {
  bytes_ -= what->bytes;
  by_key_.erase(what->key);
  entries_.erase(what);
}

} // namespace chainmail

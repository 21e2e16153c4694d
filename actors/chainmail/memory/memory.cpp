// The actor around the conversations, and its requests for summaries.
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/memory/memory.hpp>
#include <chainmail/memory/show_conversation.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <algorithm>
#include <stdexcept>

namespace chainmail {

namespace {

/// So that a backlog does not make one prompt too long for the model.
constexpr size_t most_turns_at_once = 20;
/// A summary that takes longer is given up, and tried again at the next save.
constexpr caf::timespan summary_patience = std::chrono::minutes{2};

std::string write_prompt(conversation what) {
  auto so_far = std::exchange(what.summary, {});
  return "Keep a short summary of the conversation between a human and an AI: add to the current "
         "summary what the new lines bring. Names, numbers, wishes and decisions must not get "
         "lost.\n\nCurrent summary:\n" +
         so_far + "\n\nNew lines of conversation:\n" + show_conversation(what) + "\n\nNew summary:";
}

struct memory_state {
  static constexpr const char* name = "chainmail.memory";

  using actor_type = hub_actor<memory_actor, memory_state>;

  /// Without an LLM nothing is summarised.
  memory_state(
      actor_type* self_ptr, conversation_memory kept, llm_actor model, summary_memory_options opts)
    : self(self_ptr), memory(std::move(kept)), llm(std::move(model)), options(std::move(opts)) {}

  hub<memory_actor>::behavior_type make_behavior() {
    return {
        replies.on_reply(),
        [this](load_atom, const std::string& key,
            const call_context& context) -> caf::result<conversation> {
          if (auto late = check_deadline(context))
            return late;
          return memory.load(key);
        },
        [this](save_atom, const std::string& key, conversation_turn& turn,
            const call_context& context) { return save(key, std::move(turn), context); },
        [this](erase_atom, const std::string& key) { memory.erase(key); },
        [](cancel_atom, const call_id&) { /* no call waits here */ },
    };
  }

  [[nodiscard]] caf::error check_deadline(const call_context& context) const {
    if (context.due.has_passed(self->clock().now()))
      return make_failure(errc::timed_out, "the deadline passed before the memory was reached");
    return {};
  }

  caf::result<void> save(
      const std::string& key, conversation_turn turn, const call_context& context) {
    if (auto late = check_deadline(context))
      return late;
    if (auto error = memory.save(key, std::move(turn)))
      return error;
    if (llm)
      summarise_surplus(key, context.tenant);
    return caf::unit;
  }

  /// Asks for a summary of what is too much in a conversation, if there is something.
  void summarise_surplus(const std::string& key, const std::string& tenant) {
    if (replies.is_full())
      return;
    auto too_many = turns_beyond(memory.load(key).turns, options.max_tokens, options.count_tokens);
    if (auto folding = memory.begin_folding(key, std::min(too_many, most_turns_at_once)))
      summarise(*folding, tenant);
  }

  void summarise(const conversation_memory::folding& folding, const std::string& tenant) {
    llm_request request;
    request.prompts.push_back(write_prompt(folding.what));
    request.parameters = options.parameters;
    call_context context;
    context.id = call_id::make();
    context.due.at = self->clock().now() + summary_patience;
    context.tenant = tenant;
    replies.ask<llm_result>(
        llm, context.due,
        [this, folding, tenant](llm_result& result) {
          auto text = result.completions.empty() ? std::string_view{} : trimmed(result.text());
          if (text.empty())
            return memory.end_folding(folding, std::nullopt);
          memory.end_folding(folding, std::string{text});
          summarise_surplus(folding.key, tenant); // what was saved meanwhile
        },
        [this, folding](caf::error&) { memory.end_folding(folding, std::nullopt); },
        generate_atom_v, std::move(request), context);
  }

  actor_type* self;
  conversation_memory memory;
  llm_actor llm;
  summary_memory_options options;
  reply_table replies{self, "the LLM that summarises"};
};

void check(const memory_limits& limits) {
  if (limits.max_conversations == 0 || limits.max_bytes == 0 || limits.max_turns == 0)
    throw std::invalid_argument{"the limits of a memory must be at least 1"};
}

memory_actor spawn_memory(caf::actor_system& system, const memory_limits& limits, size_t window,
    llm_actor llm, summary_memory_options options) {
  check(limits);
  return system.spawn<memory_state::actor_type>(
      conversation_memory{limits, window}, std::move(llm), std::move(options));
}

} // namespace

memory_actor spawn_buffer_memory(caf::actor_system& system, const memory_limits& limits) {
  return spawn_memory(system, limits, 0, {}, {});
}

memory_actor spawn_window_memory(caf::actor_system& system, size_t k, const memory_limits& limits) {
  if (k == 0)
    throw std::invalid_argument{"a window memory must keep at least 1 turn"};
  return spawn_memory(system, limits, k, {}, {});
}

memory_actor spawn_summary_buffer_memory(
    caf::actor_system& system, llm_actor llm, summary_memory_options options) {
  if (!llm)
    throw std::invalid_argument{"a memory that summarises needs a valid LLM actor"};
  if (!options.count_tokens)
    options.count_tokens = measure_tokens_of(options.parameters.model.value_or(""));
  auto limits = options.limits;
  return spawn_memory(system, limits, 0, std::move(llm), std::move(options));
}

memory_actor spawn_summary_memory(
    caf::actor_system& system, llm_actor llm, summary_memory_options options) {
  options.max_tokens = 0;
  options.count_tokens = [](std::string_view) { return size_t{1}; };
  return spawn_summary_buffer_memory(system, std::move(llm), std::move(options));
}

} // namespace chainmail

// The line, and the actors that bring it its text.
#include "preview.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <iostream>
#include <terminal/fitted_text.hpp>
#include <utility>

namespace chainmail::asking {

namespace {

struct sink_state {
  static constexpr const char* name = "ask.preview_sink";

  sink_state(sink_actor::pointer, std::shared_ptr<preview> to) : where(std::move(to)) {}

  sink_actor::behavior_type make_behavior() {
    return {[this](chunk_atom, const call_id& call, uint32_t, const std::string& text) {
      where->add(call, text);
    }};
  }

  std::shared_ptr<preview> where;
};

struct previewed_state {
  static constexpr const char* name = "ask.previewed_llm";

  previewed_state(llm_actor::pointer self_ptr, llm_actor target, std::shared_ptr<preview> where)
    : self(self_ptr),
      llm(std::move(target)),
      sink(self->system().spawn<caf::stateful_actor<sink_state, sink_actor::impl>>(
          std::move(where))) {}

  llm_actor::behavior_type make_behavior() {
    return {
        [this](generate_atom, const llm_request& request, const call_context& context) {
          return compat::delegate(self, llm, stream_atom_v, request, sink, context);
        },
        [this](stream_atom, const llm_request& request, const sink_actor& to,
            const call_context& context) {
          return compat::delegate(self, llm, stream_atom_v, request, to, context);
        },
        [this](cancel_atom, const call_id& id) { compat::send(self, llm, cancel_atom_v, id); },
    };
  }

  llm_actor::pointer self;
  llm_actor llm;
  sink_actor sink;
};

} // namespace

void preview::begin() {
  std::lock_guard guard{mutex_};
  is_shown_ = true;
  text_.clear();
}

void preview::add(const call_id& call, std::string_view text) {
  std::lock_guard guard{mutex_};
  if (std::exchange(newest_, call) != call)
    text_.clear();
  text_ += text;
  auto now = std::chrono::steady_clock::now();
  if (!is_shown_ || now < next_show_)
    return;
  next_show_ = now + std::chrono::milliseconds{50};
  // The last column stays free: some terminals wrap as soon as it is written.
  auto line =
      terminal::fit_tail(terminal::harmless(trimmed(text_)), style_.columns - 1, style_.unicode);
  std::cerr << '\r' << line << "\033[K" << std::flush;
}

void preview::end() {
  std::lock_guard guard{mutex_};
  if (std::exchange(is_shown_, false))
    std::cerr << "\r\033[K" << std::flush;
}

llm_actor spawn_previewed(
    caf::actor_system& system, llm_actor llm, std::shared_ptr<preview> where) {
  return system.spawn<caf::stateful_actor<previewed_state, llm_actor::impl>>(
      std::move(llm), std::move(where));
}

} // namespace chainmail::asking

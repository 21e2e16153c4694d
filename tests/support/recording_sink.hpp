// A sink that keeps what it gets, and answers as a test tells it to.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace chainmail::test {

/// What a sink got, and how it answers.
struct sink_log {
  struct chunk {
    call_id id;
    uint32_t index = 0;
    std::string text;
  };
  std::vector<chunk> chunks;
  /// Chunks that it answers before it holds answers back.
  size_t credit = SIZE_MAX;
  /// How it answers once the credit is spent, instead of holding back.
  caf::error refusal = {};

  /// The text of one completion of one call.
  [[nodiscard]] std::string text(const call_id& id, uint32_t index = 0) const {
    std::string result;
    for (const auto& each : chunks)
      if (each.id == id && each.index == index)
        result += each.text;
    return result;
  }

  /// Of all calls.
  [[nodiscard]] std::string text() const {
    std::string result;
    for (const auto& each : chunks)
      result += each.text;
    return result;
  }
};

using recording_sink_actor = sink_actor::extend<caf::result<void>(caf::ok_atom, size_t)>;

struct recording_sink_state {
  recording_sink_state(recording_sink_actor::pointer self_ptr, std::shared_ptr<sink_log> to)
    : self(self_ptr), log(std::move(to)) {}

  recording_sink_actor::behavior_type make_behavior() {
    return {
        [this](
            chunk_atom, const call_id& id, uint32_t index, std::string& text) -> caf::result<void> {
          log->chunks.push_back({id, index, std::move(text)});
          if (log->credit > 0) {
            --log->credit;
            return caf::unit;
          }
          if (log->refusal)
            return log->refusal;
          held.push_back(self->make_response_promise<void>());
          return held.back();
        },
        [this](caf::ok_atom, size_t count) {
          for (; count > 0 && !held.empty(); --count) {
            held.front().deliver();
            held.pop_front();
          }
          log->credit += count;
        },
    };
  }

  recording_sink_actor::pointer self;
  std::shared_ptr<sink_log> log;
  std::deque<caf::typed_response_promise<void>> held;
};

inline recording_sink_actor spawn_recording_sink(
    caf::actor_system& system, std::shared_ptr<sink_log> log) {
  return system.spawn<caf::stateful_actor<recording_sink_state, recording_sink_actor::impl>>(
      std::move(log));
}

/// Of the error of a stream.
inline std::string text_so_far(const caf::error& why) {
  return detail_of(why).value_or(error_detail{}).text_so_far;
}

/// Answers chunks that were held back, and then as many to come.
inline void grant(const recording_sink_actor& sink, size_t count) {
  compat::anon_send(sink, caf::ok_atom_v, count);
}

} // namespace chainmail::test

// Streams at the border between two nodes: their chunks are checked, counted and passed on.
#pragma once

#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/any_hub.hpp>
#include <chainmail/errors.hpp>

#include <caf/error.hpp>
#include <caf/message.hpp>
#include <caf/result.hpp>
#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

namespace chainmail {

/// The streams of an actor at the border, which stands in for their sinks. Each is known by the
/// number of its call there; its chunks carry the ID of the call.
///
/// A chunk is answered when the sink has answered it. More than `most_unanswered` chunks of one stream
/// are refused, and so is text that a message may not have. A sink that keeps chunks unanswered for
/// `patience` has its stream given up.
class stream_relay {
public:
  /// More than any sender of chainmail's has unanswered.
  static constexpr size_t most_unanswered = 64;
  static constexpr std::chrono::minutes patience{2};

  /// `on_stall` gets the call of a stream that is to be given up.
  stream_relay(any_hub* self, std::function<void(uint64_t call)> on_stall);

  /// For a request that is a stream: puts `self` in the place of its sink, and an ID in the place of
  /// none. Nothing for other requests. errc::overloaded when a stream of that ID is under way: its
  /// chunks could not be told apart.
  caf::error open(uint64_t call, caf::message& request);

  /// The call of the stream whose chunks have this ID, or 0.
  [[nodiscard]] uint64_t call_of(const call_id& id) const;

  /// Passes a chunk on. To be called for senders only that may speak for the stream.
  caf::result<void> pass(uint64_t call, uint32_t index, std::string text);

  /// True when the reply was that of a sink.
  bool on_reply(uint64_t request, caf::message& reply);

  /// Whether something was passed on to the sink.
  [[nodiscard]] bool has_begun(uint64_t call) const;

  /// The error of a call, with what its sink got of the first completion. Others stay as they are.
  [[nodiscard]] caf::error with_text(uint64_t call, caf::error why) const;

  /// Forgets a stream, if there is one. Chunks that are not answered yet are refused.
  void close(uint64_t call, const caf::error& why);

private:
  using time_point = std::chrono::steady_clock::time_point;

  struct stream {
    sink_actor sink;
    call_id id;
    bool has_begun = false;
    std::string text;
    std::unordered_map<uint64_t, caf::typed_response_promise<void>> unanswered;
    /// The last time that the sink owed nothing, or answered.
    time_point alive;
  };

  void look_for_stalls();

  any_hub* self_;
  std::function<void(uint64_t)> on_stall_;
  std::unordered_map<uint64_t, stream> streams_;
  std::unordered_map<call_id, uint64_t> by_id_;
  /// The requests that chunks are passed on with, and their calls.
  std::unordered_map<uint64_t, uint64_t> asked_;
  alarm timer_{self_, [this] { look_for_stalls(); }};
};

} // namespace chainmail

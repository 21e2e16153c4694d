// The streams that a client has under way: from the engine's chunks, by way of a wire format's decoder,
// to the sinks of its callers, and back the credit.
#pragma once

#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/llm/stream_decoder.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_addr.hpp>
#include <caf/typed_response_promise.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace chainmail {

/// An LLM that is the sink of its HTTP engine: the interface of an actor with stream_calls.
using streaming_client_actor = llm_actor::extend<
    // The next piece of a stream's body, from the engine.
    caf::result<void>(chunk_atom, call_id, uint32_t index, std::string text)>;

/// A member of the state of a hub<streaming_client_actor>. Text goes to the caller's sink as soon as
/// it is there. With 8 pieces unanswered, what follows is kept for the next one; with 16 KiB kept or
/// unanswered, the engine gets no more credit, and so the socket is not read.
class stream_calls {
public:
  /// The table and the engine's handle outlive it.
  stream_calls(caf::scheduled_actor* self, reply_table& replies, const http_actor& http);

  /// One stream to make.
  struct plan {
    http_request post = {};
    std::unique_ptr<stream_decoder> decoder = {};
    /// At least 1.
    size_t completions = 1;
    /// How long the first text or tool call may take; zero for as long as the deadline allows.
    caf::timespan first_token_timeout{0};
    /// Hears of an answer before its caller does. May be empty.
    std::function<void(const llm_result&)> on_result = {};
  };

  /// Sends the request. The answer comes when the sink has taken all of its text. An error after the
  /// first piece has it as error_detail::text_so_far; nothing is ever sent to the sink twice.
  caf::result<llm_result> start(plan what, sink_actor sink, const call_context& context);

  /// Ends the calls of that ID with errc::cancelled; a step of zero means all of the root.
  void cancel(const call_id& id);

  /// The handler that the client's behavior needs for the engine's chunks.
  auto on_chunk() {
    return [this](chunk_atom, const call_id& id, uint32_t, const std::string& bytes) {
      return take(id.step, bytes);
    };
  }

private:
  using time_point = deadline::clock::time_point;

  static constexpr size_t max_chunks = 8;
  static constexpr size_t max_bytes = size_t{16} << 10U;

  enum class body { unknown, events, whole };

  struct call {
    plan what;
    sink_actor sink;
    /// As the caller gave it.
    call_context context;
    caf::typed_response_promise<llm_result> caller;
    time_point began;
    /// As errors may show it.
    std::string endpoint;
    sse_parser parser;
    stream_result result;
    std::optional<caf::timespan> first_token = {};
    body kind = body::unknown;
    /// A body that is no stream.
    std::string text = {};
    /// Of the sink.
    size_t sent_chunks = 0;
    size_t sent_bytes = 0;
    /// Chunks of the engine that it gets no credit for yet.
    std::vector<caf::typed_response_promise<void>> held = {};
    /// Nothing more comes from the engine.
    bool is_over = false;
    http_response head = {};
    /// The answer of a server that does not stream.
    std::optional<llm_result> whole = {};
    caf::error failure = {};
  };

  void send(uint64_t key, call& what, http_request post);
  caf::result<void> take(uint64_t key, const std::string& bytes);
  caf::error read(call& what, std::string_view bytes);
  void on_response(uint64_t key, http_response& response);
  caf::error read_response(call& what, http_response& response);
  void on_error(uint64_t key, caf::error& error);
  void on_taken(uint64_t key, size_t bytes);

  [[nodiscard]] static bool is_full(const call& what);
  void move_on(uint64_t key, call& what);
  void fail_in_order(uint64_t key, call& what, caf::error why);
  void fail_now(uint64_t key, caf::error why);
  void finish(uint64_t key, call& what);
  void forget(uint64_t key, call& what);
  [[nodiscard]] call_id engine_id(uint64_t key, const call& what) const;

  void watch(const sink_actor& sink, uint64_t key);
  void unwatch(const sink_actor& sink, uint64_t key);
  void on_sink_down(const caf::actor_addr& sink);
  void expire();

  caf::scheduled_actor* self_;
  reply_table& replies_;
  const http_actor& http_;
  /// Also the steps of the engine's calls. Starts at random: an engine may serve several clients.
  uint64_t next_key_ = call_id::make().root;
  std::unordered_map<uint64_t, call> calls_;
  std::multimap<call_id, uint64_t> by_id_;
  std::unordered_map<caf::actor_addr, std::unordered_set<uint64_t>> by_sink_;
  /// When first tokens are late.
  deadline_heap<uint64_t> dues_;
  alarm alarm_{self_, [this] { expire(); }};
};

} // namespace chainmail

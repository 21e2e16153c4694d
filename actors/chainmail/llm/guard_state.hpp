// The guard's actor: what it has under way, and the steps of a call, each in the file of its concern.
#pragma once

#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/llm/guard_flights.hpp>
#include <chainmail/llm/guard_metrics.hpp>
#include <chainmail/llm/guard_target_state.hpp>
#include <chainmail/llm/guarded.hpp>

#include <caf/result.hpp>

#include <optional>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

namespace chainmail {

/// A guard is an LLM, and the sink of the streams that it asks for.
using guard_actor =
    llm_actor::extend<caf::result<void>(chunk_atom, call_id, uint32_t index, std::string text)>;

struct guard_state {
  static constexpr const char* name = "chainmail.guard";

  using actor_type = hub_actor<guard_actor, guard_state>;

  guard_state(actor_type* self_ptr, std::vector<guard_target> all, guard_options opts);

  guard_state(const guard_state&) = delete;
  guard_state& operator=(const guard_state&) = delete;

  /// Killed, it can no longer send by itself.
  ~guard_state();

  hub<guard_actor>::behavior_type make_behavior();

  // -- taking calls: guarded.cpp ----------------------------------------------------------

  caf::result<llm_result> generate(llm_request request, call_context context);

  /// Nothing when the guard takes the call.
  [[nodiscard]] caf::error refusal_of(const call_context& context) const;
  caf::error refuse(model_metrics& counted, const call_context& context, caf::error why);
  void on_answer(const flight& of, const flight::waiter& to, const caf::error* why);
  model_metrics& counts_at(const flight& of, size_t target);

  /// Empty for a request whose answer is its own.
  [[nodiscard]] std::string key_of(const llm_request& request) const;

  /// Looks for an answer in the store, and goes on without one.
  void look_up(const flight_ptr& what);

  // -- attempts: guard_attempts.cpp -------------------------------------------------------

  /// Makes the next attempt at the flight's target, when its breaker lets it through.
  void proceed(const flight_ptr& what);
  void ask_permit(const flight_ptr& what, circuit_breaker::pass pass, bool is_hedge);
  void send(const flight_ptr& what, circuit_breaker::pass pass, permit granted, bool is_hedge);
  void on_result(const flight_ptr& what, size_t index, llm_result& result);
  void keep(const flight& what, const llm_result& result, flight::time_point now);
  void on_error(const flight_ptr& what, size_t index, caf::error& why);

  /// Tries again when the policy allows it, else elsewhere, else fails. Backs off from `earliest`,
  /// if that is later: calls that wait for the same moment do not all come at it.
  void retry_later(const flight_ptr& what, const caf::error& why, flight::time_point earliest = {},
      bool limiter_waits = false);

  /// The target failed for good: asks the next one, or answers with the error.
  void fail(const flight_ptr& what, const caf::error& why);
  void fall_back(const flight_ptr& what);

  /// Answers with the error of the last attempt.
  void end(const flight_ptr& what, const caf::error& why);

  /// Ends a flight that still has waiters.
  void give_up(const flight_ptr& what, const caf::error& why);

  /// Stops what a flight still has outstanding: for one that is over, or about to be.
  void withdraw(const flight_ptr& what);

  // -- streams: guard_streams.cpp ---------------------------------------------------------

  caf::result<llm_result> stream(llm_request request, const sink_actor& sink, call_context context);

  /// Gives an answer that is there already to a stream's sink, and then to its caller.
  void replay(const flight_ptr& what, llm_result found);

  /// Of an attempt at a stream: passed on, to be answered by the sink itself.
  caf::result<void> on_chunk(const call_id& attempt, uint32_t index, std::string& text);

  /// An attempt at a stream goes out. The result is the ID that its chunks are expected under.
  call_id expect_text(const flight_ptr& what);

  /// No text came within the time of an attempt.
  void on_silence(const flight_ptr& what);

  /// One monitor a sink, however many of its streams are under way: demonitor takes all away.
  void watch(const sink_actor& sink);
  void unwatch(const sink_actor& sink);
  void on_sink_down(const caf::actor_addr& gone);

  // -- timers and bookkeeping: guarded.cpp ------------------------------------------------

  void on_alarm();
  void send_hedge(const flight_ptr& what);
  void wake(const flight_ptr& what, flight::purpose purpose, flight::time_point at);
  void set_alarm() { timer.at(flights.next_wake()); }

  /// Nothing for an attempt that was given up.
  std::optional<flight::outstanding> take_live(flight& of, size_t index);

  /// An attempt that was not made, and why.
  void note_refusal(flight& of, const caf::error& why);
  void settle(permit granted, const permit_report& report);

  /// Calls keep the guard alive: one that waits for its next attempt has nobody else who does.
  void rest();

  actor_type* self;
  guard_options options;
  /// Outlives the flights that count here.
  guard_metrics counts;
  bool is_exiting = false;
  std::vector<guard_target_state> targets;
  retry_policy retry{options.retry, options.seed != 0 ? options.seed : std::random_device{}()};
  std::optional<response_cache> cache;
  flight_table flights{[this](const flight& of, const flight::waiter& to, const caf::error* why) {
    on_answer(of, to, why);
  }};
  /// Streams by the ID of the attempt that is under way.
  std::unordered_map<call_id, flight_ptr> streams;
  std::unordered_map<caf::actor_addr, size_t> streams_of;
  llm_actor while_busy;
  alarm timer{self, [this] { on_alarm(); }};
  /// Goes first, with the promises in its handlers.
  reply_table replies{self, "the guard's LLM or limiter"};
};

} // namespace chainmail

// The calls that a guard has under way, who waits for each, and when to look at one again.
#pragma once

#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/caf/owned_promise.hpp>
#include <chainmail/caf/sink_feed.hpp>
#include <chainmail/llm/policies/circuit_breaker.hpp>
#include <chainmail/llm/policies/retry_policy.hpp>
#include <chainmail/messages.hpp>

#include <caf/expected.hpp>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace chainmail {

struct model_metrics;

/// Where the text of a call goes that is a stream.
struct flight_stream {
  sink_actor sink;
  /// Something has reached the sink: there is no other attempt after that.
  bool has_begun = false;
  bool sink_is_gone = false;
  /// What the sink got of the first completion, but for what is replayed.
  std::string text;
  /// Attempts that were given up before they were answered.
  uint64_t given_up = 0;
  /// Of an answer out of the cache.
  std::shared_ptr<sink_feed> replay;

  [[nodiscard]] const std::string& text_so_far() const {
    return replay ? replay->text_so_far() : text;
  }
};

/// One call under way, for all who asked for it.
struct flight {
  using time_point = deadline::clock::time_point;

  struct waiter {
    call_id id;
    deadline due;
    time_point asked;
    owned_promise<llm_result> caller;
  };

  /// An attempt that is not answered yet.
  struct outstanding {
    /// Its place in `attempts`.
    size_t index = 0;
    call_id id;
    /// Of whom it was asked.
    size_t target = 0;
    circuit_breaker::pass pass;
    permit granted;
  };

  llm_request request;
  /// The ID, tenant and priority of the first who asked; due when the last of them wants it.
  call_context context;
  /// Of its attempts, and never a root's: to cancel one must not cancel others of the same root.
  call_id attempt_id;
  /// What others find it by; empty for a call of its own.
  std::string key;
  std::vector<waiter> waiters;
  time_point begin;
  /// Of the model that its callers asked for.
  model_metrics* counts = nullptr;
  size_t target = 0;
  /// Attempts at the target, without hedges.
  size_t tries = 0;
  retry_state retries;
  std::vector<attempt> attempts;
  std::vector<outstanding> live;
  /// The last attempt that was no hedge.
  size_t primary = 0;
  uint64_t hedges = 0;
  /// Asked for and not answered yet.
  size_t permits_wanted = 0;
  bool is_over = false;
  std::optional<flight_stream> stream;

  /// What a flight's timers are for.
  enum purpose : size_t { next_attempt, hedge, late_waiter, first_token };

  std::array<uint32_t, 4> timer_stamps{};
};

using flight_ptr = std::shared_ptr<flight>;

/// All of them.
class flight_table {
public:
  using time_point = flight::time_point;

  /// Sees every answer, with null for a good one.
  using observer = std::function<void(const flight&, const flight::waiter&, const caf::error*)>;

  explicit flight_table(observer on_answer) : on_answer_(std::move(on_answer)) {}

  /// A new flight with its first waiter. `key` may be empty.
  flight_ptr start(llm_request request, call_context context, std::string key,
      owned_promise<llm_result> caller, time_point now);

  /// The flight under way for a key, or null.
  [[nodiscard]] flight_ptr find(const std::string& key) const;

  /// One more who waits. The flight goes on until the last of them wants it.
  void join(const flight_ptr& to, const call_context& context, owned_promise<llm_result> caller,
      time_point now);

  /// Takes those out who wait under this ID (a step of zero: under its root), and tells them `why`.
  /// The result is the flights that nobody waits for any more.
  std::vector<flight_ptr> leave(const call_id& id, const caf::error& why);

  /// Takes those out whose deadline has passed, if the flight goes on for others.
  void drop_late_waiters(const flight_ptr& from, time_point now);

  /// Answers all who wait, and forgets the flight.
  void land(const flight_ptr& done, caf::expected<llm_result> result);

  [[nodiscard]] std::vector<flight_ptr> all() const;
  [[nodiscard]] size_t size() const { return by_id_.size(); }

  // -- timers ---------------------------------------------------------------------

  /// Looks at the flight again at that time. A later call for the same purpose replaces it.
  void wake(const flight_ptr& what, flight::purpose purpose, time_point at);

  void drop_timer(flight& of, flight::purpose purpose) { ++of.timer_stamps[purpose]; }

  struct due_timer {
    flight_ptr what;
    flight::purpose purpose;
  };

  /// The next timer that is due, removed.
  std::optional<due_timer> pop_due(time_point now);

  /// When to call pop_due next.
  [[nodiscard]] time_point next_wake() const { return timers_.next(); }

private:
  struct timer {
    std::weak_ptr<flight> what;
    flight::purpose purpose;
    uint32_t stamp;
  };

  static bool is_live(const timer& x);
  void forget(const flight::waiter& who, const flight* in);
  void answer(const flight& of, flight::waiter& who, caf::expected<llm_result> answer);

  observer on_answer_;

  /// By who waits: a shared flight has several entries.
  std::unordered_multimap<call_id, flight_ptr> by_id_;
  std::unordered_map<std::string, std::weak_ptr<flight>> by_key_;
  deadline_heap<timer> timers_;
};

} // namespace chainmail

// The state of the leasing limiter actor: what its two halves share.
#pragma once

#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/limits/callers.hpp>
#include <chainmail/limits/fallback_limits.hpp>
#include <chainmail/limits/known_shares.hpp>
#include <chainmail/limits/lease_pool.hpp>
#include <chainmail/limits/leasing_limiter.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace chainmail {

/// Callers wait in the pools of their key and tenant. Pools ask the central limiter, or while that
/// does not answer the fallback, one question at a time each.
struct leasing_limiter_state {
  using time_point = lease_pool::time_point;

  static constexpr const char* name = "chainmail.leasing_limiter";

  /// A question that was not answered yet: to the central limiter, or without an ID to the fallback.
  struct open_question {
    lease_pool::question what;
    call_id id;
    bool is_cancelled = false;
  };

  struct pool_state {
    lease_pool pool;
    std::optional<open_question> asked;
    /// Answers of the central limiter that may come, also to questions that were dropped.
    size_t pending = 0;
  };
  /// By key and tenant.
  using pools_map = std::map<std::pair<std::string, std::string>, pool_state>;

  struct waiting_call {
    pools_map::pointer of;
    call_id id;
    caf::actor_addr holder;
    caf::typed_response_promise<permit> caller;
  };
  using waiting_map = std::unordered_map<uint64_t, waiting_call>;

  struct granted {
    pools_map::pointer of;
    lease_pool::grant what;
    caf::actor_addr holder;
  };
  using permits_map = std::unordered_map<uint64_t, granted>;

  leasing_limiter_state(rate_limiter_actor::pointer self_ptr, rate_limiter_actor central_limiter,
      leasing_options chosen)
    : self(self_ptr), central(std::move(central_limiter)), options(chosen) {}

  rate_limiter_actor::behavior_type make_behavior();

  // -- waiting ---------------------------------------------------------------------------

  auto is_waiting() {
    return [this](uint64_t number) { return waiting.contains(number); };
  }

  caf::result<permit> wait(const demand& what, const call_context& context);
  /// Out of everything but its pool and its holder's list.
  waiting_call take_out(waiting_map::iterator found);
  void refuse(uint64_t number, caf::error why);
  void serve(pools_map::pointer of);

  // -- asking ----------------------------------------------------------------------------

  lease_demand question(const std::string& key, uint32_t count, int64_t tokens);
  void ask(pools_map::pointer of, lease_pool::question what);
  /// Takes a question back that is for nobody any more, or that has to be asked more urgently.
  void withdraw(pools_map::pointer of);
  void on_lease(pools_map::pointer of, const call_id& id, const lease& got);
  void on_refused(pools_map::pointer of, const call_id& id, const caf::error& why);
  /// A question was answered by an error.
  void refuse_all(pools_map::pointer of, const caf::error& why);

  // -- without the central limiter -------------------------------------------------------

  void fall_back(const std::string& key);
  /// The central limiter answers.
  void come_back();
  void serve_all();
  void answer_all();
  void answer_from_fallback(const std::string& key);
  void retry();
  /// A question that is answered at once, by whoever answers at all.
  void ask_for_share(const std::string& key);
  void on_share(const limiter_share& share);
  void on_no_answer(const std::string& key);
  void on_central_down();

  // -- settling --------------------------------------------------------------------------

  void settle(permits_map::iterator found, const permit_report& report);
  /// Reports everything, and forgets pools that are not used.
  void tell();
  /// A report for the central limiter, when it comes back.
  void keep(const lease_report& report);
  void on_alarm();
  void on_holder_down(const caf::actor_addr& gone);

  rate_limiter_actor::pointer self;
  /// Null once it is gone.
  rate_limiter_actor central;
  leasing_options options;
  time_point started_at = self->clock().now();
  pools_map pools;
  waiting_map waiting;
  permits_map permits;
  callers who{self};
  deadline_heap<uint64_t> dues;
  size_t unreported = 0;
  known_shares shares;
  /// While the central limiter does not answer.
  std::optional<fallback_limits> fallback;
  std::vector<lease_report> late_reports;
  /// Of what to ask to see whether it answers again, and when.
  std::string retry_key;
  time_point retry_at = time_point::max();
  bool is_retrying = false;
  /// Reports on permits of a limiter that was there before must meet nothing here.
  uint64_t next_number = call_id::make().root;
  /// Callers that wait outlive the last handle.
  rate_limiter_actor while_waiting;
  alarm timer{self, [this] { on_alarm(); }};
};

} // namespace chainmail

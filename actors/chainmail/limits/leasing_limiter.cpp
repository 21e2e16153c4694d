// The leasing limiter actor: callers wait in the pools of their key and tenant.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/limits/callers.hpp>
#include <chainmail/limits/fallback_limits.hpp>
#include <chainmail/limits/known_shares.hpp>
#include <chainmail/limits/lease_pool.hpp>
#include <chainmail/limits/leasing_limiter.hpp>
#include <chainmail/limits/wake_timer.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace chainmail {

namespace {

using time_point = lease_pool::time_point;

constexpr size_t longest_name = 1'000;
constexpr size_t most_permits = 100'000;
constexpr size_t most_idle_pools = 1'000;
constexpr int64_t most_tokens = int64_t{1} << 40;

/// Reports go together: so late, or so many.
constexpr std::chrono::milliseconds report_every{50};
constexpr size_t reports_together = 32;

/// How often the central limiter is tried while it does not answer, and how long it is waited for.
constexpr std::chrono::seconds retry_every{1};
constexpr std::chrono::seconds retry_timeout{2};

/// Reports that wait for it to come back; those beyond are lost.
constexpr size_t most_late_reports = 10'000;

caf::error central_is_gone() {
  return make_failure(errc::unavailable,
      "the central rate limiter is gone: connect to it again and spawn a new leasing limiter");
}

/// Whether an error means that the central limiter was not reached.
bool is_loss(const caf::error& why) {
  return why == errc::unavailable || why == errc::shut_down || why == errc::timed_out;
}

struct leasing_limiter_state {
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

  rate_limiter_actor::behavior_type make_behavior() {
    self->set_down_handler([this](const caf::down_msg& down) {
      if (central && down.source == central.address())
        on_central_down();
      else
        on_holder_down(down.source);
    });
    self->monitor(central);
    return {
        [this](acquire_atom, const demand& what, const call_context& context) {
          return wait(what, context);
        },
        [this](settle_atom, uint64_t id, const permit_report& report) {
          if (auto found = permits.find(id); found != permits.end())
            settle(found, report);
        },
        [this](lease_atom, lease_demand& what, call_context& context) -> caf::result<lease> {
          if (!central)
            return central_is_gone();
          auto caller = self->make_response_promise<lease>();
          return caller.delegate(central, lease_atom_v, std::move(what), std::move(context));
        },
        [this](settle_atom, const lease_report& report) {
          if (central)
            compat::send(self, central, settle_atom_v, report);
        },
        [this](share_atom, const limiter_share& share) { on_share(share); },
        [this](cancel_atom, const call_id& id) {
          for (auto number : who.waiting_as(id))
            refuse(
                number, make_failure(errc::cancelled, "the caller gave up waiting for a permit"));
          if (central && id)
            compat::send(self, central, cancel_atom_v, id);
        },
        [this](status_atom) -> caf::result<limiter_status> {
          if (fallback)
            return fallback->status(self->clock().now());
          auto caller = self->make_response_promise<limiter_status>();
          return caller.delegate(central, status_atom_v);
        },
    };
  }

  // -- waiting ---------------------------------------------------------------------------

  auto is_waiting() {
    return [this](uint64_t number) { return waiting.contains(number); };
  }

  caf::result<permit> wait(const demand& what, const call_context& context) {
    auto now = self->clock().now();
    auto holder = self->current_sender();
    if (!holder)
      return make_failure(errc::invalid_input,
          "a permit must have a holder: send a request from an actor that waits for the answer");
    if (what.key.size() > longest_name || context.tenant.size() > longest_name)
      return make_failure(errc::invalid_input,
          "the key or the tenant of a request has more than " + std::to_string(longest_name) +
              " bytes: name the endpoint and the model, not the request");
    if (context.due.has_passed(now))
      return make_failure(
          errc::rate_limited, "the deadline had passed before a permit was asked for");
    if (waiting.size() >= options.max_waiting || permits.size() >= most_permits)
      return make_failure(
          errc::overloaded, "the leasing limiter has as many requests as it takes (" +
                                std::to_string(waiting.size()) + " wait, " +
                                std::to_string(permits.size()) + " are out): try again later");
    if (pools.size() > most_idle_pools)
      timer.at(now + report_every); // which forgets those that are not used
    auto number = next_number++;
    auto* of = &*pools.try_emplace({what.key, context.tenant}).first;
    auto caller = self->make_response_promise<permit>();
    waiting.emplace(number, waiting_call{of, context.id, holder->address(), caller});
    who.add(number, context.id, holder);
    while_waiting = self;
    if (!context.due.is_never()) {
      dues.push(context.due.at, number, waiting.size(), is_waiting());
      timer.at(dues.next());
    }
    of->second.pool.push({number, context.priority, what.is_retry,
                             std::clamp<int64_t>(what.tokens, 1, most_tokens), context.due.at},
        now);
    shares.on_use(what.key, now);
    serve(of);
    answer_from_fallback(what.key);
    return caller;
  }

  /// Out of everything but its pool and its holder's list.
  waiting_call take_out(waiting_map::iterator found) {
    auto call = std::move(found->second);
    who.stop_waiting(found->first, call.id);
    waiting.erase(found);
    if (waiting.empty())
      while_waiting = nullptr;
    return call;
  }

  void refuse(uint64_t number, caf::error why) {
    auto found = waiting.find(number);
    if (found == waiting.end())
      return;
    auto call = take_out(found);
    who.forget(number, call.holder);
    call.of->second.pool.erase(number);
    call.caller.deliver(std::move(why));
    withdraw(call.of);
  }

  void serve(pools_map::pointer of) {
    auto& pool = of->second.pool;
    pool.return_unused(self->clock().now());
    while (auto next = pool.next()) {
      auto call = take_out(waiting.find(next->number));
      permits.emplace(next->number, granted{of, *next, call.holder});
      call.caller.deliver(permit{next->number});
    }
    if (of->second.asked)
      withdraw(of);
    if (!of->second.asked)
      if (auto what = pool.wants(self->clock().now()))
        ask(of, std::move(*what));
    timer.at(pool.expires_at());
  }

  // -- asking ----------------------------------------------------------------------------

  void ask(pools_map::pointer of, lease_pool::question what) {
    const auto& [key, tenant] = of->first;
    if (fallback) {
      if (what.calls.empty())
        return; // no stock of what is scarce
      fallback->ask(key, tenant, what, self->clock().now());
      of->second.asked = open_question{std::move(what), {}};
      return;
    }
    call_context context;
    context.id = call_id::make();
    context.due.at = what.due;
    context.tenant = tenant;
    context.priority = what.priority;
    auto wanted = shares.question(key, what.permits, what.tokens, self->clock().now());
    of->second.asked = open_question{std::move(what), context.id};
    ++of->second.pending;
    compat::request(self, central, lease_atom_v, std::move(wanted), context)
        .then([this, of, id = context.id](const lease& got) { on_lease(of, id, got); },
            [this, of, id = context.id](const caf::error& why) { on_refused(of, id, why); });
  }

  /// Takes a question back that is for nobody any more, or that has to be asked more urgently.
  void withdraw(pools_map::pointer of) {
    auto& asked = of->second.asked;
    if (!asked || asked->is_cancelled)
      return;
    const auto& pool = of->second.pool;
    auto is_stock = asked->what.calls.empty();
    auto is_wrong =
        pool.waiting() == 0 ? !is_stock : is_stock || pool.first_priority() > asked->what.priority;
    if (!is_wrong)
      return;
    if (fallback) {
      fallback->give_up(of->first.first, of->first.second);
      asked.reset();
    } else {
      asked->is_cancelled = true;
      compat::send(self, central, cancel_atom_v, asked->id);
    }
  }

  void on_lease(pools_map::pointer of, const call_id& id, const lease& got) {
    auto now = self->clock().now();
    --of->second.pending;
    if (of->second.asked && of->second.asked->id == id)
      of->second.asked.reset();
    of->second.pool.add(got, now);
    on_share(got.share);
    serve(of);
  }

  void on_refused(pools_map::pointer of, const call_id& id, const caf::error& why) {
    --of->second.pending;
    if (!of->second.asked || of->second.asked->id != id)
      return; // it was dropped
    auto error = to_failure(why, "the central rate limiter");
    if (is_loss(error))
      fall_back(of->first.first);
    else
      refuse_all(of, error);
  }

  /// A question was answered by an error.
  void refuse_all(pools_map::pointer of, const caf::error& why) {
    auto asked = std::exchange(of->second.asked, std::nullopt);
    if (why == errc::invalid_input)
      refuse(asked->what.largest, why);
    else if (why != errc::cancelled)
      for (auto number : asked->what.calls)
        refuse(number, why);
    // A stock that cannot be had is asked for when the next caller comes.
    if (of->second.pool.waiting() > 0)
      serve(of);
  }

  // -- without the central limiter -------------------------------------------------------

  void fall_back(const std::string& key) {
    if (fallback)
      return;
    auto now = self->clock().now();
    fallback.emplace(shares.claim(now), now);
    retry_key = key;
    retry_at = now + retry_every;
    timer.at(retry_at);
    for (auto& [key_and_tenant, state] : pools) {
      state.pool.return_unused(now);
      for (const auto& report : state.pool.take_reports())
        keep(report);
      auto [permits_left, tokens_left] = state.pool.unused();
      fallback->charge(key_and_tenant.first, {static_cast<int64_t>(permits_left), tokens_left},
          permits_left + state.pool.in_flight(), now);
      if (state.asked && central)
        compat::send(self, central, cancel_atom_v, state.asked->id);
      state.asked.reset();
    }
    serve_all();
  }

  /// The central limiter answers.
  void come_back() {
    if (!fallback || !central)
      return;
    fallback.reset();
    for (auto& [key_and_tenant, state] : pools)
      state.asked.reset();
    for (const auto& report : std::exchange(late_reports, {}))
      compat::send(self, central, settle_atom_v, report);
    for (const auto& key : shares.claimed_keys())
      ask_for_share(key);
    serve_all();
  }

  void serve_all() {
    for (auto& of : pools)
      serve(&of);
    answer_all();
  }

  void answer_all() {
    if (fallback)
      for (auto& of : pools)
        answer_from_fallback(of.first.first);
  }

  void answer_from_fallback(const std::string& key) {
    if (!fallback)
      return;
    auto now = self->clock().now();
    while (auto got = fallback->next(key, now)) {
      auto* of = &*pools.find({key, got->tenant});
      if (got->refusal) {
        refuse_all(of, got->refusal);
      } else {
        of->second.asked.reset();
        of->second.pool.add(got->granted, now);
        serve(of);
      }
    }
    timer.at(fallback->next_at(key));
  }

  void retry() {
    is_retrying = true;
    ask_for_share(retry_key);
  }

  /// A question that is answered at once, by whoever answers at all.
  void ask_for_share(const std::string& key) {
    auto what = shares.question(key, 0, 0, self->clock().now());
    compat::request_within(
        retry_timeout, self, central, lease_atom_v, std::move(what), call_context{})
        .then([this](const lease& got) { on_share(got.share); },
            [this, key](const caf::error& why) {
              is_retrying = false;
              if (is_loss(to_failure(why, "the central rate limiter")))
                on_no_answer(key);
              else
                come_back();
            });
  }

  void on_share(const limiter_share& share) {
    is_retrying = false;
    shares.tell(share, self->clock().now());
    timer.at(shares.due_at());
    come_back();
  }

  void on_no_answer(const std::string& key) {
    if (fallback)
      timer.at(retry_at = self->clock().now() + retry_every);
    else
      fall_back(key);
  }

  void on_central_down() {
    central = nullptr;
    fall_back({});
  }

  // -- settling --------------------------------------------------------------------------

  void settle(permits_map::iterator found, const permit_report& report) {
    auto x = std::move(found->second);
    who.forget(found->first, x.holder);
    permits.erase(found);
    x.of->second.pool.settle(x.what, report);
    ++unreported;
    if (report.use == permit_use::rate_limited) {
      for (auto& [key_and_tenant, state] : pools)
        if (key_and_tenant.first == x.of->first.first)
          state.pool.return_unused(time_point::max());
      tell();
    } else if (unreported >= reports_together) {
      tell();
    } else {
      timer.at(self->clock().now() + report_every);
    }
  }

  /// Reports everything, and forgets pools that are not used.
  void tell() {
    unreported = 0;
    for (auto i = pools.begin(); i != pools.end();) {
      const auto& [key, tenant] = i->first;
      for (const auto& report : i->second.pool.take_reports()) {
        if (fallback)
          fallback->settle(key, tenant, report, self->clock().now());
        if (!fallback)
          compat::send(self, central, settle_atom_v, report);
        else if (!fallback->owns(report.id))
          keep(report);
      }
      auto is_idle = i->second.pool.is_empty() && !i->second.asked && i->second.pending == 0;
      i = is_idle && pools.size() > most_idle_pools ? pools.erase(i) : std::next(i);
    }
    answer_all();
  }

  /// A report for the central limiter, when it comes back.
  void keep(const lease_report& report) {
    if (central && late_reports.size() < most_late_reports)
      late_reports.push_back(report);
  }

  void on_alarm() {
    auto now = self->clock().now();
    while (auto number = dues.pop_due(now, is_waiting()))
      refuse(*number, make_failure(errc::rate_limited,
                          "the deadline passed while the request waited for a lease of the central "
                          "rate limiter"));
    timer.at(dues.next());
    for (auto& [key_and_tenant, state] : pools) {
      state.pool.return_unused(now);
      timer.at(state.pool.expires_at());
    }
    tell();
    if (fallback && central && !is_retrying) {
      if (retry_at <= now)
        retry();
      else
        timer.at(retry_at);
    }
    if (!fallback && shares.due_at() <= now)
      for (const auto& key : shares.take_due(now))
        ask_for_share(key);
    if (!fallback)
      timer.at(shares.due_at());
  }

  void on_holder_down(const caf::actor_addr& gone) {
    for (auto number : who.take(gone))
      if (auto found = permits.find(number); found != permits.end())
        // Its request may have been sent.
        settle(found, {permit_use::failed, -1, {}, {}});
      else
        refuse(number, make_failure(errc::cancelled, "the caller went down while it waited"));
  }

  rate_limiter_actor::pointer self;
  /// Null once it is gone.
  rate_limiter_actor central;
  leasing_options options;
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
  wake_timer timer{self, [this] { on_alarm(); }};
};

} // namespace

rate_limiter_actor spawn_leasing_limiter(
    caf::actor_system& system, rate_limiter_actor central, leasing_options options) {
  if (!central)
    throw std::invalid_argument{"a leasing limiter needs the handle of a central one"};
  if (options.max_waiting == 0)
    throw std::invalid_argument{"leasing_options::max_waiting must be at least 1"};
  return system.spawn<caf::stateful_actor<leasing_limiter_state, rate_limiter_actor::impl>>(
      std::move(central), options);
}

} // namespace chainmail

// The guard actor: each call goes through cache, single flight, breaker, permit, attempt, hedge,
// retry and fallback, in this order.
#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/log.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/llm/guard_flights.hpp>
#include <chainmail/llm/guard_metrics.hpp>
#include <chainmail/llm/guard_rules.hpp>
#include <chainmail/llm/guard_target_state.hpp>
#include <chainmail/llm/guarded.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <algorithm>
#include <random>
#include <stdexcept>

namespace chainmail {

namespace {

struct guard_state {
  static constexpr const char* name = "chainmail.guard";

  using actor_type = hub_actor<llm_actor, guard_state>;

  guard_state(actor_type* self_ptr, std::vector<guard_target> all, guard_options opts)
    : self(self_ptr), options(std::move(opts)), counts(self_ptr->system(), options.prices) {
    for (auto& target : all)
      targets.emplace_back(self->system(), std::move(target), options);
    if (options.cache)
      cache.emplace(*options.cache);
  }

  guard_state(const guard_state&) = delete;
  guard_state& operator=(const guard_state&) = delete;

  /// Killed, it can no longer send by itself.
  ~guard_state() {
    for (const auto& what : flights.all())
      for (const auto& x : what->live)
        compat::anon_send(targets[x.target].target.llm, cancel_atom_v, x.id);
  }

  hub<llm_actor>::behavior_type make_behavior() {
    compat::on_exit(self, [this](caf::exit_msg& message) {
      is_exiting = true;
      auto why = make_failure(errc::shut_down, "the LLM's guard was told to exit");
      for (const auto& what : flights.all())
        give_up(what, why);
      self->quit(std::move(message.reason));
    });
    return {
        [this](generate_atom, llm_request& request, call_context& context) {
          return generate(std::move(request), std::move(context));
        },
        [](stream_atom, const llm_request&, const sink_actor&,
            const call_context&) -> caf::result<llm_result> {
          return make_failure(
              errc::unsupported, "the guard does not stream yet: send a generate instead");
        },
        [this](cancel_atom, const call_id& id) {
          auto why = make_failure(errc::cancelled, "the caller gave the call up");
          for (const auto& what : flights.leave(id, why))
            withdraw(what);
          rest();
        },
        replies.on_reply(),
    };
  }

  // -- taking calls ---------------------------------------------------------------------

  caf::result<llm_result> generate(llm_request request, call_context context) {
    auto now = self->clock().now();
    auto& counted = counts.of(targets.front().target, request);
    counted.calls.begin();
    if (context.due.has_passed(now))
      return refuse(counted, context,
          make_failure(errc::timed_out, "the deadline passed before the LLM was asked"));
    if (flights.size() >= options.max_calls)
      return refuse(counted, context,
          make_failure(errc::overloaded,
              "the LLM's guard has " + std::to_string(options.max_calls) + " calls under way"));
    auto key = key_of(request);
    if (cache && !key.empty())
      if (const auto* found = cache->find(key, now)) {
        counted.cache_hits.add();
        counted.calls.end({});
        return *found;
      }
    auto caller = self->make_response_promise<llm_result>();
    if (!key.empty())
      if (auto shared = flights.find(key)) {
        counted.shared_calls.add();
        flights.join(shared, context, caller, now);
        set_alarm();
        return caller;
      }
    auto what = flights.start(std::move(request), std::move(context), std::move(key), caller, now);
    what->counts = &counted;
    while_busy = self;
    if (cache && options.store && !what->key.empty())
      look_up(what);
    else
      proceed(what);
    return caller;
  }

  caf::error refuse(model_metrics& counted, const call_context& context, caf::error why) {
    counted.calls.end({}, code_of(why));
    log_failure(self->system(), "guard", context.id, {}, why);
    return why;
  }

  void on_answer(const flight& of, const flight::waiter& to, const caf::error* why) {
    auto took = self->clock().now() - to.asked;
    if (why == nullptr)
      return of.counts->calls.end(took);
    of.counts->calls.end(took, code_of(*why));
    if (!is_exiting)
      log_failure(self->system(), "guard", to.id, took, *why);
  }

  model_metrics& counts_at(const flight& of, size_t target) {
    return counts.of(targets[target].target, of.request);
  }

  /// Empty for a request whose answer is its own.
  [[nodiscard]] std::string key_of(const llm_request& request) const {
    const auto& first = targets.front().target;
    if (!cache && !options.single_flight)
      return {};
    auto shares_all = cache && !options.cache->only_deterministic;
    if (!shares_all && !is_deterministic(request, first.defaults))
      return {};
    return cache_key(first.name, request, first.defaults);
  }

  void look_up(const flight_ptr& what) {
    // A store that does not answer must not cost the call its time.
    constexpr auto patience = std::chrono::seconds{1};
    deadline due{std::min(what->context.due.at, self->clock().now() + patience)};
    replies.ask<llm_result>(
        options.store, due,
        [this, what](llm_result& found) {
          if (what->is_over)
            return;
          found.is_cached = true;
          what->counts->cache_hits.add();
          cache->insert(what->key, found, self->clock().now());
          flights.land(what, std::move(found));
          rest();
        },
        [this, what](caf::error&) {
          if (!what->is_over)
            proceed(what);
        },
        load_atom_v, what->key);
  }

  // -- attempts ---------------------------------------------------------------------------

  /// Makes the next attempt at the flight's target, when its breaker lets it through.
  void proceed(const flight_ptr& what) {
    auto now = self->clock().now();
    auto& target = targets[what->target];
    if (auto pass = target.allow(now))
      return target.asks_limiter() ? ask_permit(what, *pass, false)
                                   : send(what, *pass, permit{}, false);
    auto why = make_failure(errc::unavailable,
        target.name_for(what->request) +
            " failed too often lately, and is left alone until an attempt at it succeeds");
    note_refusal(*what, why);
    if (what->target + 1 < targets.size())
      return fall_back(what);
    // While a probe is out, its verdict is near: the back-off alone will do.
    auto is_open = target.breaker->current(now) == circuit_breaker::mode::open;
    retry_later(what, why, is_open ? target.breaker->retry_at() : now);
  }

  void ask_permit(const flight_ptr& what, circuit_breaker::pass pass, bool is_hedge) {
    auto index = what->target;
    auto& target = targets[index];
    auto context = what->context;
    context.id = what->attempt_id;
    if (is_hedge) // which is only worth it soon
      context.due.at = std::min(context.due.at, self->clock().now() + std::chrono::seconds{1});
    auto is_retry = what->retries.failures + what->retries.rate_limited > 0;
    demand wanted{target.name_for(what->request), target.estimate(what->request), is_retry};
    ++what->permits_wanted;
    auto asked = self->clock().now();
    replies.ask<permit>(
        options.limiter, context.due,
        [this, what, index, pass, is_hedge, asked](permit& granted) {
          --what->permits_wanted;
          counts_at(*what, index).limiter_wait.observe(self->clock().now() - asked);
          if (!what->is_over && (!is_hedge || what->live.size() == 1))
            return send(what, pass, granted, is_hedge);
          targets[index].abandoned(pass, self->clock().now());
          settle(granted, {permit_use::unused, -1, {}, {}});
        },
        [this, what, index, pass, is_hedge](caf::error& why) {
          --what->permits_wanted;
          targets[index].abandoned(pass, self->clock().now());
          if (what->is_over || is_hedge)
            return;
          note_refusal(*what, why);
          // A limiter that is gone may be started again.
          if (is_retryable(code_of(why)) && why != errc::rate_limited && why != errc::timed_out)
            retry_later(what, why);
          else
            fail(what, why);
        },
        acquire_atom_v, std::move(wanted), context);
  }

  void send(const flight_ptr& what, circuit_breaker::pass pass, permit granted, bool is_hedge) {
    auto now = self->clock().now();
    auto& target = targets[what->target];
    auto context = what->context;
    context.due.at = std::min(context.due.at, now + options.retry.attempt_timeout);
    auto index = what->attempts.size();
    context.id = is_hedge ? what->attempt_id.child(what->hedges++) : what->attempt_id;
    auto& counted = counts_at(*what, what->target);
    counted.attempts.add();
    if (is_hedge) {
      counted.hedges.add();
    } else {
      what->primary = index;
      if (what->tries++ > 0)
        counted.retries.add();
    }
    auto& made = what->attempts.emplace_back();
    made.target = target.name_for(what->request);
    made.started = now - what->begin;
    made.is_hedge = is_hedge;
    what->live.push_back({index, context.id, what->target, pass, granted});
    if (target.hedge && !is_hedge) {
      target.hedge->sent();
      if (auto delay = target.hedge->delay())
        wake(what, flight::hedge, now + *delay);
    }
    auto request = what->request;
    if (target.target.model)
      request.parameters.model = target.target.model;
    replies.ask<llm_result>(
        target.target.llm, context.due,
        [this, what, index](llm_result& result) { on_result(what, index, result); },
        [this, what, index](caf::error& why) { on_error(what, index, why); }, generate_atom_v,
        std::move(request), std::move(context));
  }

  void on_result(const flight_ptr& what, size_t index, llm_result& result) {
    auto now = self->clock().now();
    auto done = take_live(*what, index);
    auto& target = targets[done.target];
    target.answered(done.pass, result, now);
    counts_at(*what, done.target).use(result.usage);
    auto tokens = result.usage.total_tokens > 0 ? result.usage.total_tokens : -1;
    settle(done.granted, {permit_use::answered, tokens, {}, result.limits});
    retry.succeeded();
    if (what->is_over)
      return;
    what->attempts[index].took = now - what->begin - what->attempts[index].started;
    if (target.hedge)
      target.hedge->answered(now - what->begin - what->attempts[what->primary].started);
    keep(*what, result, now);
    result.attempts = std::move(what->attempts);
    flights.land(what, std::move(result));
    withdraw(what);
    rest();
  }

  void keep(const flight& what, const llm_result& result, flight::time_point now) {
    if (!cache || what.key.empty() || what.target != 0) // a fallback's answer is second best
      return;
    cache->insert(what.key, result, now);
    if (options.store)
      compat::send(self, options.store, save_atom_v, what.key, result, options.cache->time_to_live);
  }

  void on_error(const flight_ptr& what, size_t index, caf::error& why) {
    auto now = self->clock().now();
    auto done = take_live(*what, index);
    auto code = code_of(why);
    auto detail = detail_of(why).value_or(error_detail{});
    // A caller without patience says nothing of the endpoint.
    auto had_time = !what->context.due.has_passed(now);
    targets[done.target].failed(done.pass, code, had_time, detail, now);
    settle(done.granted, report_of(code, detail));
    if (what->is_over)
      return;
    auto& made = what->attempts[index];
    made.code = code;
    made.http_status = detail.http_status;
    made.reason = sentence_of(why);
    made.took = now - what->begin - made.started;
    if (!what->live.empty())
      return; // the other one may still be answered
    flights.drop_timer(*what, flight::hedge);
    // The limiter, which was told, holds the whole key back for as long as the endpoint said.
    auto limiter_waits =
        why == errc::rate_limited && done.granted.id != 0 && detail.retry_after.has_value();
    retry_later(what, why, {}, limiter_waits);
  }

  // -- after a failure --------------------------------------------------------------------

  /// Tries again when the policy allows it, else elsewhere, else fails. Backs off from `earliest`,
  /// if that is later: calls that wait for the same moment do not all come at it.
  void retry_later(const flight_ptr& what, const caf::error& why, flight::time_point earliest = {},
      bool limiter_waits = false) {
    auto now = self->clock().now();
    if (!is_retryable(code_of(why)))
      return fail(what, why);
    auto delay = retry.next(what->retries, why, now, what->context.due);
    if (!delay)
      return fail(what, why);
    auto at = limiter_waits ? now : std::max(now, earliest) + *delay;
    if (what->context.due.has_passed(at))
      return fail(what, why);
    if (at <= now)
      return proceed(what);
    wake(what, flight::next_attempt, at);
  }

  /// The target failed for good: asks the next one, or answers with the error.
  void fail(const flight_ptr& what, const caf::error& why) {
    auto is_late = what->context.due.has_passed(self->clock().now());
    if (what->target + 1 < targets.size() && !is_late && may_fall_back(code_of(why)))
      return fall_back(what);
    flights.land(what, with_attempts(why, std::move(what->attempts)));
    rest();
  }

  void fall_back(const flight_ptr& what) {
    counts_at(*what, what->target).fallbacks.add();
    ++what->target;
    what->tries = 0;
    what->retries = {};
    proceed(what);
  }

  /// Ends a flight that still has waiters.
  void give_up(const flight_ptr& what, const caf::error& why) {
    flights.land(what, why);
    withdraw(what);
    rest();
  }

  /// Stops what a flight still has outstanding: for one that is over, or about to be.
  void withdraw(const flight_ptr& what) {
    what->is_over = true;
    for (const auto& x : what->live)
      compat::send(self, targets[x.target].target.llm, cancel_atom_v, x.id);
    if (what->permits_wanted > 0)
      compat::send(self, options.limiter, cancel_atom_v, what->attempt_id);
  }

  // -- timers -----------------------------------------------------------------------------

  void on_alarm() {
    auto now = self->clock().now();
    while (auto due = flights.pop_due(now)) {
      if (due->purpose == flight::next_attempt)
        proceed(due->what);
      else if (due->purpose == flight::late_waiter)
        flights.drop_late_waiters(due->what, now);
      else
        send_hedge(due->what);
    }
    set_alarm();
    rest();
  }

  void send_hedge(const flight_ptr& what) {
    auto& target = targets[what->target];
    if (what->live.size() != 1)
      return;
    auto pass = target.allow(self->clock().now());
    if (!pass)
      return;
    if (!target.hedge->spend())
      return target.abandoned(*pass, self->clock().now());
    if (target.asks_limiter())
      ask_permit(what, *pass, true);
    else
      send(what, *pass, permit{}, true);
  }

  void wake(const flight_ptr& what, flight::purpose purpose, flight::time_point at) {
    flights.wake(what, purpose, at);
    set_alarm();
  }

  void set_alarm() { timer.at(flights.next_wake()); }

  // -- bookkeeping ------------------------------------------------------------------------

  static flight::outstanding take_live(flight& of, size_t index) {
    auto found = std::ranges::find(of.live, index, &flight::outstanding::index);
    auto result = *found;
    of.live.erase(found);
    return result;
  }

  /// An attempt that was not made, and why.
  void note_refusal(flight& of, const caf::error& why) {
    // A call that waits long for a breaker must not grow without end.
    constexpr size_t most = 200;
    if (of.attempts.size() >= most)
      return;
    auto& made = of.attempts.emplace_back();
    made.target = targets[of.target].name_for(of.request);
    made.code = code_of(why);
    made.reason = sentence_of(why);
    made.started = self->clock().now() - of.begin;
  }

  void settle(permit granted, const permit_report& report) {
    if (granted.id != 0)
      compat::send(self, options.limiter, settle_atom_v, granted.id, report);
  }

  /// Calls keep the guard alive: one that waits for its next attempt has nobody else who does.
  void rest() {
    if (flights.size() == 0)
      while_busy = nullptr;
  }

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
  llm_actor while_busy;
  alarm timer{self, [this] { on_alarm(); }};
  /// Goes first, with the promises in its handlers.
  reply_table replies{self, "the guard's LLM or limiter"};
};

} // namespace

caf::error check(const guard_options& options) {
  if (options.max_calls == 0)
    return make_failure(errc::invalid_input, "guard_options::max_calls must be at least 1");
  if (options.store && !options.cache)
    return make_failure(
        errc::invalid_input, "guard_options::store needs guard_options::cache to be set, too");
  if (auto error = check(options.retry))
    return error;
  if (auto error = options.breaker ? check(*options.breaker) : caf::error{})
    return error;
  if (auto error = options.hedge ? check(*options.hedge) : caf::error{})
    return error;
  for (const auto& [model, price] : options.prices)
    if (!(price.prompt >= 0 && price.completion >= 0))
      return make_failure(
          errc::invalid_input, "the token prices of '" + model + "' must be 0 or more");
  return options.cache ? check(*options.cache) : caf::error{};
}

llm_actor spawn_guarded(
    caf::actor_system& system, std::vector<guard_target> targets, guard_options options) {
  if (targets.empty())
    throw std::invalid_argument{"a guard needs an LLM to guard"};
  for (const auto& target : targets)
    if (!target.llm)
      throw std::invalid_argument{"a guard needs a valid handle for each LLM"};
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  return system.spawn<logging_actor<guard_state::actor_type>>(
      std::move(targets), std::move(options));
}

} // namespace chainmail

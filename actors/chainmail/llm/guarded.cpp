// The guard actor: each call goes through cache, single flight, breaker, permit, attempt, hedge,
// retry and fallback, in this order. This file has its beginning and end.
#include <chainmail/caf/caller_runs.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/log.hpp>
#include <chainmail/llm/guard_state.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <algorithm>
#include <stdexcept>

namespace chainmail {

guard_state::guard_state(actor_type* self_ptr, std::vector<guard_target> all, guard_options opts)
  : self(self_ptr), options(std::move(opts)), counts(self_ptr->system(), options.prices) {
  for (auto& target : all)
    targets.emplace_back(self->system(), std::move(target), options);
  if (options.cache)
    cache.emplace(*options.cache);
}

guard_state::~guard_state() {
  for (const auto& what : flights.all())
    for (const auto& x : what->live)
      compat::anon_send(targets[x.target].target.llm, cancel_atom_v, x.id);
}

hub<guard_actor>::behavior_type guard_state::make_behavior() {
  compat::on_exit(self, [this](caf::exit_msg& message) {
    is_exiting = true;
    auto why = make_failure(errc::shut_down, "the LLM's guard was told to exit");
    for (const auto& what : flights.all())
      give_up(what, why);
    self->quit(std::move(message.reason));
  });
  compat::on_down(self, [this](const caf::down_msg& down) { on_sink_down(down.source); });
  return {
      replies.on_reply(),
      [this](generate_atom, llm_request& request, call_context& context) {
        return generate(std::move(request), std::move(context));
      },
      [this](stream_atom, llm_request& request, const sink_actor& sink, call_context& context) {
        return stream(std::move(request), sink, std::move(context));
      },
      [this](cancel_atom, const call_id& id) {
        auto why = make_failure(errc::cancelled, "the caller gave the call up");
        for (const auto& what : flights.leave(id, why))
          withdraw(what);
        rest();
      },
      [this](chunk_atom, const call_id& attempt, uint32_t index, std::string& text) {
        return on_chunk(attempt, index, text);
      },
  };
}

// -- taking calls ---------------------------------------------------------------------

caf::result<llm_result> guard_state::generate(llm_request request, call_context context) {
  auto now = self->turn_time();
  auto& counted = counts.of(targets.front().target, request);
  counted.calls.begin();
  if (auto why = refusal_of(context))
    return refuse(counted, context, std::move(why));
  auto key = key_of(request);
  if (cache && !key.empty())
    if (const auto* found = cache->find(key, now)) {
      counted.cache_hits.add();
      counted.calls.end({});
      return *found;
    }
  owned_promise<llm_result> caller{self};
  auto pending = caller.pending();
  if (!key.empty())
    if (auto shared = flights.find(key)) {
      counted.shared_calls.add();
      flights.join(shared, context, std::move(caller), now);
      set_alarm();
      return pending;
    }
  auto what =
      flights.start(std::move(request), std::move(context), std::move(key), std::move(caller), now);
  what->counts = &counted;
  while_busy = self;
  if (cache && options.store && !what->key.empty())
    look_up(what);
  else
    proceed(what);
  return pending;
}

caf::error guard_state::refusal_of(const call_context& context) const {
  if (context.due.has_passed(self->turn_time()))
    return make_failure(errc::timed_out, "the deadline passed before the LLM was asked");
  if (flights.size() >= options.max_calls)
    return make_failure(errc::overloaded,
        "the LLM's guard has " + std::to_string(options.max_calls) + " calls under way");
  return {};
}

caf::error guard_state::refuse(
    model_metrics& counted, const call_context& context, caf::error why) {
  counted.calls.end({}, code_of(why));
  log_failure(self->system(), "guard", context.id, {}, why);
  return why;
}

void guard_state::on_answer(const flight& of, const flight::waiter& to, const caf::error* why) {
  if (of.stream)
    unwatch(of.stream->sink);
  auto took = self->turn_time() - to.asked;
  if (why == nullptr)
    return of.counts->calls.end(took);
  of.counts->calls.end(took, code_of(*why));
  if (!is_exiting)
    log_failure(self->system(), "guard", to.id, took, *why);
}

model_metrics& guard_state::counts_at(const flight& of, size_t target) {
  return counts.of(targets[target].target, of.request);
}

std::string guard_state::key_of(const llm_request& request) const {
  const auto& first = targets.front().target;
  if (!cache && !options.single_flight)
    return {};
  auto shares_all = cache && !options.cache->only_deterministic;
  if (!shares_all && !is_deterministic(request, first.defaults))
    return {};
  return cache_key(first.name, request, first.defaults);
}

void guard_state::look_up(const flight_ptr& what) {
  // A store that does not answer must not cost the call its time.
  constexpr auto patience = std::chrono::seconds{1};
  deadline due{std::min(what->context.due.at, self->turn_time() + patience)};
  replies.ask<llm_result>(
      options.store, due,
      [this, what](llm_result& found) {
        if (what->is_over)
          return;
        found.is_cached = true;
        what->counts->cache_hits.add();
        cache->insert(what->key, found, self->turn_time());
        if (what->stream)
          return replay(what, std::move(found));
        flights.land(what, std::move(found));
        rest();
      },
      [this, what](caf::error&) {
        if (!what->is_over)
          proceed(what);
      },
      load_atom_v, what->key);
}

// -- timers -----------------------------------------------------------------------------

void guard_state::on_alarm() {
  auto now = self->clock().now();
  while (auto due = flights.pop_due(now)) {
    if (due->purpose == flight::next_attempt)
      proceed(due->what);
    else if (due->purpose == flight::late_waiter)
      flights.drop_late_waiters(due->what, now);
    else if (due->purpose == flight::first_token)
      on_silence(due->what);
    else
      send_hedge(due->what);
  }
  set_alarm();
  rest();
}

void guard_state::send_hedge(const flight_ptr& what) {
  auto& target = targets[what->target];
  if (what->live.size() != 1)
    return;
  auto pass = target.allow(self->turn_time());
  if (!pass)
    return;
  if (!target.hedge->spend())
    return target.abandoned(*pass, self->turn_time());
  if (target.asks_limiter())
    ask_permit(what, *pass, true);
  else
    send(what, *pass, permit{}, true);
}

void guard_state::wake(const flight_ptr& what, flight::purpose purpose, flight::time_point at) {
  flights.wake(what, purpose, at);
  set_alarm();
}

// -- bookkeeping ------------------------------------------------------------------------

std::optional<flight::outstanding> guard_state::take_live(flight& of, size_t index) {
  auto found = std::ranges::find(of.live, index, &flight::outstanding::index);
  if (found == of.live.end())
    return std::nullopt;
  if (of.stream)
    streams.erase(found->id);
  auto result = *found;
  of.live.erase(found);
  return result;
}

void guard_state::note_refusal(flight& of, const caf::error& why) {
  // A call that waits long for a breaker must not grow without end.
  constexpr size_t most = 200;
  if (of.attempts.size() >= most)
    return;
  auto& made = of.attempts.emplace_back();
  made.target = targets[of.target].name_for(of.request);
  made.code = code_of(why);
  made.reason = sentence_of(why);
  made.started = self->turn_time() - of.begin;
}

void guard_state::settle(permit granted, const permit_report& report) {
  if (granted.id != 0)
    compat::send(self, options.limiter, settle_atom_v, granted.id, report);
}

void guard_state::rest() {
  if (flights.size() == 0)
    while_busy = nullptr;
}

// -- spawning --------------------------------------------------------------------------------

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
  return system.spawn<light_actor<logging_actor<guard_state::actor_type>>>(
      std::move(targets), std::move(options));
}

} // namespace chainmail

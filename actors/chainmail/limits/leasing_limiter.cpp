// The leasing limiter actor: those who want permits, and what becomes of these.
#include <chainmail/caf/compat.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/limits/leasing_limiter_state.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace chainmail {

namespace {

constexpr size_t most_leased_permits = 100'000;
constexpr size_t most_idle_pools = 1'000;
constexpr int64_t most_leased_tokens = int64_t{1} << 40;

/// Reports go together: so late, or so many.
constexpr std::chrono::milliseconds report_every{50};
constexpr size_t reports_together = 32;

caf::error central_is_gone() {
  return make_failure(errc::unavailable,
      "the central rate limiter is gone: connect to it again and spawn a new leasing limiter");
}

} // namespace

rate_limiter_actor::behavior_type leasing_limiter_state::make_behavior() {
  compat::on_down(self, [this](const caf::down_msg& down) {
    if (central && down.source == central.address())
      on_central_down();
    else
      on_holder_down(down.source);
  });
  compat::monitor(self, central);
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
          refuse(number, make_failure(errc::cancelled, "the caller gave up waiting for a permit"));
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

caf::result<permit> leasing_limiter_state::wait(const demand& what, const call_context& context) {
  auto now = self->clock().now();
  auto holder = self->current_sender();
  if (auto error = refuse_unfit(holder, what.key, context.tenant))
    return error;
  if (context.due.has_passed(now))
    return make_failure(
        errc::rate_limited, "the deadline had passed before a permit was asked for");
  if (waiting.size() >= options.max_waiting || permits.size() >= most_leased_permits)
    return make_failure(errc::overloaded,
        "the leasing limiter has as many requests as it takes (" + std::to_string(waiting.size()) +
            " wait, " + std::to_string(permits.size()) + " are out): try again later");
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
                           std::clamp<int64_t>(what.tokens, 1, most_leased_tokens), context.due.at},
      now);
  shares.on_use(what.key, now);
  serve(of);
  answer_from_fallback(what.key);
  return caller;
}

leasing_limiter_state::waiting_call leasing_limiter_state::take_out(waiting_map::iterator found) {
  auto call = std::move(found->second);
  who.stop_waiting(found->first, call.id);
  waiting.erase(found);
  if (waiting.empty())
    while_waiting = nullptr;
  return call;
}

void leasing_limiter_state::refuse(uint64_t number, caf::error why) {
  auto found = waiting.find(number);
  if (found == waiting.end())
    return;
  auto call = take_out(found);
  who.forget(number, call.holder);
  call.of->second.pool.erase(number);
  call.caller.deliver(std::move(why));
  withdraw(call.of);
}

void leasing_limiter_state::serve(pools_map::pointer of) {
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

void leasing_limiter_state::settle(permits_map::iterator found, const permit_report& report) {
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

void leasing_limiter_state::tell() {
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

void leasing_limiter_state::on_alarm() {
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

void leasing_limiter_state::on_holder_down(const caf::actor_addr& gone) {
  for (auto number : who.take(gone))
    if (auto found = permits.find(number); found != permits.end())
      // Its request may have been sent.
      settle(found, {permit_use::failed, -1, {}, {}});
    else
      refuse(number, make_failure(errc::cancelled, "the caller went down while it waited"));
}

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

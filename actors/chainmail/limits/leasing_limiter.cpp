// The leasing limiter actor: callers wait in the pools of their key and tenant.
#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/limits/callers.hpp>
#include <chainmail/limits/lease_pool.hpp>
#include <chainmail/limits/leasing_limiter.hpp>

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

caf::error central_is_gone() {
  return make_failure(errc::unavailable,
      "the central rate limiter is gone, and with it the leave to send requests: connect to it "
      "again and spawn a new leasing limiter");
}

struct leasing_limiter_state {
  static constexpr const char* name = "chainmail.leasing_limiter";

  /// A question to the central limiter that was not answered yet.
  struct open_question {
    lease_pool::question what;
    call_id id;
    bool is_cancelled = false;
  };

  struct pool_state {
    lease_pool pool;
    std::optional<open_question> asked;
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
        [this](cancel_atom, const call_id& id) {
          for (auto number : who.waiting_as(id))
            refuse(
                number, make_failure(errc::cancelled, "the caller gave up waiting for a permit"));
          if (central && id)
            compat::send(self, central, cancel_atom_v, id);
        },
        [this](status_atom) -> caf::result<limiter_status> {
          if (!central)
            return central_is_gone();
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
    if (!central)
      return central_is_gone();
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
    serve(of);
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
    else if (auto what = pool.wants(self->clock().now()))
      ask(of, std::move(*what));
    timer.at(pool.expires_at());
  }

  // -- asking ----------------------------------------------------------------------------

  void ask(pools_map::pointer of, lease_pool::question what) {
    if (!central)
      return;
    call_context context;
    context.id = call_id::make();
    context.due.at = what.due;
    context.tenant = of->first.second;
    context.priority = what.priority;
    lease_demand wanted{of->first.first, what.permits, what.tokens};
    of->second.asked = open_question{std::move(what), context.id};
    compat::request(self, central, lease_atom_v, std::move(wanted), std::move(context))
        .then(
            [this, of](const lease& got) {
              if (!central)
                return; // and the pool with it
              of->second.asked.reset();
              of->second.pool.add(got, self->clock().now());
              serve(of);
            },
            [this, of](const caf::error& why) { on_refused(of, why); });
  }

  /// Takes a question back that is for nobody any more, or that has to be asked more urgently.
  void withdraw(pools_map::pointer of) {
    auto& asked = of->second.asked;
    if (!asked || asked->is_cancelled || !central)
      return;
    const auto& pool = of->second.pool;
    auto is_stock = asked->what.calls.empty();
    auto is_wrong =
        pool.waiting() == 0 ? !is_stock : is_stock || pool.first_priority() > asked->what.priority;
    if (!is_wrong)
      return;
    asked->is_cancelled = true;
    compat::send(self, central, cancel_atom_v, asked->id);
  }

  void on_refused(pools_map::pointer of, const caf::error& why) {
    auto error = to_failure(why, "the central rate limiter");
    if (central && error == errc::shut_down)
      on_central_down();
    if (!central)
      return; // and the pool with it
    auto asked = std::exchange(of->second.asked, std::nullopt);
    if (error == errc::invalid_input)
      refuse(asked->what.largest, error);
    else if (error != errc::cancelled)
      for (auto number : asked->what.calls)
        refuse(number, error);
    // A stock that cannot be had is asked for when the next caller comes.
    if (of->second.pool.waiting() > 0)
      serve(of);
  }

  void on_central_down() {
    central = nullptr;
    auto left = std::move(waiting);
    waiting.clear();
    pools.clear();
    permits.clear();
    unreported = 0;
    for (auto& [number, call] : left) {
      who.stop_waiting(number, call.id);
      who.forget(number, call.holder);
      call.caller.deliver(central_is_gone());
    }
    while_waiting = nullptr;
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
      for (const auto& report : i->second.pool.take_reports())
        compat::send(self, central, settle_atom_v, report);
      auto is_idle = i->second.pool.is_empty() && !i->second.asked;
      i = is_idle && pools.size() > most_idle_pools ? pools.erase(i) : std::next(i);
    }
  }

  void on_alarm() {
    auto now = self->clock().now();
    while (auto number = dues.pop_due(now, is_waiting()))
      refuse(*number, make_failure(errc::rate_limited,
                          "the deadline passed while the request waited for a lease of the central "
                          "rate limiter"));
    timer.at(dues.next());
    if (!central)
      return;
    for (auto& [key_and_tenant, state] : pools) {
      state.pool.return_unused(now);
      timer.at(state.pool.expires_at());
    }
    tell();
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
  /// Reports on permits of a limiter that was there before must meet nothing here.
  uint64_t next_number = call_id::make().root;
  /// Callers that wait outlive the last handle.
  rate_limiter_actor while_waiting;
  alarm timer{self, [this] { on_alarm(); }};
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

// The rate limiter actor: callers are promises in the queues of their keys, and permits are numbers.
#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/caller_runs.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/caf/metrics.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/limits/callers.hpp>
#include <chainmail/limits/key_limiter.hpp>
#include <chainmail/limits/lease_holders.hpp>
#include <chainmail/limits/lease_shares.hpp>
#include <chainmail/limits/rate_limiter.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>

namespace chainmail {

namespace {

using time_point = key_limiter::time_point;

/// Keys that nobody configured; idle ones are forgotten beyond.
constexpr size_t most_keys = 10'000;

/// Permits and leases that were not settled yet.
constexpr size_t most_permits = 100'000;

constexpr uint32_t most_leased = 1'000;

constexpr int64_t most_tokens = int64_t{1} << 40;

/// Often enough for callers of single permits to be counted.
constexpr std::chrono::seconds own_use_noted_every{1};

/// How long permits of a lease may lie unused.
constexpr caf::timespan lease_time = std::chrono::seconds{2};

/// What one permit's report says, in the terms of a lease.
lease_report to_lease_report(uint64_t id, int64_t reserved, const permit_report& x) {
  lease_report result;
  result.id = id;
  result.answered = x.use == permit_use::answered ? 1 : 0;
  result.rate_limited = x.use == permit_use::rate_limited ? 1 : 0;
  result.failed = x.use == permit_use::failed ? 1 : 0;
  result.unused = x.use == permit_use::unused ? 1 : 0;
  result.tokens_reserved = reserved;
  auto was_taken = x.use == permit_use::answered || x.use == permit_use::failed;
  if (x.use == permit_use::unused)
    result.tokens_used = 0;
  else
    result.tokens_used = x.tokens >= 0 ? x.tokens : was_taken ? reserved : 0;
  result.retry_after = x.retry_after;
  result.limits = x.limits;
  return result;
}

struct rate_limiter_state {
  static constexpr const char* name = "chainmail.rate_limiter";

  struct key_state {
    key_limiter limiter;
    lease_shares shares = {};
    time_point own_use_noted_at = time_point::min();
    time_point wakes_at = time_point::max();
  };
  using keys_map = std::unordered_map<std::string, key_state>;

  struct waiting_call {
    keys_map::pointer key;
    call_id id;
    deadline due;
    caf::actor_addr holder;
    time_point asked;
    std::variant<caf::typed_response_promise<permit>, caf::typed_response_promise<lease>> caller;
  };

  struct granted {
    keys_map::pointer key;
    std::string tenant;
    caf::actor_addr holder;
    time_point at;
    uint64_t permits;
    int64_t tokens;
  };

  rate_limiter_state(rate_limiter_actor::pointer self_ptr, rate_limiter_options chosen)
    : self(self_ptr), options(std::move(chosen)) {}

  rate_limiter_actor::behavior_type make_behavior() {
    compat::on_down(self, [this](const caf::down_msg& down) { on_holder_down(down.source); });
    return {
        [this](acquire_atom, demand& what, call_context& context) -> caf::result<permit> {
          if (auto error = refuse_unfit(self->current_sender(), what.key, context.tenant))
            return error;
          return wait<permit>(what.key, {1, std::clamp<int64_t>(what.tokens, 1, most_tokens)},
              what.is_retry, context);
        },
        [this](settle_atom, uint64_t id, const permit_report& report) {
          if (auto found = permits.find(id); found != permits.end())
            settle(found, to_lease_report(id, found->second.tokens, report));
        },
        [this](lease_atom, lease_demand& what, call_context& context) -> caf::result<lease> {
          if (auto error = refuse_unfit(self->current_sender(), what.key, context.tenant))
            return error;
          auto share = note_holder(what);
          if (what.permits == 0)
            return lease{0, 0, 0, {}, std::move(share)};
          auto count = std::min(what.permits, most_leased);
          return wait<lease>(what.key,
              {count, std::clamp<int64_t>(what.tokens, count, most_tokens)}, false, context);
        },
        [this](settle_atom, const lease_report& report) {
          if (auto found = permits.find(report.id); found != permits.end())
            settle(found, report);
        },
        [](share_atom, const limiter_share&) {},
        [this](cancel_atom, const call_id& id) { cancel(id); },
        [this](status_atom) { return status(); },
    };
  }

  // -- waiting ---------------------------------------------------------------------------

  auto is_waiting() {
    return [this](uint64_t id) { return waiting.contains(id); };
  }

  caf::error refuse_at_once(caf::error why) {
    refusals.count(code_of(why));
    return why;
  }

  template <class Grant>
  caf::result<Grant> wait(
      const std::string& key, work wanted, bool is_retry, call_context& context) {
    auto now = self->clock().now();
    auto holder = self->current_sender();
    if (context.due.has_passed(now))
      return refuse_at_once(make_failure(
          errc::rate_limited, "the deadline had passed before a permit was asked for"));
    if (waiting.size() >= options.max_waiting || permits.size() >= most_permits)
      return refuse_at_once(make_failure(errc::overloaded,
          "the rate limiter has as many requests as it takes (" + std::to_string(waiting.size()) +
              " wait, " + std::to_string(permits.size()) + " are out): try again later"));
    auto* of = state_of(key, now);
    if (of == nullptr)
      return refuse_at_once(make_failure(errc::overloaded,
          "the rate limiter has as many keys in use as it takes: try again later"));
    if constexpr (std::is_same_v<Grant, permit>)
      note_own_use(of, now);
    auto id = next_id++;
    if (auto error = of->second.limiter.admit(
            {id, std::move(context.tenant), context.priority, is_retry, wanted}, context.due, now))
      return refuse_at_once(std::move(error));
    auto caller = self->make_response_promise<Grant>();
    waiting.emplace(id, waiting_call{of, context.id, context.due, holder->address(), now, caller});
    waiting_gauge.add(1);
    who.add(id, context.id, holder);
    if (!context.due.is_never())
      dues.push(context.due.at, id, waiting.size(), is_waiting());
    while_waiting = self;
    pump(of, now);
    wake_up();
    return caller;
  }

  /// Grants what may go now.
  void pump(keys_map::pointer key, time_point now) {
    auto& limiter = key->second.limiter;
    while (auto next = limiter.next(now)) {
      if (next->refusal)
        refuse(waiting.find(next->id), std::move(next->refusal));
      else
        grant(*next, now);
    }
    auto at = limiter.next_at();
    if (at == key->second.wakes_at)
      return;
    wakes.erase({key->second.wakes_at, key});
    key->second.wakes_at = at;
    if (at != time_point::max())
      wakes.emplace(at, key);
  }

  void grant(key_limiter::decision& next, time_point now) {
    auto call = take_out(waiting.find(next.id));
    auto count = static_cast<uint64_t>(next.granted.requests);
    wait_time.observe(now - call.asked);
    permits_granted.add(static_cast<int64_t>(count));
    permits.emplace(next.id,
        granted{call.key, std::move(next.tenant), call.holder, now, count, next.granted.tokens});
    if (auto* one = std::get_if<caf::typed_response_promise<permit>>(&call.caller))
      one->deliver(permit{next.id});
    else
      std::get<caf::typed_response_promise<lease>>(call.caller)
          .deliver(lease{next.id, static_cast<uint32_t>(count), next.granted.tokens, lease_time,
              share_of(call.key, call.holder, now)});
  }

  using waiting_map = std::unordered_map<uint64_t, waiting_call>;

  /// Out of everything but its key's queue and its holder's list.
  waiting_call take_out(waiting_map::iterator found) {
    auto call = std::move(found->second);
    who.stop_waiting(found->first, call.id);
    waiting.erase(found);
    waiting_gauge.add(-1);
    if (waiting.empty())
      while_waiting = nullptr;
    return call;
  }

  void refuse(waiting_map::iterator found, caf::error why) {
    auto id = found->first;
    auto call = take_out(found);
    who.forget(id, call.holder);
    refusals.count(code_of(why));
    std::visit([&](auto& caller) { caller.deliver(std::move(why)); }, call.caller);
  }

  void give_up(uint64_t id, errc code, const char* sentence) {
    auto found = waiting.find(id);
    if (found == waiting.end())
      return;
    auto* key = found->second.key;
    key->second.limiter.give_up(id);
    auto text = sentence + one_line(key->first, 100);
    refuse(found, make_failure(code, std::move(text)));
    wakes_due.insert(key);
  }

  void cancel(const call_id& id) {
    for (auto x : who.waiting_as(id))
      give_up(x, errc::cancelled, "the caller gave up waiting for a permit of ");
    pump_due();
  }

  // -- time ------------------------------------------------------------------------------

  void on_alarm() {
    auto now = self->clock().now();
    while (auto id = dues.pop_due(now, is_waiting()))
      give_up(*id, errc::rate_limited,
          "the deadline passed while the request waited for its turn within the limits of ");
    if (shares_due <= now) {
      shares_due = time_point::max();
      for (auto& key : keys)
        share_out(&key, now);
    }
    while (!wakes.empty() && wakes.begin()->first <= now) {
      auto* key = wakes.begin()->second;
      key->second.wakes_at = time_point::max();
      wakes.erase(wakes.begin());
      wakes_due.insert(key);
    }
    pump_due();
  }

  /// Pumps the keys whose queues changed. A step of its own, so that many changes are one pump.
  void pump_due() {
    auto now = self->clock().now();
    for (auto* key : std::exchange(wakes_due, {}))
      pump(key, now);
    wake_up();
  }

  void wake_up() {
    if (!wakes.empty())
      timer.at(wakes.begin()->first);
    timer.at(dues.next());
    timer.at(shares_due);
  }

  // -- settling --------------------------------------------------------------------------

  using permits_map = std::unordered_map<uint64_t, granted>;

  void settle(permits_map::iterator found, lease_report report) {
    auto& x = found->second;
    auto left = x.permits;
    for (auto* count : {&report.answered, &report.rate_limited, &report.failed, &report.unused}) {
      *count = static_cast<uint32_t>(std::min<uint64_t>(*count, left));
      left -= *count;
    }
    report.tokens_reserved =
        left == 0 ? x.tokens : std::clamp<int64_t>(report.tokens_reserved, 0, x.tokens);
    report.tokens_used = std::clamp<int64_t>(report.tokens_used, 0, most_tokens);
    auto* key = x.key;
    key->second.limiter.settle(report, x.tenant, x.at, self->clock().now());
    x.permits = left;
    x.tokens -= report.tokens_reserved;
    if (left == 0) {
      who.forget(found->first, x.holder);
      permits.erase(found);
    }
    wakes_due.insert(key);
    pump_due();
  }

  // -- holders ---------------------------------------------------------------------------

  void on_holder_down(const caf::actor_addr& gone) {
    for (auto id : who.take(gone))
      if (auto found = permits.find(id); found != permits.end()) {
        found->second.key->second.limiter.release(found->second.permits);
        wakes_due.insert(found->second.key);
        permits.erase(found);
      } else {
        give_up(id, errc::cancelled, "the caller went down while it waited for a permit of ");
      }
    if (auto lost = holders.take(gone)) {
      auto now = self->clock().now();
      for (auto& key : keys) {
        key.second.shares.on_loss(lost, now);
        share_out(&key, now);
      }
    }
    pump_due();
  }

  /// Counts who asks for a lease. The result is what it may grant on its own from now on.
  limiter_share note_holder(const lease_demand& what) {
    auto now = self->clock().now();
    auto* key = state_of(what.key, now);
    if (key == nullptr)
      return {};
    const auto& holder = self->current_sender();
    who.watch(holder);
    auto& limiter = key->second.limiter;
    auto& shares = key->second.shares;
    auto age = std::clamp<caf::timespan>(what.age, caf::timespan{0}, std::chrono::hours{24});
    auto holder_number = holders.add(holder->address());
    if (shares.on_demand(holder_number, {what.holders, what.limiter != number, now - age}, now))
      // A burst of the limiter that was lost may have gone out just before.
      limiter.hold_back_until(now + limiter.burst_time());
    share_out(key, now);
    pump_due();
    return share_of(key, holder->address(), now);
  }

  void note_own_use(keys_map::pointer key, time_point now) {
    auto& [limiter, shares, noted_at, wakes_at] = key->second;
    if (shares.is_empty() || now < noted_at + own_use_noted_every)
      return;
    noted_at = now;
    shares.on_own_use(now);
    share_out(key, now);
  }

  limiter_share share_of(keys_map::pointer key, uint32_t parts, time_point now) {
    auto result = key->second.limiter.share(parts, now);
    result.limiter = number;
    return result;
  }

  limiter_share share_of(keys_map::pointer key, const caf::actor_addr& holder, time_point now) {
    return share_of(key, key->second.shares.parts_of(holders.number_of(holder)), now);
  }

  /// Tells holders of a key what changed for them.
  void share_out(keys_map::pointer key, time_point now) {
    auto& limiter = key->second.limiter;
    auto& shares = key->second.shares;
    for (const auto& notice : shares.take_notices(now))
      holders.tell(notice.holder, share_of(key, notice.parts, now),
          [this, name = key->first, holder = notice.holder] {
            if (auto found = keys.find(name); found != keys.end()) {
              found->second.shares.on_confirmed(holder);
              share_out(&*found, self->clock().now());
              pump_due();
            }
          });
    if (limiter.set_apart(shares.reserved(), now))
      wakes_due.insert(key);
    shares_due = std::min(shares_due, shares.next_at());
    timer.at(shares_due);
  }

  // -- keys ------------------------------------------------------------------------------

  /// Null when there are too many.
  keys_map::pointer state_of(const std::string& key, time_point now) {
    if (auto found = keys.find(key); found != keys.end())
      return &*found;
    if (keys.size() >= most_keys + options.keys.size() && !forget_idle_keys(now))
      return nullptr;
    auto configured = options.keys.find(key);
    const auto& limits = configured != options.keys.end() ? configured->second : options.defaults;
    return &*keys.emplace(key, key_state{key_limiter{key, limits, &options.weights, now}}).first;
  }

  /// False when none was. Looks at all of them, so not often.
  bool forget_idle_keys(time_point now) {
    if (now < next_forgetting)
      return false;
    next_forgetting = now + std::chrono::seconds{1};
    auto before = keys.size();
    for (auto i = keys.begin(); i != keys.end();)
      i = i->second.shares.is_empty() && i->second.limiter.is_idle(now) ? keys.erase(i)
                                                                        : std::next(i);
    return keys.size() < before;
  }

  limiter_status status() {
    limiter_status result;
    for (auto& [key, state] : keys)
      result.keys.push_back(state.limiter.status(self->clock().now()));
    std::ranges::sort(result.keys, {}, &limiter_key_status::key);
    return result;
  }

  rate_limiter_actor::pointer self;
  rate_limiter_options options;
  metrics::gauge waiting_gauge{self->system(), metrics::metric::limiter_waiting};
  metrics::histogram wait_time{self->system(), metrics::metric::limiter_wait_seconds};
  metrics::counter permits_granted{self->system(), metrics::metric::limiter_permits_total};
  metrics::by_code refusals{self->system(), metrics::metric::limiter_refusals_total};
  keys_map keys;
  waiting_map waiting;
  permits_map permits;
  callers who{self};
  lease_holders holders{self};
  /// When a holder or a reservation of any key becomes too old.
  time_point shares_due = time_point::max();
  deadline_heap<uint64_t> dues;
  std::set<std::pair<time_point, keys_map::pointer>> wakes;
  std::set<keys_map::pointer> wakes_due;
  time_point next_forgetting = time_point::min();
  /// Reports on permits of a limiter that was there before must meet nothing here.
  uint64_t number = call_id::make().root;
  uint64_t next_id = number;
  /// Callers that wait outlive the last handle.
  rate_limiter_actor while_waiting;
  alarm timer{self, [this] { on_alarm(); }};
};

} // namespace

rate_limiter_actor spawn_rate_limiter(caf::actor_system& system, rate_limiter_options options) {
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  using actor_type = caf::stateful_actor<rate_limiter_state, rate_limiter_actor::impl>;
  return system.spawn<light_actor<actor_type>>(std::move(options));
}

} // namespace chainmail

// The limiter actor: who waits for which key, and who holds what.
#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/limits/limited_key.hpp>
#include <chainmail/limits/rate_limiter.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <variant>

namespace chainmail {

namespace {

struct rate_limiter_state {
  static constexpr const char* name = "chainmail.rate_limiter";

  using time_point = limited_key::time_point;
  using permit_promise = caf::typed_response_promise<permit>;
  using lease_promise = caf::typed_response_promise<lease>;
  using promise = std::variant<permit_promise, lease_promise>;

  /// A key, and when to look at it again.
  struct key_entry {
    explicit key_entry(limited_key k) : key(std::move(k)) {}

    limited_key key;
    time_point wakes_at = time_point::max();
  };

  struct waiter {
    key_entry* at;
    std::string tenant;
    fair_queue::entry entry;
    call_id id;
    caf::actor_addr holder;
    promise caller;
  };

  struct held {
    key_entry* at;
    limited_key::grant grant;
    /// Permits of a lease that were not reported yet.
    uint32_t left;
    caf::actor_addr holder;
  };

  rate_limiter_state(rate_limiter_actor::pointer self_ptr, rate_limiter_options opts)
    : self(self_ptr), options(std::move(opts)) {}

  rate_limiter_actor::behavior_type make_behavior() {
    self->set_down_handler([this](const caf::down_msg& down) { bury(down.source); });
    return {
        [this](acquire_atom, const demand& wanted, const call_context& context) {
          fair_queue::entry entry{0, context.priority, wanted.is_retry, 1, bounded(wanted.tokens)};
          return wait<permit>(wanted.key, entry, context);
        },
        [this](settle_atom, uint64_t id, const permit_report& report) { settle(id, report); },
        [this](lease_atom, const lease_demand& wanted, const call_context& context) {
          fair_queue::entry entry{0, context.priority, false,
              std::clamp<uint32_t>(wanted.permits, 1, most_leased), bounded(wanted.tokens)};
          return wait<lease>(wanted.key, entry, context);
        },
        [this](settle_atom, const lease_report& report) { settle(report); },
        [this](cancel_atom, const call_id& id) { cancel(id); },
        [this](status_atom) {
          limiter_status result;
          for (auto& [key, entry] : keys)
            result.keys.push_back(entry.key.status(now()));
          return result;
        },
    };
  }

  // -- waiting ------------------------------------------------------------------------------

  template <class Grant>
  caf::result<Grant> wait(
      const std::string& key, fair_queue::entry entry, const call_context& context) {
    auto& at = key_of(key);
    auto is_late = context.due.has_passed(now());
    if (auto error = is_late ? make_failure(errc::timed_out,
                                   "the deadline passed before the rate limiter was asked")
                             : at.key.refusal(context.tenant, entry, context.due.at, now()))
      return error;
    if (waiters.size() >= options.max_waiting)
      return make_failure(errc::overloaded, std::to_string(waiters.size()) +
                                                " calls wait for the rate limiter already: send "
                                                "fewer at once, or raise max_waiting");
    entry.ticket = ++last_ticket;
    auto holder = caf::actor_cast<caf::actor_addr>(self->current_sender());
    auto caller = self->template make_response_promise<Grant>();
    watch(holder);
    waiters.emplace(entry.ticket,
        waiter{&at, context.tenant, entry, context.id, std::move(holder), caller});
    at.key.enqueue(context.tenant, entry);
    pump(at);
    if (waiters.contains(entry.ticket)) {
      if (context.id)
        by_id.emplace(context.id, entry.ticket);
      if (!context.due.is_never()) {
        dues.push(context.due.at, entry.ticket, waiters.size(),
            [this](uint64_t x) { return waiters.contains(x); });
        timer.at(dues.next());
      }
    }
    return caller;
  }

  /// Grants what may go now, and sets the timer for what may go later.
  void pump(key_entry& at) {
    while (auto granted = at.key.next(now()))
      hand_out(std::move(*granted));
    auto next = at.key.next_at(now());
    if (next == at.wakes_at)
      return;
    if (at.wakes_at != time_point::max())
      wakes.erase({at.wakes_at, &at});
    at.wakes_at = next;
    if (next == time_point::max())
      return;
    wakes.emplace(next, &at);
    timer.at(next);
  }

  void hand_out(limited_key::grant granted) {
    auto who = take(granted.ticket);
    auto id = granted.ticket;
    auto permits = granted.permits;
    auto tokens = granted.tokens;
    count(who.holder, 1);
    out.emplace(id, held{who.at, std::move(granted), permits, who.holder});
    if (auto* caller = std::get_if<permit_promise>(&who.caller))
      caller->deliver(permit{id});
    else
      std::get<lease_promise>(who.caller).deliver(lease{id, permits, tokens, lease_time});
  }

  /// Out of everything but its key's queue.
  waiter take(uint64_t ticket) {
    auto result = std::move(waiters.extract(ticket).mapped());
    count(result.holder, -1);
    auto [begin, end] = by_id.equal_range(result.id);
    for (auto i = begin; i != end; ++i)
      if (i->second == ticket) {
        by_id.erase(i);
        break;
      }
    return result;
  }

  void refuse(uint64_t ticket, const caf::error& why) {
    auto who = take(ticket);
    who.at->key.give_up(who.tenant, who.entry);
    std::visit([&why](auto& caller) { caller.deliver(why); }, who.caller);
    pump(*who.at); // it may have been in the way of smaller ones
  }

  void cancel(const call_id& id) {
    std::vector<uint64_t> chosen;
    if (id.step != 0) {
      auto [begin, end] = by_id.equal_range(id);
      for (auto i = begin; i != end; ++i)
        chosen.push_back(i->second);
    } else if (id) {
      for (const auto& [waiting, ticket] : by_id)
        if (waiting.root == id.root)
          chosen.push_back(ticket);
    }
    for (auto ticket : chosen)
      refuse(ticket, make_failure(errc::cancelled, "the caller gave the call up"));
  }

  // -- settling -----------------------------------------------------------------------------

  void settle(uint64_t id, const permit_report& report) {
    auto found = out.find(id);
    if (found == out.end())
      return;
    auto& at = *found->second.at;
    at.key.settle(found->second.grant, report, now());
    forget(found);
    pump(at);
  }

  void settle(const lease_report& report) {
    auto found = out.find(report.id);
    if (found == out.end())
      return;
    auto& [at, grant, left, holder] = found->second;
    auto count = uint64_t{report.answered} + report.rate_limited + report.failed + report.unused;
    auto settled = static_cast<uint32_t>(std::min<uint64_t>(count, left));
    auto bounded_report = report;
    bounded_report.unused = std::min(report.unused, settled);
    bounded_report.tokens_reserved = std::min(report.tokens_reserved, grant.tokens);
    at->key.release(settled);
    at->key.settle(grant, bounded_report, now());
    left -= settled;
    auto& key = *at;
    if (left == 0)
      forget(found);
    pump(key);
  }

  void forget(std::unordered_map<uint64_t, held>::iterator what) {
    count(what->second.holder, -1);
    out.erase(what);
  }

  // -- holders --------------------------------------------------------------------------------

  /// Counts what an actor waits for and holds, and monitors it from the first on.
  void watch(const caf::actor_addr& who) {
    if (!who) // sent by nobody: nobody hears of its permit either
      return;
    auto [at, is_new] = holders.try_emplace(who, 0);
    at->second += 1;
    if (!is_new)
      return;
    self->monitor(who);
    if (holders.size() <= few_holders)
      return;
    few_holders = std::max(few_holders, holders.size());
    for (auto i = holders.begin(); i != holders.end();) {
      if (i->second == 0)
        self->demonitor(i->first);
      i = i->second == 0 ? holders.erase(i) : std::next(i);
    }
    few_holders = std::max<size_t>(usual_holders, 2 * holders.size());
  }

  void count(const caf::actor_addr& who, int by) {
    if (auto found = who ? holders.find(who) : holders.end(); found != holders.end())
      found->second += static_cast<size_t>(by);
  }

  void bury(const caf::actor_addr& who) {
    std::set<key_entry*> touched;
    for (auto i = waiters.begin(); i != waiters.end();) {
      auto next = std::next(i);
      if (i->second.holder == who) {
        auto gone = take(i->first);
        gone.at->key.give_up(gone.tenant, gone.entry);
        touched.insert(gone.at);
      }
      i = next;
    }
    for (auto i = out.begin(); i != out.end();) {
      auto next = std::next(i);
      if (i->second.holder == who) {
        i->second.at->key.release(i->second.left);
        touched.insert(i->second.at);
        out.erase(i);
      }
      i = next;
    }
    holders.erase(who);
    for (auto* at : touched)
      pump(*at);
  }

  // -- keys and time ----------------------------------------------------------------------------

  key_entry& key_of(const std::string& key) {
    if (auto found = keys.find(key); found != keys.end())
      return found->second;
    forget_idle_keys();
    auto configured = options.by_key.find(key);
    const auto& limits =
        configured == options.by_key.end() ? options.defaults : configured->second;
    auto weight_of = [this](const std::string& tenant) {
      auto weight = options.tenant_weights.find(tenant);
      return weight == options.tenant_weights.end() ? 1.0 : weight->second;
    };
    return keys.emplace(key, key_entry{limited_key{key, limits, weight_of}}).first->second;
  }

  void forget_idle_keys() {
    constexpr size_t few = 1'000;
    if (keys.size() < few || keys.size() < keys_left * 2)
      return;
    for (auto i = keys.begin(); i != keys.end();)
      i = i->second.wakes_at == time_point::max() && i->second.key.is_idle(now()) ? keys.erase(i)
                                                                                  : std::next(i);
    keys_left = keys.size();
  }

  void on_alarm() {
    auto is_live = [this](uint64_t x) { return waiters.contains(x); };
    while (!wakes.empty() && wakes.begin()->first <= now()) {
      auto& at = *wakes.begin()->second;
      wakes.erase(wakes.begin());
      at.wakes_at = time_point::max();
      pump(at);
    }
    while (auto ticket = dues.pop_due(now(), is_live))
      refuse(*ticket, make_failure(errc::rate_limited,
                          "the deadline passed while the call waited for its turn at " +
                              waiters.at(*ticket).at->key.name() +
                              ": allow more time, or send fewer calls at once"));
    if (!wakes.empty())
      timer.at(wakes.begin()->first);
    timer.at(dues.next());
  }

  static int64_t bounded(int64_t tokens) {
    constexpr int64_t most = 1'000'000'000'000;
    return std::clamp<int64_t>(tokens, 0, most);
  }

  [[nodiscard]] time_point now() const { return self->clock().now(); }

  static constexpr uint32_t most_leased = 10'000;
  static constexpr caf::timespan lease_time = std::chrono::seconds{2};
  static constexpr size_t usual_holders = 1'000;

  rate_limiter_actor::pointer self;
  rate_limiter_options options;
  /// A map: entries stay where they are.
  std::map<std::string, key_entry> keys;
  size_t keys_left = 0;
  std::unordered_map<uint64_t, waiter> waiters;
  std::unordered_multimap<call_id, uint64_t> by_id;
  std::unordered_map<uint64_t, held> out;
  std::unordered_map<caf::actor_addr, size_t> holders;
  size_t few_holders = usual_holders;
  deadline_heap<uint64_t> dues;
  std::set<std::pair<time_point, key_entry*>> wakes;
  uint64_t last_ticket = 0;
  alarm timer{self, [this] { on_alarm(); }};
};

caf::error check(const rate_limits& limits, const std::string& where) {
  constexpr uint64_t most = 1'000'000'000'000;
  auto is_wrong = [](const std::optional<uint64_t>& x) { return x && (*x == 0 || *x > most); };
  for (const auto& [field, is_bad] :
      {std::pair{"requests_per_minute", is_wrong(limits.requests_per_minute)},
          {"tokens_per_minute", is_wrong(limits.tokens_per_minute)},
          {"max_in_flight", is_wrong(limits.max_in_flight)},
          {"request_burst", is_wrong(limits.request_burst)},
          {"token_burst", is_wrong(limits.token_burst)}})
    if (is_bad)
      return make_failure(errc::invalid_input, "rate_limits::" + std::string{field} + where +
                                                   " must be from 1 to 1000000000000, or not set");
  return {};
}

} // namespace

caf::error check(const rate_limiter_options& options) {
  if (auto error = check(options.defaults, ""))
    return error;
  for (const auto& [key, limits] : options.by_key)
    if (auto error = check(limits, " of '" + key + "'"))
      return error;
  for (const auto& [tenant, weight] : options.tenant_weights)
    if (!(weight >= 1e-6 && weight <= 1e6))
      return make_failure(errc::invalid_input, "the weight of tenant '" + tenant +
                                                   "' must be between 0.000001 and 1000000");
  if (options.max_waiting == 0)
    return make_failure(
        errc::invalid_input, "rate_limiter_options::max_waiting must be at least 1");
  return {};
}

rate_limiter_actor spawn_rate_limiter(caf::actor_system& system, rate_limiter_options options) {
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  return system.spawn<caf::stateful_actor<rate_limiter_state, rate_limiter_actor::impl>>(
      std::move(options));
}

} // namespace chainmail

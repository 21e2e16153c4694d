// Leases: taken ahead, handed out one by one, reported together.
#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/limits/fair_queue.hpp>
#include <chainmail/limits/leasing_limiter.hpp>

#include <caf/actor_system.hpp>

#include <deque>
#include <map>
#include <stdexcept>
#include <unordered_map>

namespace chainmail {

namespace {

struct leasing_limiter_state {
  static constexpr const char* name = "chainmail.leasing_limiter";

  using actor_type = hub_actor<rate_limiter_actor, leasing_limiter_state>;
  using time_point = deadline::clock::time_point;

  /// The most that one lease asks for, and how much of the recent past it provides for.
  static constexpr uint32_t most_leased = 64;
  static constexpr caf::timespan look_ahead = std::chrono::milliseconds{100};
  /// What became of permits is told after so long, or after so many.
  static constexpr caf::timespan report_after = std::chrono::milliseconds{50};
  static constexpr uint32_t report_at = 32;

  struct leased {
    uint64_t id;
    uint32_t left;
    /// Reserved for each permit.
    int64_t tokens;
    time_point ends;
  };

  struct key_entry {
    explicit key_entry(fair_queue::weight_of weights) : queue(std::move(weights)) {}

    fair_queue queue;
    std::deque<leased> stock;
    bool has_asked = false;
    /// Permits handed out in this look_ahead and in the one before it.
    uint32_t recent = 0;
    uint32_t before = 0;
    int64_t usual_tokens = 0;
    time_point since{};
  };

  struct waiter {
    std::string key;
    std::string tenant;
    fair_queue::entry entry;
    call_id id;
    caf::typed_response_promise<permit> caller;
  };

  struct held {
    uint64_t lease;
    int64_t tokens;
  };

  leasing_limiter_state(
      actor_type* self_ptr, rate_limiter_actor from, rate_limiter_options opts)
    : self(self_ptr), central(std::move(from)), options(std::move(opts)) {}

  hub<rate_limiter_actor>::behavior_type make_behavior() {
    self->monitor(central);
    self->set_down_handler([this](const caf::down_msg&) {
      is_gone = true;
      reports.clear();
      while (!waiters.empty())
        refuse(waiters.begin()->first, gone());
    });
    return {
        [this](acquire_atom, const demand& wanted, const call_context& context) {
          return acquire(wanted, context);
        },
        [this](settle_atom, uint64_t id, const permit_report& report) { settle(id, report); },
        [](lease_atom, const lease_demand&, const call_context&) -> caf::result<lease> {
          return make_failure(errc::unsupported,
              "what is leased is not leased again: ask the limiter that it comes from");
        },
        [](settle_atom, const lease_report&) {},
        [this](cancel_atom, const call_id& id) { cancel(id); },
        [this](status_atom) { return status(); },
        replies.on_reply(),
    };
  }

  // -- waiting ------------------------------------------------------------------------------

  caf::result<permit> acquire(const demand& wanted, const call_context& context) {
    if (is_gone)
      return gone();
    if (context.due.has_passed(now()))
      return make_failure(
          errc::timed_out, "the deadline passed before the rate limiter was asked");
    if (waiters.size() >= options.max_waiting)
      return make_failure(errc::overloaded, std::to_string(waiters.size()) +
                                                " calls wait for the rate limiter already");
    auto& at = key_of(wanted.key);
    auto caller = self->make_response_promise<permit>();
    fair_queue::entry entry{++last_ticket, context.priority, wanted.is_retry, 1,
        std::clamp<int64_t>(wanted.tokens, 0, most_tokens)};
    at.usual_tokens = entry.tokens;
    waiters.emplace(
        entry.ticket, waiter{wanted.key, context.tenant, entry, context.id, caller});
    at.queue.push(context.tenant, entry);
    hand_out(wanted.key, at, context.due);
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

  /// Serves who waits from the stock, and asks for more in time.
  void hand_out(const std::string& key, key_entry& at, deadline due) {
    give_back_ended(at);
    if (now() - at.since >= look_ahead) {
      at.before = now() - at.since < 2 * look_ahead ? at.recent : 0;
      at.recent = 0;
      at.since = now();
    }
    for (auto front = at.queue.front(); front.what != nullptr && !at.stock.empty();
         front = at.queue.front()) {
      auto& from = at.stock.front();
      auto ticket = front.what->ticket;
      at.queue.pop(front.what->tokens);
      auto who = take(ticket);
      out.emplace(ticket, held{from.id, from.tokens});
      ++at.recent;
      who.caller.deliver(permit{ticket});
      if (--from.left == 0)
        at.stock.pop_front();
    }
    ask(key, at, due);
  }

  /// One lease at a time: for all who wait, and for as many as came lately.
  void ask(const std::string& key, key_entry& at, deadline due) {
    uint32_t in_stock = 0;
    for (const auto& x : at.stock)
      in_stock += x.left;
    auto soon = std::max(at.recent, at.before);
    if (at.has_asked || is_gone || (at.queue.size() == 0 && (soon < 2 || in_stock > soon / 2)))
      return;
    auto wanted = static_cast<uint32_t>(
        std::clamp<size_t>(at.queue.size() + soon - std::min(in_stock, soon), 1, most_leased));
    auto front = at.queue.front();
    call_context context;
    auto tokens_each = at.usual_tokens;
    if (front.what != nullptr) {
      context.tenant = *front.tenant;
      context.priority = front.what->priority;
      auto waiting = at.queue.ahead_of(*front.tenant, std::numeric_limits<int32_t>::min());
      if (waiting.permits >= 1)
        tokens_each = static_cast<int64_t>(waiting.tokens / waiting.permits) + 1;
    }
    // Others may come to wait after the first has given up.
    context.due = at.queue.size() == 1 ? due : deadline{};
    at.has_asked = true;
    replies.ask<lease>(
        central, context.due,
        [this, key](lease& got) { take_lease(key, got); },
        [this, key](caf::error& why) { on_refused(key, why); }, lease_atom_v,
        lease_demand{key, wanted, tokens_each * wanted}, context);
  }

  void take_lease(const std::string& key, const lease& got) {
    auto& at = key_of(key);
    at.has_asked = false;
    auto permits = std::min(got.permits, most_leased);
    if (permits > 0) {
      at.stock.push_back(
          {got.id, permits, got.tokens / permits, now() + std::max(got.valid_for, caf::timespan{1})});
      ends.push(at.stock.back().ends, key, keys.size(), [](const std::string&) { return true; });
      timer.at(ends.next());
    }
    hand_out(key, at, deadline{});
  }

  /// Those who wait hear why; whoever comes asks anew.
  void on_refused(const std::string& key, const caf::error& why) {
    auto& at = key_of(key);
    at.has_asked = false;
    while (auto* front = at.queue.front().what)
      refuse(front->ticket, why);
  }

  waiter take(uint64_t ticket) {
    auto result = std::move(waiters.extract(ticket).mapped());
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
    key_of(who.key).queue.remove(who.tenant, who.entry);
    who.caller.deliver(why);
  }

  void cancel(const call_id& id) {
    std::vector<uint64_t> chosen;
    for (const auto& [waiting, ticket] : by_id)
      if (id && waiting.root == id.root && (id.step == 0 || waiting == id))
        chosen.push_back(ticket);
    for (auto ticket : chosen)
      refuse(ticket, make_failure(errc::cancelled, "the caller gave the call up"));
  }

  // -- reporting ----------------------------------------------------------------------------

  void settle(uint64_t id, const permit_report& report) {
    auto found = out.extract(id);
    if (!found)
      return;
    auto& to = reports[found.mapped().lease];
    to.id = found.mapped().lease;
    to.answered += report.use == permit_use::answered ? 1 : 0;
    to.rate_limited += report.use == permit_use::rate_limited ? 1 : 0;
    to.failed += report.use == permit_use::failed ? 1 : 0;
    to.unused += report.use == permit_use::unused ? 1 : 0;
    to.tokens_reserved += found.mapped().tokens;
    if (report.use != permit_use::unused)
      to.tokens_used += report.tokens < 0 ? found.mapped().tokens
                                          : std::min(report.tokens, most_tokens);
    if (report.retry_after)
      to.retry_after = std::max(to.retry_after.value_or(caf::timespan{0}), *report.retry_after);
    if (report.limits)
      to.limits = report.limits;
    ++unreported;
    // The whole key has to stop: that cannot wait.
    if (unreported >= report_at || report.use == permit_use::rate_limited)
      return send_reports();
    if (unreported == 1)
      report_due = now() + report_after;
    timer.at(report_due);
  }

  void send_reports() {
    for (auto& [id, report] : reports)
      compat::send(self, central, settle_atom_v, report);
    reports.clear();
    unreported = 0;
    report_due = time_point::max();
  }

  void give_back_ended(key_entry& at) {
    std::erase_if(at.stock, [this](const leased& x) {
      if (x.ends > now())
        return false;
      lease_report unused;
      unused.id = x.id;
      unused.unused = x.left;
      unused.tokens_reserved = x.tokens * x.left;
      compat::send(self, central, settle_atom_v, unused);
      return true;
    });
  }

  // -- keys and time ------------------------------------------------------------------------

  key_entry& key_of(const std::string& key) {
    auto found = keys.find(key);
    if (found != keys.end())
      return found->second;
    auto weight_of = [this](const std::string& tenant) {
      auto weight = options.tenant_weights.find(tenant);
      return weight == options.tenant_weights.end() ? 1.0 : weight->second;
    };
    return keys.emplace(key, key_entry{weight_of}).first->second;
  }

  void on_alarm() {
    auto is_live = [this](uint64_t x) { return waiters.contains(x); };
    while (auto ticket = dues.pop_due(now(), is_live))
      refuse(*ticket, make_failure(errc::rate_limited,
                          "the deadline passed while the call waited for its turn at " +
                              waiters.at(*ticket).key));
    while (auto key = ends.pop_due(now(), [](const std::string&) { return true; }))
      give_back_ended(key_of(*key));
    if (unreported > 0 && report_due <= now())
      send_reports();
    timer.at(dues.next());
    timer.at(ends.next());
    timer.at(report_due);
  }

  limiter_status status() {
    limiter_status result;
    for (const auto& [key, at] : keys) {
      auto& x = result.keys.emplace_back();
      x.key = key;
      x.waiting = at.queue.size();
    }
    if (!result.keys.empty())
      result.keys.front().in_flight = out.size();
    return result;
  }

  static caf::error gone() {
    return make_failure(errc::unavailable,
        "the rate limiter that this node leases permits from is gone: connect to another one");
  }

  [[nodiscard]] time_point now() const { return self->clock().now(); }

  static constexpr int64_t most_tokens = 1'000'000'000'000;

  actor_type* self;
  rate_limiter_actor central;
  rate_limiter_options options;
  std::map<std::string, key_entry> keys;
  std::unordered_map<uint64_t, waiter> waiters;
  std::unordered_multimap<call_id, uint64_t> by_id;
  std::unordered_map<uint64_t, held> out;
  std::map<uint64_t, lease_report> reports;
  uint32_t unreported = 0;
  time_point report_due = time_point::max();
  deadline_heap<uint64_t> dues;
  deadline_heap<std::string> ends;
  uint64_t last_ticket = 0;
  bool is_gone = false;
  alarm timer{self, [this] { on_alarm(); }};
  reply_table replies{self, "the central rate limiter"};
};

} // namespace

rate_limiter_actor spawn_leasing_limiter(
    caf::actor_system& system, rate_limiter_actor central, rate_limiter_options options) {
  if (!central)
    throw std::invalid_argument{"a leasing limiter needs a valid limiter to lease from"};
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  return system.spawn<leasing_limiter_state::actor_type>(std::move(central), std::move(options));
}

} // namespace chainmail

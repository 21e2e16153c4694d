// What the leasing limiter and the central one have to do with each other.
#include <chainmail/caf/compat.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/limits/leasing_limiter_state.hpp>

namespace chainmail {

namespace {

/// How often it is tried while it does not answer, and how long it is waited for.
constexpr std::chrono::seconds retry_every{1};
constexpr std::chrono::seconds retry_timeout{2};

/// Reports that wait for it to come back; those beyond are lost.
constexpr size_t most_late_reports = 10'000;

/// Whether an error means that the central limiter was not reached.
bool is_loss(const caf::error& why) {
  return why == errc::unavailable || why == errc::shut_down || why == errc::timed_out;
}

} // namespace

lease_demand leasing_limiter_state::question(
    const std::string& key, uint32_t count, int64_t tokens) {
  auto now = self->clock().now();
  auto result = shares.question(key, count, tokens, now);
  result.age = now - started_at;
  return result;
}

void leasing_limiter_state::ask(pools_map::pointer of, lease_pool::question what) {
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
  auto wanted = question(key, what.permits, what.tokens);
  of->second.asked = open_question{std::move(what), context.id};
  ++of->second.pending;
  compat::request(self, central, lease_atom_v, std::move(wanted), context)
      .then([this, of, id = context.id](const lease& got) { on_lease(of, id, got); },
          [this, of, id = context.id](const caf::error& why) { on_refused(of, id, why); });
}

void leasing_limiter_state::withdraw(pools_map::pointer of) {
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

void leasing_limiter_state::on_lease(pools_map::pointer of, const call_id& id, const lease& got) {
  auto now = self->clock().now();
  --of->second.pending;
  if (of->second.asked && of->second.asked->id == id)
    of->second.asked.reset();
  of->second.pool.add(got, now);
  on_share(got.share);
  serve(of);
}

void leasing_limiter_state::on_refused(
    pools_map::pointer of, const call_id& id, const caf::error& why) {
  --of->second.pending;
  if (!of->second.asked || of->second.asked->id != id)
    return; // it was dropped
  auto error = to_failure(why, "the central rate limiter");
  if (is_loss(error))
    fall_back(of->first.first);
  else
    refuse_all(of, error);
}

void leasing_limiter_state::refuse_all(pools_map::pointer of, const caf::error& why) {
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

void leasing_limiter_state::fall_back(const std::string& key) {
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

void leasing_limiter_state::keep(const lease_report& report) {
  if (central && late_reports.size() < most_late_reports)
    late_reports.push_back(report);
}

void leasing_limiter_state::come_back() {
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

void leasing_limiter_state::serve_all() {
  for (auto& of : pools)
    serve(&of);
  answer_all();
}

void leasing_limiter_state::answer_all() {
  if (fallback)
    for (auto& of : pools)
      answer_from_fallback(of.first.first);
}

void leasing_limiter_state::answer_from_fallback(const std::string& key) {
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

void leasing_limiter_state::retry() {
  is_retrying = true;
  ask_for_share(retry_key);
}

void leasing_limiter_state::ask_for_share(const std::string& key) {
  auto what = question(key, 0, 0);
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

void leasing_limiter_state::on_share(const limiter_share& share) {
  is_retrying = false;
  shares.tell(share, self->clock().now());
  timer.at(shares.due_at());
  come_back();
}

void leasing_limiter_state::on_no_answer(const std::string& key) {
  if (fallback)
    timer.at(retry_at = self->clock().now() + retry_every);
  else
    fall_back(key);
}

void leasing_limiter_state::on_central_down() {
  central = nullptr;
  fall_back({});
}

} // namespace chainmail

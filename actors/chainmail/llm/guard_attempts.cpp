// Attempts of a guard, and what follows when they fail.
#include <chainmail/caf/compat.hpp>
#include <chainmail/llm/guard_rules.hpp>
#include <chainmail/llm/guard_state.hpp>

#include <algorithm>
#include <string>

namespace chainmail {

// -- attempts ---------------------------------------------------------------------------

void guard_state::proceed(const flight_ptr& what) {
  auto now = self->turn_time();
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

void guard_state::ask_permit(const flight_ptr& what, circuit_breaker::pass pass, bool is_hedge) {
  auto index = what->target;
  auto& target = targets[index];
  auto context = what->context;
  context.id = what->attempt_id;
  if (is_hedge) // which is only worth it soon
    context.due.at = std::min(context.due.at, self->turn_time() + std::chrono::seconds{1});
  auto is_retry = what->retries.failures + what->retries.rate_limited > 0;
  demand wanted{target.name_for(what->request), target.estimate(what->request), is_retry};
  ++what->permits_wanted;
  auto asked = self->turn_time();
  replies.ask<permit>(
      options.limiter, context.due,
      [this, what, index, pass, is_hedge, asked](permit& granted) {
        --what->permits_wanted;
        counts_at(*what, index).limiter_wait.observe(self->turn_time() - asked);
        if (!what->is_over && (!is_hedge || what->live.size() == 1))
          return send(what, pass, granted, is_hedge);
        targets[index].abandoned(pass, self->turn_time());
        settle(granted, {permit_use::unused, -1, {}, {}});
      },
      [this, what, index, pass, is_hedge](caf::error& why) {
        --what->permits_wanted;
        targets[index].abandoned(pass, self->turn_time());
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

void guard_state::send(
    const flight_ptr& what, circuit_breaker::pass pass, permit granted, bool is_hedge) {
  auto now = self->turn_time();
  auto& target = targets[what->target];
  auto context = what->context;
  auto index = what->attempts.size();
  context.id = is_hedge ? what->attempt_id.child(what->hedges++) : what->attempt_id;
  if (what->stream)
    context.id = expect_text(what);
  else
    context.due.at = std::min(context.due.at, now + options.retry.attempt_timeout);
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
  if (target.hedge && !is_hedge && !what->stream) {
    target.hedge->sent();
    if (auto delay = target.hedge->delay())
      wake(what, flight::hedge, now + *delay);
  }
  auto request = what->request;
  if (target.target.model)
    request.parameters.model = target.target.model;
  auto on_success = [this, what, index](llm_result& result) { on_result(what, index, result); };
  auto on_failure = [this, what, index](caf::error& why) { on_error(what, index, why); };
  auto due = context.due;
  if (what->stream)
    replies.ask<llm_result>(target.target.llm, due, on_success, on_failure, stream_atom_v,
        std::move(request), sink_actor{self}, std::move(context));
  else
    replies.ask<llm_result>(target.target.llm, due, on_success, on_failure, generate_atom_v,
        std::move(request), std::move(context));
}

void guard_state::on_result(const flight_ptr& what, size_t index, llm_result& result) {
  auto now = self->turn_time();
  auto done = take_live(*what, index);
  if (!done)
    return;
  auto& target = targets[done->target];
  target.answered(done->pass, result, now);
  counts_at(*what, done->target).use(result.usage);
  auto tokens = result.usage.total_tokens > 0 ? result.usage.total_tokens : -1;
  settle(done->granted, {permit_use::answered, tokens, {}, result.limits});
  retry.succeeded();
  if (what->is_over)
    return;
  what->attempts[index].took = now - what->begin - what->attempts[index].started;
  if (target.hedge && !what->stream)
    target.hedge->answered(now - what->begin - what->attempts[what->primary].started);
  keep(*what, result, now);
  result.attempts = std::move(what->attempts);
  flights.land(what, std::move(result));
  withdraw(what);
  rest();
}

void guard_state::keep(const flight& what, const llm_result& result, flight::time_point now) {
  if (!cache || what.key.empty() || what.target != 0) // a fallback's answer is second best
    return;
  auto kept = result;
  kept.first_token = {};
  cache->insert(what.key, kept, now);
  if (options.store)
    compat::send(
        self, options.store, save_atom_v, what.key, std::move(kept), options.cache->time_to_live);
}

void guard_state::on_error(const flight_ptr& what, size_t index, caf::error& why) {
  auto now = self->turn_time();
  auto done = take_live(*what, index);
  if (!done)
    return;
  // An LLM may take its sink for gone or unwilling in any way that it likes.
  auto code = what->stream && what->stream->sink_is_gone ? errc::cancelled : code_of(why);
  auto detail = detail_of(why).value_or(error_detail{});
  auto has_begun = what->stream && (what->stream->has_begun || !detail.text_so_far.empty());
  // A caller without patience says nothing of the endpoint.
  auto had_time = !what->context.due.has_passed(now);
  auto& target = targets[done->target];
  target.failed(done->pass, code, had_time, detail, now);
  auto report = report_of(code, detail);
  if (has_begun) {
    const auto& text = detail.text_so_far;
    report.tokens = target.used_by(what->request, text.empty() ? what->stream->text : text);
  }
  settle(done->granted, report);
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
  flights.drop_timer(*what, flight::first_token);
  if (has_begun)
    return end(what, why); // another attempt would say it all again
  // The limiter, which was told, holds the whole key back for as long as the endpoint said.
  auto limiter_waits =
      why == errc::rate_limited && done->granted.id != 0 && detail.retry_after.has_value();
  retry_later(what, why, {}, limiter_waits);
}

// -- after a failure --------------------------------------------------------------------

void guard_state::retry_later(const flight_ptr& what, const caf::error& why,
    flight::time_point earliest, bool limiter_waits) {
  auto now = self->turn_time();
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

void guard_state::fail(const flight_ptr& what, const caf::error& why) {
  auto is_late = what->context.due.has_passed(self->turn_time());
  if (what->target + 1 < targets.size() && !is_late && may_fall_back(code_of(why)))
    return fall_back(what);
  end(what, why);
}

void guard_state::end(const flight_ptr& what, const caf::error& why) {
  flights.land(what, with_attempts(why, std::move(what->attempts)));
  rest();
}

void guard_state::fall_back(const flight_ptr& what) {
  counts_at(*what, what->target).fallbacks.add();
  ++what->target;
  what->tries = 0;
  what->retries = {};
  proceed(what);
}

void guard_state::give_up(const flight_ptr& what, const caf::error& why) {
  flights.land(what, why);
  withdraw(what);
  rest();
}

void guard_state::withdraw(const flight_ptr& what) {
  what->is_over = true;
  if (what->stream && what->stream->replay)
    what->stream->replay->stop();
  for (const auto& x : what->live) {
    if (what->stream)
      streams.erase(x.id);
    compat::send(self, targets[x.target].target.llm, cancel_atom_v, x.id);
  }
  if (what->permits_wanted > 0)
    compat::send(self, options.limiter, cancel_atom_v, what->attempt_id);
}

} // namespace chainmail

// The gather actor: keeps a bounded number of calls outstanding and collects their outcomes.
#include <chainmail/caf/caller_runs.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/log.hpp>
#include <chainmail/caf/metrics.hpp>
#include <chainmail/caf/owned_promise.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/gather/gather.hpp>

#include <caf/actor_system.hpp>

#include <algorithm>
#include <map>
#include <memory>

namespace chainmail {

namespace {

/// One gather under way.
struct gather_job {
  using clock = deadline::clock;

  gather_job() = default;
  gather_job(const gather_job&) = delete;
  gather_job& operator=(const gather_job&) = delete;

  /// Of a gather that was killed, the calls are cancelled. Without a sender: its state is being
  /// destroyed.
  ~gather_job() {
    if (answered)
      return;
    for (size_t index = 0; index < next; ++index)
      if (!is_over[index])
        compat::anon_send(chain, cancel_atom_v, context.id.child(index));
  }

  chain_actor chain;
  std::vector<values> inputs;
  gather_options options;
  call_context context;
  owned_promise<std::vector<outcome>> caller;
  caf::strong_actor_ptr requester;
  caf::disposable timer;
  clock::time_point begin;
  std::vector<outcome> outcomes;
  std::vector<bool> is_over;
  size_t next = 0;
  size_t done = 0;
  bool answered = false;
};

using gather_ptr = std::shared_ptr<gather_job>;

struct gather_state {
  static constexpr const char* name = "chainmail.gather";

  using actor_type = hub_actor<gather_actor, gather_state>;

  gather_state(actor_type* self_ptr, bool quits_after_one)
    : self(self_ptr), is_one_shot(quits_after_one) {}

  hub<gather_actor>::behavior_type make_behavior() {
    compat::on_down(self, [this](const caf::down_msg& down) { on_requester_down(down.source); });
    return {
        replies.on_reply(),
        [this](gather_atom, const chain_actor& chain, std::vector<values>& inputs,
            const gather_options& options, const call_context& context) {
          auto result = start(chain, std::move(inputs), options, context);
          quit_if_done();
          return result;
        },
        [this](cancel_atom, const call_id& id) { cancel(id); },
    };
  }

  // -- the life of a gather -----------------------------------------------------------

  caf::result<std::vector<outcome>> start(const chain_actor& chain, std::vector<values> inputs,
      const gather_options& options, const call_context& context) {
    if (!chain)
      return make_failure(errc::invalid_input, "gather got an invalid chain handle");
    if (options.max_in_flight == 0)
      return make_failure(errc::invalid_input, "gather_options::max_in_flight must be at least 1");
    auto job = std::make_shared<gather_job>();
    job->chain = chain;
    job->outcomes.resize(inputs.size());
    job->is_over.resize(inputs.size());
    job->inputs = std::move(inputs);
    job->options = options;
    job->context = context;
    if (!job->context.id)
      job->context.id = call_id::make(); // so that the calls can be cancelled
    job->begin = self->clock().now();
    job->requester = self->current_sender();
    job->caller = owned_promise<std::vector<outcome>>{self};
    auto pending = job->caller.pending();
    if (job->inputs.empty()) {
      answer(*job);
      return pending;
    }
    jobs.emplace(job->context.id, job);
    watch(job->requester);
    if (context.due.has_passed(job->begin)) {
      give_up(job, errc::timed_out, "the deadline of the gather passed");
      return pending;
    }
    if (!context.due.is_never())
      job->timer = compat::run_at(
          self, context.due.plus(2 * reply_table::grace), [this, weak = std::weak_ptr{job}] {
            if (auto late = weak.lock())
              give_up(late, errc::timed_out, "the deadline of the gather passed");
          });
    pump(job, job->begin);
    in_flight.set(calls_out);
    return pending;
  }

  struct on_outcome {
    gather_state* state;
    gather_ptr job;
    size_t index;

    void operator()(values& result) { state->finish(job, index, std::move(result), {}); }
    void operator()(caf::error& error) { state->finish(job, index, {}, std::move(error)); }
  };

  void pump(const gather_ptr& job, gather_job::clock::time_point now) {
    auto has_room = [&] {
      return !job->answered && job->next < job->inputs.size() &&
             job->next - job->done < job->options.max_in_flight;
    };
    while (has_room() && !job->context.due.has_passed(now)) {
      call_next(job, now);
      if (has_room())
        now = self->clock().now();
    }
  }

  void call_next(const gather_ptr& job, gather_job::clock::time_point now) {
    auto index = job->next++;
    auto& out = job->outcomes[index];
    out.started = now - job->begin;
    ++calls_out;
    // The deadline is watched once for the whole job, not for each call.
    if (job->options.sink)
      replies.ask_for<values>(job->chain, deadline{}, on_outcome{this, job, index}, stream_atom_v,
          std::move(job->inputs[index]), job->options.sink, job->context.child(index));
    else
      replies.ask_for<values>(job->chain, deadline{}, on_outcome{this, job, index}, call_atom_v,
          std::move(job->inputs[index]), job->context.child(index));
  }

  void finish(const gather_ptr& job, size_t index, values result, caf::error error) {
    if (job->answered)
      return; // given up meanwhile
    auto has_line = error && is_logged(caf::actor_cast<caf::strong_actor_ptr>(job->chain), error);
    job->outcomes[index].result = std::move(result);
    job->outcomes[index].error = std::move(error);
    auto now = std::max(self->turn_time(), job->begin + job->outcomes[index].started);
    close(*job, index, has_line, now);
    if (job->done == job->inputs.size())
      retire(job);
    else
      pump(job, now);
    in_flight.set(calls_out);
  }

  /// Books the end of one call, and tells the observer.
  void close(gather_job& job, size_t index, bool has_line, gather_job::clock::time_point now) {
    auto& out = job.outcomes[index];
    out.took = now - job.begin - out.started;
    if (index < job.next)
      --calls_out;
    outcomes.count(out.ok() ? errc::none : code_of(out.error));
    if (!out.ok() && !has_line)
      log_failure(self->system(), "gather", job.context.id.child(index), out.took, out.error);
    job.is_over[index] = true;
    ++job.done;
    if (job.options.observer)
      compat::send(self, job.options.observer, finished_atom_v,
          gather_progress{job.context.id, index, job.done, job.inputs.size()}, out);
  }

  /// Ends a gather early: what is outstanding is cancelled, what is over keeps its outcome.
  void give_up(const gather_ptr& job, errc why, const char* sentence) {
    if (job->answered)
      return;
    auto now = self->clock().now();
    for (size_t index = 0; index < job->inputs.size(); ++index) {
      if (job->is_over[index])
        continue;
      auto& out = job->outcomes[index];
      if (index < job->next) {
        out.error = make_failure(why, sentence);
        compat::send(self, job->chain, cancel_atom_v, job->context.id.child(index));
      } else {
        out.started = now - job->begin;
        out.error = make_failure(why, std::string{sentence} + " before this call was started");
      }
      // What was started and is cancelled now, its chain has to say.
      close(*job, index, index < job->next && why == errc::cancelled, now);
    }
    retire(job);
  }

  void retire(const gather_ptr& job) {
    in_flight.set(calls_out);
    auto [first, last] = jobs.equal_range(job->context.id);
    for (auto i = first; i != last; ++i)
      if (i->second == job) {
        jobs.erase(i);
        break;
      }
    job->timer.dispose();
    unwatch(job->requester);
    answer(*job);
    quit_if_done();
  }

  static void answer(gather_job& job) {
    job.answered = true;
    job.caller.deliver(std::move(job.outcomes));
  }

  void quit_if_done() {
    if (is_one_shot && jobs.empty())
      self->quit();
  }

  // -- requesters ----------------------------------------------------------------------

  /// One monitor a requester, however many of its gathers are under way: demonitor takes all away.
  void watch(const caf::strong_actor_ptr& requester) {
    if (requester && ++gathers_of[requester->address()] == 1)
      compat::monitor(self, requester);
  }

  void unwatch(const caf::strong_actor_ptr& requester) {
    if (!requester)
      return;
    auto found = gathers_of.find(requester->address());
    if (found != gathers_of.end() && --found->second == 0) {
      gathers_of.erase(found);
      compat::demonitor(self, requester);
    }
  }

  // -- giving up -----------------------------------------------------------------------

  void cancel(const call_id& id) {
    auto first = jobs.lower_bound(id);
    std::vector<gather_ptr> chosen;
    for (auto i = first; i != jobs.end() && i->first.root == id.root; ++i)
      if (id.step == 0 || i->first == id)
        chosen.push_back(i->second);
    for (const auto& job : chosen)
      give_up(job, errc::cancelled, "the gather was cancelled");
  }

  void on_requester_down(const caf::actor_addr& gone) {
    std::vector<gather_ptr> chosen;
    for (const auto& [id, job] : jobs)
      if (job->requester && job->requester->address() == gone)
        chosen.push_back(job);
    for (const auto& job : chosen)
      give_up(job, errc::cancelled, "the requester of the gather is gone");
  }

  actor_type* self;
  bool is_one_shot;
  /// What `in_flight` shows: set once a message, since most that end one call start another.
  int64_t calls_out = 0;
  metrics::gauge in_flight{self->system(), metrics::metric::gather_in_flight};
  metrics::by_code outcomes{self->system(), metrics::metric::gather_outcomes_total};
  reply_table replies{self, "the chain"};
  std::map<caf::actor_addr, size_t> gathers_of;
  std::multimap<call_id, gather_ptr> jobs;
};

} // namespace

gather_actor spawn_gather(caf::actor_system& system) {
  return system.spawn<light_actor<gather_state::actor_type>>(false);
}

gather_actor spawn_one_gather(caf::actor_system& system) {
  return system.spawn<light_actor<gather_state::actor_type>>(true);
}

} // namespace chainmail

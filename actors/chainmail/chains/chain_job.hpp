// What chains of several steps are made of: a state that runs jobs, one job a call, whose steps are
// requests to other actors.
#pragma once

#include <chainmail/caf/log.hpp>
#include <chainmail/caf/metrics.hpp>
#include <chainmail/caf/owned_promise.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace chainmail {

class chain_jobs;

/// One call of a chain under way. It is over once it was answered, failed or cancelled; what comes
/// back to its steps after that is dropped. Use it inside its actor only.
class chain_job : public std::enable_shared_from_this<chain_job> {
public:
  chain_job(chain_jobs& all, uint64_t number, values given, sink_actor sink, call_context context,
      owned_promise<values> caller);

  /// A job that nobody holds any more has no answer coming: CAF tells its caller so, and its steps
  /// are cancelled. Such are those of a chain that was killed.
  ~chain_job();

  chain_job(const chain_job&) = delete;
  chain_job& operator=(const chain_job&) = delete;

  /// What the call was given; whoever runs the job may move from it.
  values inputs;

  [[nodiscard]] const call_context& context() const { return context_; }
  [[nodiscard]] bool is_over() const { return is_over_; }
  [[nodiscard]] deadline::clock::time_point now() const;

  /// Where the text of the answer goes as it comes; invalid for a call that is no stream.
  [[nodiscard]] const sink_actor& sink() const { return sink_; }

  /// Sends a request with a call_context of its own as its last argument. `on_result(Result&)`
  /// (nothing for void) runs with the answer unless the job is over by then; an error ends the job,
  /// and so does what `on_result` throws.
  template <class Result, class Handle, class OnResult, class... Ts>
  void ask(const Handle& to, OnResult on_result, Ts&&... xs) {
    try_ask<Result>(
        to, std::move(on_result), [this](caf::error& error) { fail(std::move(error)); },
        std::forward<Ts>(xs)...);
  }

  /// The same, with the error going to `on_error(caf::error&)`.
  template <class Result, class Handle, class OnResult, class OnError, class... Ts>
  void try_ask(const Handle& to, OnResult on_result, OnError on_error, Ts&&... xs) {
    try_ask_by<Result>(
        context_.due, to, std::move(on_result), std::move(on_error), std::forward<Ts>(xs)...);
  }

  /// The same with a deadline of the step's own, which is no later than the job's. A step that is not
  /// answered by then is cancelled.
  template <class Result, class Handle, class OnResult, class OnError, class... Ts>
  void try_ask_by(deadline due, const Handle& to, OnResult on_result, OnError on_error, Ts&&... xs);

  /// As ask, for the one step whose text is the chain's answer: of a stream, it goes to the sink as it
  /// comes, under the ID of the job. Only for a state that streams().
  template <class OnResult>
  void ask_last(const llm_actor& to, OnResult on_result, llm_request request) {
    ask_last<llm_result>(to, std::move(on_result), generate_atom_v, std::move(request));
  }

  template <class OnResult>
  void ask_last(const chain_actor& to, OnResult on_result, values given) {
    ask_last<values>(to, std::move(on_result), call_atom_v, std::move(given));
  }

  void answer(values outputs);
  void fail(caf::error why);

  /// Ends the job with errc::cancelled, and its outstanding steps with it.
  void cancel();

  /// Runs a piece of the job; what it throws ends the job with errc::internal.
  template <class Piece>
  void attempt(Piece piece) {
    try {
      piece();
    } catch (const std::exception& error) {
      fail_by_exception(error.what());
    } catch (...) {
      fail_by_exception("with an exception of an unknown type");
    }
  }

private:
  friend class chain_jobs;

  /// A request on its way.
  struct step {
    /// Whom to send a cancel.
    caf::strong_actor_ptr to;
    call_id id;
    deadline due;
  };

  template <class Result, class Handle, class OnResult, class Atom, class Request>
  void ask_last(const Handle& to, OnResult on_result, Atom atom, Request request);

  template <class Result, class Handle, class OnResult, class OnError, class... Ts>
  void begin(
      call_context context, const Handle& to, OnResult on_result, OnError on_error, Ts&&... xs);

  template <class OnResult, class OnError>
  struct step_reply;

  void fail_by_exception(const char* what);
  void end(const caf::error* why);
  void cancel_steps();
  static void give_up(const step& made);
  bool end_step(uint64_t number);
  bool end_step(uint64_t number, const caf::error& why);
  bool begin_step(uint64_t number, step made);

  chain_jobs& all_;
  uint64_t number_;
  deadline::clock::time_point begin_;
  sink_actor sink_;
  call_context context_;
  owned_promise<values> caller_;
  uint64_t steps_ = 0;
  std::unordered_map<uint64_t, step> outstanding_;
  bool is_over_ = false;
  /// A step's error is being dealt with that has its line in the log.
  bool is_logged_ = false;
};

using job_ptr = std::shared_ptr<chain_job>;

/// The calls that one chain has under way. Lives in the state of the chain's actor.
class chain_jobs {
public:
  /// `kind` is what the chain's calls are counted and logged under.
  chain_jobs(caf::scheduled_actor* self, std::string kind);

  /// Starts a job, which takes the promise over, unless the deadline has passed or too many are under
  /// way. The sink is valid for a stream only.
  caf::expected<job_ptr> start(
      values inputs, sink_actor sink, const call_context& context, owned_promise<values>& caller);

  /// Counts and logs a call that never was a job. The result is the error.
  caf::error refuse(const call_context& context, caf::error why);

  void cancel(const call_id& id);

  /// Ends every job with this error, and its outstanding steps with it: the actor is told to exit.
  void fail_all(const caf::error& why);

  [[nodiscard]] caf::scheduled_actor* self() const { return self_; }
  [[nodiscard]] reply_table& replies() { return replies_; }

private:
  friend class chain_job;

  void ended(const chain_job& job, const caf::error* why);

  caf::scheduled_actor* self_;
  std::string kind_;
  metrics::calls counts_;
  bool is_exiting_ = false;
  uint64_t next_number_ = 0;
  /// Outlives the replies: jobs that go with those take themselves out.
  std::map<std::pair<call_id, uint64_t>, chain_job*> under_way_;
  reply_table replies_;
};

/// What is special about a chain of several steps: the rest is the same for all.
class chain_state {
public:
  virtual ~chain_state() = default;

  /// Runs one call, whose inputs are complete: ends, now or after any number of steps, in
  /// job->answer or job->fail. Exceptions, here and in what steps lead to, become errc::internal.
  virtual void run(const job_ptr& job) = 0;

  /// Whether the chain takes streams: its answer is the text of one step, which run() asks for with
  /// job->ask_last. Others answer streams with errc::unsupported. Never changes.
  [[nodiscard]] virtual bool streams() const { return false; }
};

/// Spawns the actor around a state. `kind` is the chain's label in metrics and its name in the log:
/// one of a few words, in lower case and with underscores.
chain_actor spawn_chain(caf::actor_system& system, chain_description description,
    std::unique_ptr<chain_state> state, std::string kind = "custom");

/// Steps of which a bounded number is outstanding: the map of map_reduce, the branches of a
/// parallel chain.
class bounded_steps : public std::enable_shared_from_this<bounded_steps> {
public:
  /// `start(steps, index)` begins one step, and what ends it calls steps.finished_one() (by way of
  /// shared_from_this; within `start` is fine too). `all_done` runs once, after the last, unless the
  /// job is over. `at_once` is at least 1.
  bounded_steps(job_ptr job, size_t count, size_t at_once,
      std::function<void(bounded_steps&, size_t)> start, std::function<void()> all_done);

  void pump();
  void finished_one();

private:
  job_ptr job_;
  size_t count_;
  size_t at_once_;
  size_t next_ = 0;
  size_t done_ = 0;
  bool is_pumping_ = false;
  std::function<void(bounded_steps&, size_t)> start_;
  std::function<void()> all_done_;
};

// -- implementation -----------------------------------------------------------------------

template <class Result, class Handle, class OnResult, class OnError, class... Ts>
void chain_job::try_ask_by(
    deadline due, const Handle& to, OnResult on_result, OnError on_error, Ts&&... xs) {
  auto context = context_.child(steps_);
  context.due = due;
  begin<Result>(
      std::move(context), to, std::move(on_result), std::move(on_error), std::forward<Ts>(xs)...);
}

template <class Result, class Handle, class OnResult, class Atom, class Request>
void chain_job::ask_last(const Handle& to, OnResult on_result, Atom atom, Request request) {
  auto on_error = [this](caf::error& error) { fail(std::move(error)); };
  if (sink_)
    begin<Result>(
        context_, to, std::move(on_result), on_error, stream_atom_v, std::move(request), sink_);
  else
    try_ask<Result>(to, std::move(on_result), on_error, atom, std::move(request));
}

/// What becomes of the answer of a step.
template <class OnResult, class OnError>
struct chain_job::step_reply {
  job_ptr job;
  uint64_t number;
  OnResult on_result;
  OnError on_error;

  template <class... Results>
  void operator()(Results&... result) {
    if (job->end_step(number))
      job->attempt([&] { on_result(result...); });
  }

  void operator()(caf::error& error) {
    if (!job->end_step(number, error))
      return;
    job->attempt([&] { on_error(error); });
    job->is_logged_ = false;
  }
};

template <class Result, class Handle, class OnResult, class OnError, class... Ts>
void chain_job::begin(
    call_context context, const Handle& to, OnResult on_result, OnError on_error, Ts&&... xs) {
  auto number = steps_++;
  if (!begin_step(number, {caf::actor_cast<caf::strong_actor_ptr>(to), context.id, context.due}))
    return;
  auto due = context.due;
  all_.replies().ask_for<Result>(to, due,
      step_reply<OnResult, OnError>{
          shared_from_this(), number, std::move(on_result), std::move(on_error)},
      std::forward<Ts>(xs)..., std::move(context));
}

} // namespace chainmail

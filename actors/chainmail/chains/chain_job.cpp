// The life of a job, and the actor around a chain's state.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/sink_feed.hpp>
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/wiring.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

namespace chainmail {

// -- one job --------------------------------------------------------------------------

chain_job::chain_job(chain_jobs& all, uint64_t number, values given, sink_actor sink,
    call_context context, owned_promise<values> caller)
  : inputs(std::move(given)),
    all_(all),
    number_(number),
    begin_(all.self()->clock().now()),
    sink_(std::move(sink)),
    context_(std::move(context)),
    caller_(std::move(caller)) {
}

chain_job::~chain_job() {
  if (is_over_)
    return;
  auto why = make_failure(errc::shut_down, "the chain is gone");
  is_logged_ = true; // by whoever waits for it
  end(&why);
}

deadline::clock::time_point chain_job::now() const {
  return all_.self()->clock().now();
}

bool chain_job::begin_step(uint64_t number, step made) {
  if (is_over_)
    return false;
  if (context_.due.has_passed(now())) {
    fail(make_failure(errc::timed_out, "the deadline passed before the chain's next step"));
    return false;
  }
  if (all_.replies().is_full()) {
    fail(make_failure(errc::overloaded, "the chain has too many steps under way"));
    return false;
  }
  outstanding_.emplace(number, std::move(made));
  return true;
}

void chain_job::answer(values outputs) {
  if (is_over_)
    return;
  end(nullptr);
  caller_.deliver(std::move(outputs));
}

void chain_job::fail(caf::error why) {
  if (is_over_)
    return;
  end(&why);
  caller_.deliver(std::move(why));
}

void chain_job::cancel() {
  fail(make_failure(errc::cancelled, "the caller gave the call up"));
}

void chain_job::fail_by_exception(const char* what) {
  fail(make_failure(errc::internal, std::string{"the chain failed: "} + what));
}

void chain_job::end(const caf::error* why) {
  is_over_ = true;
  all_.under_way_.erase({context_.id, number_});
  all_.ended(*this, why);
  cancel_steps();
}

/// False when the step was given up.
bool chain_job::end_step(uint64_t number) {
  return outstanding_.erase(number) != 0;
}

bool chain_job::end_step(uint64_t number, const caf::error& why) {
  auto found = outstanding_.extract(number);
  if (!found)
    return false;
  const auto& made = found.mapped();
  if (why == errc::timed_out && made.due.at < context_.due.at)
    give_up(made);
  is_logged_ = is_logged(made.to, why);
  return true;
}

/// Those that are still outstanding are of no use to anyone. Without a sender: this may run while
/// the actor's state is being destroyed.
void chain_job::cancel_steps() {
  for (const auto& [number, made] : outstanding_)
    give_up(made);
  outstanding_.clear();
}

void chain_job::give_up(const step& made) {
  compat::anon_send(caf::actor_cast<caf::actor>(made.to), cancel_atom_v, made.id);
}

// -- all jobs of a chain --------------------------------------------------------------

chain_jobs::chain_jobs(caf::scheduled_actor* self, std::string kind)
  : self_(self),
    kind_(std::move(kind)),
    counts_(self->system(), metrics::metric::chain_calls_total, kind_),
    replies_(self, "a step's actor") {
}

caf::expected<job_ptr> chain_jobs::start(
    values inputs, sink_actor sink, const call_context& context, owned_promise<values>& caller) {
  if (context.due.has_passed(self_->clock().now()))
    return refuse(
        context, make_failure(errc::timed_out, "the deadline passed before the chain was started"));
  if (replies_.is_full())
    return refuse(
        context, make_failure(errc::overloaded, "the chain has too many steps under way"));
  counts_.begin();
  auto own = context;
  if (!own.id)
    own.id = call_id::make(); // so that its steps can be cancelled
  auto job = std::make_shared<chain_job>(
      *this, next_number_++, std::move(inputs), std::move(sink), std::move(own), std::move(caller));
  under_way_.emplace(std::pair{job->context().id, next_number_ - 1}, job.get());
  return job;
}

caf::error chain_jobs::refuse(const call_context& context, caf::error why) {
  counts_.begin();
  counts_.end({}, code_of(why));
  log_failure(self_->system(), kind_ + "_chain", context.id, {}, why);
  return why;
}

void chain_jobs::ended(const chain_job& job, const caf::error* why) {
  auto took = self_->clock().now() - job.begin_;
  if (why == nullptr)
    return counts_.end(took);
  counts_.end(took, code_of(*why));
  if (!is_exiting_ && !job.is_logged_)
    log_failure(self_->system(), kind_ + "_chain", job.context_.id, took, *why);
}

void chain_jobs::cancel(const call_id& id) {
  if (!id)
    return;
  std::vector<job_ptr> chosen;
  for (auto i = under_way_.lower_bound({id, 0}); i != under_way_.end(); ++i) {
    if (i->first.first.root != id.root || (id.step != 0 && i->first.first != id))
      break;
    chosen.push_back(i->second->shared_from_this());
  }
  for (const auto& job : chosen)
    job->cancel();
}

void chain_jobs::fail_all(const caf::error& why) {
  is_exiting_ = true;
  while (!under_way_.empty())
    under_way_.begin()->second->shared_from_this()->fail(why);
}

// -- the actor ------------------------------------------------------------------------

namespace {

struct stepwise_chain_state {
  static constexpr const char* name = "chainmail.chain";

  using actor_type = hub_actor<chain_actor, stepwise_chain_state>;

  stepwise_chain_state(actor_type* self_ptr, std::shared_ptr<const chain_description> wiring,
      std::unique_ptr<chain_state> logic, std::string kind)
    : self(self_ptr),
      description(std::move(wiring)),
      jobs(self_ptr, std::move(kind)),
      state(std::move(logic)) {}

  hub<chain_actor>::behavior_type make_behavior() {
    compat::on_exit(self, [this](caf::exit_msg& message) {
      jobs.fail_all(make_failure(errc::shut_down, "the chain was told to exit"));
      self->quit(std::move(message.reason));
    });
    return {
        [this](call_atom, values& inputs, const call_context& context) {
          return call(std::move(inputs), {}, context);
        },
        [this](stream_atom, values& inputs, sink_actor& sink,
            const call_context& context) -> caf::result<values> {
          if (auto error = check_stream(sink))
            return jobs.refuse(context, std::move(error));
          return call(std::move(inputs), std::move(sink), context);
        },
        [this](describe_atom) { return *description; },
        [this](cancel_atom, const call_id& id) { jobs.cancel(id); },
        jobs.replies().on_reply(),
    };
  }

  [[nodiscard]] caf::error check_stream(const sink_actor& sink) const {
    if (!state->streams())
      return make_failure(errc::unsupported,
          "this chain does not stream, because its answer is not the text of an LLM as it comes: "
          "send a call instead");
    return check_sink(sink);
  }

  caf::result<values> call(values inputs, sink_actor sink, const call_context& context) {
    if (auto error = check_inputs(*description, inputs))
      return jobs.refuse(context, std::move(error));
    owned_promise<values> caller{self};
    auto pending = caller.pending();
    auto job = jobs.start(std::move(inputs), std::move(sink), context, caller);
    if (job)
      (*job)->attempt([&] { state->run(*job); });
    else
      caller.deliver(std::move(job.error()));
    return pending;
  }

  actor_type* self;
  std::shared_ptr<const chain_description> description;
  chain_jobs jobs;
  /// Goes before the jobs, some of which it may hold.
  std::unique_ptr<chain_state> state;
};

class stepwise_chain : public described_actor<stepwise_chain_state::actor_type> {
public:
  stepwise_chain(caf::actor_config& config, std::shared_ptr<const chain_description> wiring,
      bool streams, std::unique_ptr<chain_state> logic, std::string kind)
    : described_actor(config, wiring, wiring, std::move(logic), std::move(kind)),
      streams_(streams) {}

  [[nodiscard]] bool streams() const noexcept override { return streams_; }

private:
  bool streams_;
};

} // namespace

chain_actor spawn_chain(caf::actor_system& system, chain_description description,
    std::unique_ptr<chain_state> state, std::string kind) {
  description.input_keys = sorted_keys(std::move(description.input_keys));
  description.output_keys = sorted_keys(std::move(description.output_keys));
  auto wiring = std::make_shared<const chain_description>(std::move(description));
  auto streams = state->streams();
  return system.spawn<stepwise_chain>(
      std::move(wiring), streams, std::move(state), std::move(kind));
}

// -- bounded steps --------------------------------------------------------------------

bounded_steps::bounded_steps(job_ptr job, size_t count, size_t at_once,
    std::function<void(bounded_steps&, size_t)> start, std::function<void()> all_done)
  : job_(std::move(job)),
    count_(count),
    at_once_(at_once),
    start_(std::move(start)),
    all_done_(std::move(all_done)) {
}

void bounded_steps::pump() {
  if (is_pumping_)
    return;
  is_pumping_ = true;
  while (!job_->is_over() && next_ < count_ && next_ - done_ < at_once_)
    start_(*this, next_++);
  is_pumping_ = false;
  if (!job_->is_over() && done_ == count_ && all_done_)
    std::exchange(all_done_, nullptr)();
}

void bounded_steps::finished_one() {
  ++done_;
  pump();
}

} // namespace chainmail

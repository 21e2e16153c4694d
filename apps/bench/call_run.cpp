// The actor that calls, and who waits for it.
#include "call_run.hpp"

#include "measure.hpp"

#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <terminal/terminal.hpp>
#include <thread>
#include <unistd.h>

namespace chainmail::bench {

struct call_run::shared {
  llm_actor llm;
  call_plan plan;
  clock::time_point begin;
  /// The caller's until it has ended.
  std::vector<call_record> records;
  std::string first_error;
  std::atomic<size_t> answered = 0;
  std::atomic<size_t> failed = 0;
};

namespace {

using caller_actor = caf::typed_actor<caf::result<void>(cancel_atom, call_id)>;

double seconds_of(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>{time}.count();
}

/// Hears of every response, also of a second one to the same request, which CAF would drop.
template <class Shared>
struct caller_state {
  static constexpr const char* name = "chainmail.bench.caller";

  using actor_type = hub_actor<caller_actor, caller_state>;

  caller_state(actor_type* self_ptr, std::shared_ptr<Shared> with)
    : self(self_ptr), shared(std::move(with)) {}

  hub<caller_actor>::behavior_type make_behavior() {
    timer.at(self->clock().now());
    return {
        [](cancel_atom, const call_id&) {},
        [this](reply_atom, uint64_t id, caf::message& reply) { note(id, reply); },
    };
  }

  [[nodiscard]] size_t calls_due() const {
    const auto& plan = shared->plan;
    if (plan.per_second <= 0)
      return std::min(plan.calls, shared->answered + plan.in_flight);
    auto passed = seconds_of(self->clock().now() - shared->begin);
    return std::min(plan.calls, static_cast<size_t>(std::max(passed, 0.0) * plan.per_second) + 1);
  }

  void call_what_is_due() {
    for (auto due = calls_due(); started < due;)
      call(started++);
    constexpr auto tick = std::chrono::milliseconds{2};
    if (shared->plan.per_second > 0 && started < shared->plan.calls)
      timer.at(self->clock().now() + tick);
  }

  void call(size_t index) {
    auto context = make_context(self, shared->plan.timeout);
    shared->records[index].started_s = seconds_of(self->clock().now() - shared->begin);
    llm_request request;
    request.prompts = {shared->plan.prompt(index)};
    auto id = self->new_request_id(caf::message_priority::normal);
    indexes.emplace(id.response_id().integer_value(), index);
    caf::actor_cast<caf::abstract_actor*>(shared->llm)
        ->enqueue(compat::make_element(caf::strong_actor_ptr{self->ctrl()}, id, generate_atom_v,
                      std::move(request), std::move(context)),
            self->context());
  }

  void note(uint64_t id, caf::message& reply) {
    auto found = indexes.find(id);
    if (found == indexes.end())
      return;
    auto& record = shared->records[found->second];
    if (++record.answers > 1)
      return;
    record.took_s = seconds_of(self->clock().now() - shared->begin) - record.started_s;
    if (auto result = caf::make_typed_message_view<llm_result>(reply))
      note_result(found->second, caf::get<0>(result));
    else if (auto error = caf::make_const_typed_message_view<caf::error>(reply))
      note_error(record, to_failure(caf::get<0>(error), "the LLM"));
    else
      note_error(record, make_failure(errc::internal, "the LLM answered with something else"));
    ++shared->answered;
    call_what_is_due();
  }

  void note_result(size_t index, const llm_result& result) {
    auto& record = shared->records[index];
    record.is_right = shared->plan.is_right(index, result.text());
    record.attempts = static_cast<uint32_t>(result.attempts.size());
    record.tokens = result.usage.total_tokens;
  }

  void note_error(call_record& record, const caf::error& why) {
    record.code = code_of(why);
    if (auto detail = detail_of(why))
      record.attempts = static_cast<uint32_t>(detail->attempts.size());
    if (shared->failed++ == 0)
      shared->first_error = describe(why);
  }

  actor_type* self;
  std::shared_ptr<Shared> shared;
  size_t started = 0;
  std::unordered_map<uint64_t, size_t> indexes;
  alarm timer{self, [this] { call_what_is_due(); }};
};

} // namespace

// -- the run ----------------------------------------------------------------------------

call_run::call_run(caf::actor_system& system, llm_actor llm, call_plan plan)
  : shared_(std::make_shared<shared>()), system_(system) {
  shared_->llm = std::move(llm);
  shared_->plan = std::move(plan);
  shared_->records.resize(shared_->plan.calls);
  begin_ = shared_->begin = clock::now();
  caller_ = caf::actor_cast<caf::actor>(system.spawn<caller_state<shared>::actor_type>(shared_));
}

call_run::~call_run() {
  finish();
}

void call_run::wait_until(clock::time_point when) {
  constexpr auto frame = std::chrono::milliseconds{100};
  for (auto now = clock::now(); now < when; now = clock::now()) {
    std::this_thread::sleep_for(std::min<clock::duration>(frame, when - now));
    show(false);
  }
}

void call_run::wait() {
  const auto& plan = shared_->plan;
  auto patience = plan.timeout + std::chrono::seconds{5};
  size_t last = 0;
  for (auto since = clock::now(); clock::now() - since < patience;) {
    auto answered = shared_->answered.load();
    if (answered >= plan.calls)
      break;
    if (answered != last)
      since = clock::now();
    last = answered;
    wait_until(clock::now() + std::chrono::milliseconds{5});
  }
  show(true);
}

const std::vector<call_record>& call_run::finish() {
  if (caller_) {
    caf::scoped_actor self{system_};
    self->send_exit(caller_, caf::exit_reason::user_shutdown);
    self->wait_for(caller_);
    caller_ = nullptr;
    shared_->llm = nullptr;
  }
  return shared_->records;
}

const std::string& call_run::first_error() const {
  return shared_->first_error;
}

void call_run::show(bool is_last) const {
  static const auto style = terminal::detect_style(STDERR_FILENO);
  if (!style.is_terminal)
    return;
  if (is_last) {
    std::cerr << "\r\033[K" << std::flush;
    return;
  }
  auto answered = shared_->answered.load();
  auto share = static_cast<double>(answered) / static_cast<double>(shared_->plan.calls);
  auto width = std::clamp<size_t>(style.columns, 60, 90) - 50; // the figures take 50 at most
  std::cerr << '\r' << terminal::draw_progress(share, width, style) << ' ' << answered << '/'
            << shared_->plan.calls << " answered, " << shared_->failed.load() << " failed, "
            << static_cast<int>(seconds_of(clock::now() - begin_)) << " s\033[K" << std::flush;
}

// -- totals -----------------------------------------------------------------------------

uint64_t call_totals::all_errors() const {
  uint64_t result = 0;
  for (const auto& [code, count] : errors)
    result += count;
  return result;
}

std::string call_totals::errors_json() const {
  std::string result = "{";
  for (const auto& [code, count] : errors) {
    result += result.size() > 1 ? ",\"" : "\"";
    result += to_string(code) + "\":" + std::to_string(count);
  }
  return result + "}";
}

call_totals sum_up(const std::vector<call_record>& calls) {
  call_totals result;
  std::vector<double> latencies;
  for (const auto& x : calls) {
    result.wall_s = std::max(result.wall_s, x.started_s + x.took_s);
    result.attempts += x.attempts;
    result.tokens += x.tokens;
    result.answered_twice += x.answers > 1 ? 1 : 0;
    if (x.answers == 0)
      ++result.unanswered;
    else if (x.code != errc::none)
      ++result.errors[x.code];
    else
      ++(x.is_right ? result.right : result.wrong);
    if (x.is_right)
      latencies.push_back(x.took_s * 1000);
  }
  result.p50_ms = percentile(latencies, 0.50);
  result.p99_ms = percentile(latencies, 0.99);
  return result;
}

} // namespace chainmail::bench

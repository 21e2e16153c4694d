#include "support/scripted_chain.hpp"
#include "support/stub_llm.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <stdexcept>

namespace chain_job_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr auto grace = 25ms;

struct fixture {
  /// The stub holds promises of actors that hold the stub.
  ~fixture() { caf::anon_send_exit(llm, caf::exit_reason::kill); }

  virtual_time time;
  std::shared_ptr<stub_log> log = std::make_shared<stub_log>();
  stub_llm_actor llm = spawn_stub_llm(time.system, log);

  auto call(const chain_actor& chain, values inputs, call_context context) {
    auto result = ask<values>(time, chain, call_atom_v, std::move(inputs), std::move(context));
    time.settle();
    return result;
  }

  chain_actor spawn(scripted_state::script script) {
    return spawn_scripted_chain(time.system, {}, {"out"}, std::move(script));
  }

  /// Asks the stub `count` times at once and joins the answers.
  chain_actor spawn_fan(size_t count, size_t at_once = 1'000) {
    return spawn([llm = llm_actor{llm}, count, at_once](const job_ptr& job) {
      auto texts = std::make_shared<std::vector<std::string>>(count);
      auto one = [llm, job, texts](bounded_steps& steps, size_t index) {
        job->ask<llm_result>(
            llm,
            [texts, index, all = steps.shared_from_this()](llm_result& result) {
              (*texts)[index] = result.text();
              all->finished_one();
            },
            generate_atom_v, llm_request{});
      };
      auto all_done = [job, texts] { job->answer({{"out", *texts}}); };
      std::make_shared<bounded_steps>(job, count, at_once, one, all_done)->pump();
    });
  }

  void answer_and_settle(uint64_t index, const std::string& text) {
    answer(llm, index, text);
    time.settle();
  }
};

std::vector<std::string> list(std::vector<std::string> texts) {
  return texts;
}

} // namespace

// -- answers ----------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "all missing inputs are named at once, and nothing is run") {
  auto runs = std::make_shared<int>(0);
  auto chain = spawn_scripted_chain(time.system, {"c", "a", "b"}, {"out"},
      [runs](const job_ptr& job) { ++*runs, job->answer({}); });
  auto got = call(chain, {{"b", 1}}, time.context());
  CHECK(got->error == errc::missing_input);
  CHECK(sentence_of(got->error) == "the chain needs the inputs 'a', 'c'");
  CHECK(*runs == 0);
}

TEST_CASE_METHOD(fixture, "a job's steps run at once and its answer comes after the last") {
  auto got = call(spawn_fan(3), {}, time.context());
  REQUIRE(log->calls.size() == 3);
  answer_and_settle(2, "c");
  answer_and_settle(0, "a");
  CHECK(got->pending());
  answer_and_settle(1, "b");
  CHECK(got->result == values{{"out", list({"a", "b", "c"})}});
}

TEST_CASE_METHOD(fixture, "bounded steps keep no more outstanding than they may") {
  auto got = call(spawn_fan(5, 2), {}, time.context());
  CHECK(log->calls.size() == 2);
  answer_and_settle(1, "1");
  CHECK(log->calls.size() == 3);
  for (uint64_t i : {0U, 2U, 3U, 4U})
    answer_and_settle(i, std::to_string(i));
  CHECK(got->result == values{{"out", list({"0", "1", "2", "3", "4"})}});
}

TEST_CASE_METHOD(fixture, "no steps at all are over at once") {
  CHECK(call(spawn_fan(0), {}, time.context())->result == values{{"out", list({})}});
}

TEST_CASE_METHOD(fixture, "a million steps that end where they begin need no deep stack") {
  auto chain = spawn([](const job_ptr& job) {
    std::make_shared<bounded_steps>(
        job, 1'000'000, 10, [](bounded_steps& steps, size_t) { steps.finished_one(); },
        [job] {
          job->answer({{"out", 1}});
        })
        ->pump();
  });
  CHECK(call(chain, {}, time.context())->result == values{{"out", 1}});
}

TEST_CASE_METHOD(fixture, "only the first of a job's answers counts") {
  auto chain = spawn([](const job_ptr& job) {
    job->answer({{"out", 1}});
    job->answer({{"out", 2}});
    job->fail(make_failure(errc::internal, "too late"));
  });
  auto got = call(chain, {}, time.context());
  CHECK(got->answers == 1);
  CHECK(got->result == values{{"out", 1}});
}

TEST_CASE_METHOD(fixture, "a job that its state drops is an error for the caller, not silence") {
  auto chain = spawn([](const job_ptr&) {});
  auto context = time.context();
  auto got = call(chain, {}, context);
  CHECK(got->answers == 1);
  CHECK(to_failure(got->error, "the chain") == errc::shut_down);
  compat::anon_send(chain, cancel_atom_v, context.id); // must not meet the dropped job
  time.settle();
}

TEST_CASE_METHOD(fixture, "a job that its state keeps when the actor dies ends cleanly") {
  auto kept = std::make_shared<std::vector<job_ptr>>();
  auto chain = spawn([kept = std::move(kept)](const job_ptr& job) { kept->push_back(job); });
  auto got = call(chain, {}, time.context());
  CHECK(got->pending());
  caf::anon_send_exit(chain, caf::exit_reason::kill);
  time.settle();
  CHECK(got->answers == 1);
  CHECK(to_failure(got->error, "the chain") == errc::shut_down);
}

// -- errors -----------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a state that throws ends its job with internal, and others live on") {
  auto chain = spawn([](const job_ptr& job) {
    if (job->inputs.contains("throw"))
      throw std::runtime_error{"no luck"};
    if (job->inputs.contains("number"))
      throw 3;
    job->answer({{"out", 1}});
  });
  auto got = call(chain, {{"throw", true}}, time.context());
  CHECK(got->error == errc::internal);
  CHECK(sentence_of(got->error).find("no luck") != std::string::npos);
  CHECK(call(chain, {{"number", true}}, time.context())->error == errc::internal);
  CHECK(call(chain, {}, time.context())->result);
}

TEST_CASE_METHOD(fixture, "a state that throws at a step's answer ends its own job only") {
  auto chain = spawn([llm = llm_actor{llm}](const job_ptr& job) {
    job->ask<llm_result>(
        llm,
        [job](llm_result& result) {
          if (result.text() == "throw")
            throw std::runtime_error{"no luck"};
          job->answer({{"out", result.text()}});
        },
        generate_atom_v, llm_request{});
  });
  auto first = call(chain, {}, time.context());
  auto second = call(chain, {}, time.context());
  answer_and_settle(0, "throw");
  CHECK(first->error == errc::internal);
  CHECK(sentence_of(first->error).find("no luck") != std::string::npos);
  answer_and_settle(1, "fine");
  CHECK(second->result == values{{"out", "fine"}});
}

TEST_CASE_METHOD(fixture, "a failing step ends the job once and cancels its siblings") {
  auto broken =
      spawn_scripted_llm(time.system, {{"", make_failure(errc::rate_limited, "slow down"), {}}});
  auto chain = spawn([stub = llm_actor{llm}, broken](const job_ptr& job) {
    auto on_text = [job](llm_result&) { job->answer({{"out", 1}}); };
    job->ask<llm_result>(stub, on_text, generate_atom_v, llm_request{});
    job->ask<llm_result>(broken, on_text, generate_atom_v, llm_request{});
    job->ask<llm_result>(stub, on_text, generate_atom_v, llm_request{});
  });
  auto got = call(chain, {}, time.context());
  CHECK(got->error == errc::rate_limited);
  REQUIRE(log->calls.size() == 2);
  auto expected = std::vector{log->calls[0].context.id, log->calls[1].context.id};
  std::ranges::sort(expected);
  std::ranges::sort(log->cancelled);
  CHECK(log->cancelled == expected);
  answer_and_settle(0, "too late");
  CHECK(got->answers == 1);
}

TEST_CASE_METHOD(fixture, "a step that may fail is told its error, and the job goes on") {
  auto broken =
      spawn_scripted_llm(time.system, {{"", make_failure(errc::rate_limited, "slow down"), {}}});
  auto chain = spawn([broken](const job_ptr& job) {
    job->try_ask<llm_result>(
        broken, [](llm_result&) {},
        [job](caf::error& error) {
          job->answer({{"out", sentence_of(error)}});
        },
        generate_atom_v, llm_request{});
  });
  CHECK(call(chain, {}, time.context())->result == values{{"out", "slow down"}});
}

TEST_CASE_METHOD(fixture, "a step's actor that dies is an error for the caller, not silence") {
  auto chain = spawn_fan(2);
  auto got = call(chain, {}, time.context());
  caf::anon_send_exit(llm, caf::exit_reason::kill);
  time.settle();
  CHECK(got->answers == 1);
  CHECK(got->error == errc::shut_down);
  CHECK(call(chain, {}, time.context())->error == errc::shut_down);
}

TEST_CASE_METHOD(
    fixture, "a chain that is told to exit answers its calls and cancels their steps") {
  auto chain = spawn_fan(2);
  auto got = call(chain, {}, time.context());
  caf::anon_send_exit(chain, caf::exit_reason::user_shutdown);
  time.settle();
  CHECK(got->answers == 1);
  CHECK(got->error == errc::shut_down);
  CHECK(log->cancelled.size() == 2);
}

TEST_CASE_METHOD(
    fixture, "a chain that is killed has its steps cancelled, and its caller answered") {
  auto chain = spawn_fan(2);
  auto got = call(chain, {}, time.context());
  REQUIRE(log->calls.size() == 2);
  caf::anon_send_exit(chain, caf::exit_reason::kill);
  time.settle();
  CHECK(got->answers == 1);
  CHECK(code_of(to_failure(got->error, "the chain")) == errc::shut_down);
  CHECK(log->cancelled.size() == 2);
}

// -- deadlines --------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a job whose deadline has passed is not started") {
  auto context = time.context(1s);
  time.advance(1s);
  CHECK(call(spawn_fan(1), {}, context)->error == errc::timed_out);
  CHECK(log->calls.empty());
}

TEST_CASE_METHOD(fixture, "a job whose deadline passes between two steps starts no further step") {
  auto got = call(spawn_fan(2, 1), {}, time.context(1s));
  REQUIRE(log->calls.size() == 1);
  time.advance(1s);
  CHECK(got->pending()); // the step may still say what it was waiting for
  answer_and_settle(0, "late");
  CHECK(got->error == errc::timed_out);
  CHECK(log->calls.size() == 1);
}

TEST_CASE_METHOD(fixture, "a job whose step never answers times out, and cancels the others") {
  auto got = call(spawn_fan(2), {}, time.context(1s));
  time.advance(1s + grace);
  CHECK(got->error == errc::timed_out);
  CHECK(got->answers == 1);
  CHECK(log->cancelled.size() == 1);
}

TEST_CASE_METHOD(fixture, "steps have IDs of their own, and the rest of the call's context") {
  auto context = time.context(5min);
  context.tenant = "acme";
  context.priority = 4;
  call(spawn_fan(2), {}, context);
  REQUIRE(log->calls.size() == 2);
  for (const auto& step : log->calls) {
    CHECK(step.context.id.root == context.id.root);
    CHECK(step.context.id != context.id);
    CHECK(step.context.due.at == context.due.at);
    CHECK(step.context.tenant == "acme");
    CHECK(step.context.priority == 4);
  }
  CHECK(log->calls[0].context.id != log->calls[1].context.id);
}

// -- cancel -----------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "cancel by call ID cancels that call's steps and no other's") {
  auto chain = spawn_fan(2);
  auto root = time.context();
  auto first = call(chain, {}, root.child(0));
  auto second = call(chain, {}, root.child(1));
  auto other = call(chain, {}, time.context());
  compat::anon_send(chain, cancel_atom_v, root.id.child(0));
  time.settle();
  CHECK(first->error == errc::cancelled);
  CHECK(second->pending());
  CHECK(other->pending());
  auto expected = std::vector{log->calls.at(0).context.id, log->calls.at(1).context.id};
  std::ranges::sort(expected);
  std::ranges::sort(log->cancelled);
  CHECK(log->cancelled == expected);
  answer_and_settle(0, "too late");
  CHECK(first->answers == 1);
}

TEST_CASE_METHOD(fixture, "cancel by root cancels all its calls and no other caller's") {
  auto chain = spawn_fan(1);
  auto with_root = [this](uint64_t root) {
    auto context = time.context();
    context.id = {root, 0};
    return context;
  };
  auto before = call(chain, {}, with_root(1));
  auto first = call(chain, {}, with_root(2).child(0));
  auto second = call(chain, {}, with_root(2));
  auto after = call(chain, {}, with_root(3));
  compat::anon_send(chain, cancel_atom_v, call_id{2, 0});
  time.settle();
  CHECK(first->error == errc::cancelled);
  CHECK(second->error == errc::cancelled);
  CHECK(before->pending());
  REQUIRE(after->pending());
  CHECK(log->cancelled.size() == 2);
  for (const auto& id : log->cancelled)
    CHECK(id.root == 2);
  answer_and_settle(3, "unharmed");
  CHECK(after->result == values{{"out", list({"unharmed"})}});
}

TEST_CASE_METHOD(fixture, "a call without an ID is beyond every cancel, but its steps are not") {
  auto chain = spawn_fan(2);
  call_context nameless;
  nameless.due = time.context(1s).due;
  auto got = call(chain, {}, nameless);
  compat::anon_send(chain, cancel_atom_v, call_id{});
  time.settle();
  CHECK(got->pending());
  time.advance(1s + grace);
  CHECK(got->error == errc::timed_out);
  REQUIRE(log->cancelled.size() == 1);
  CHECK(log->cancelled[0]);
}

TEST_CASE_METHOD(fixture, "cancel goes down through nested chains") {
  auto inner = spawn_fan(1);
  auto outer = spawn([inner](const job_ptr& job) {
    job->ask<values>(
        inner, [job](values& outputs) { job->answer(std::move(outputs)); }, call_atom_v, values{});
  });
  auto context = time.context();
  auto got = call(outer, {}, context);
  compat::anon_send(outer, cancel_atom_v, context.id);
  time.settle();
  CHECK(got->error == errc::cancelled);
  CHECK(log->cancelled == std::vector{log->calls.at(0).context.id});
}

// -- lifetime ---------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a call of several steps outlives the chain's last handle") {
  auto chain = spawn_fan(2, 1);
  auto got = call(chain, {}, time.context());
  chain = nullptr;
  time.settle();
  answer_and_settle(0, "still");
  answer_and_settle(1, "here");
  CHECK(got->result == values{{"out", list({"still", "here"})}});
}

TEST_CASE_METHOD(fixture, "a chain of several steps refuses to stream") {
  auto got = ask<values>(time, spawn_fan(1), stream_atom_v, values{}, sink_actor{}, time.context());
  time.settle();
  CHECK(got->error == errc::unsupported);
}

} // namespace chain_job_test

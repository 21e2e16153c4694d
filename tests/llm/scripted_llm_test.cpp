#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <catch2/catch_test_macros.hpp>

namespace scripted_llm_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

auto generate(virtual_time& time, const llm_actor& llm, call_context context) {
  llm_request request;
  request.prompts = {"two words", "and three more"};
  request.parameters.n = 2;
  auto result = ask<llm_result>(time, llm, generate_atom_v, request, std::move(context));
  time.settle();
  return result;
}

} // namespace

TEST_CASE("a script's replies come in order, with usage, and then it says that it is over") {
  virtual_time time;
  auto llm = spawn_scripted_llm(
      time.system, {{"first", {}, {}}, {{}, make_failure(errc::server_error, "down"), {}}});
  auto first = generate(time, llm, time.context());
  REQUIRE(first->result);
  CHECK(first->result->completions.size() == 4);
  CHECK(first->result->text() == "first");
  CHECK(first->result->usage.prompt_tokens == 5);
  CHECK(first->result->usage.completion_tokens == 4);
  CHECK(first->result->usage.total_tokens == 9);
  CHECK(generate(time, llm, time.context())->error == errc::server_error);
  CHECK(generate(time, llm, time.context())->error == errc::internal);
}

TEST_CASE("a delayed reply comes after its delay, or not at all past the deadline") {
  virtual_time time;
  auto llm = spawn_scripted_llm(time.system, [](const llm_request&) {
    return scripted_reply{"late", {}, 10s};
  });
  auto in_time = generate(time, llm, time.context(1min));
  auto too_late = generate(time, llm, time.context(5s));
  time.advance(5s);
  CHECK(too_late->error == errc::timed_out);
  CHECK(in_time->pending());
  time.advance(5s);
  CHECK(in_time->result);
  CHECK(too_late->answers == 1);
}

TEST_CASE("an infinite delay never answers by itself, but the deadline does") {
  virtual_time time;
  auto llm = spawn_scripted_llm(time.system, [](const llm_request&) {
    return scripted_reply{"never", {}, caf::infinite};
  });
  auto context = time.context();
  context.due = {};
  auto patient = generate(time, llm, context);
  auto due = generate(time, llm, time.context(1h));
  time.advance(1h);
  CHECK(due->error == errc::timed_out);
  CHECK(patient->pending());
  compat::anon_send(llm, cancel_atom_v, call_id{}); // names nothing
  time.settle();
  CHECK(patient->pending());
  compat::anon_send(llm, cancel_atom_v, context.id);
  time.settle();
  CHECK(patient->error == errc::cancelled);
}

TEST_CASE("a script that throws fails its call only") {
  virtual_time time;
  auto llm = spawn_scripted_llm(time.system, [calls = 0](const llm_request&) mutable {
    if (calls++ == 0)
      throw std::runtime_error{"boom"};
    return scripted_reply{"fine", {}, {}};
  });
  CHECK(generate(time, llm, time.context())->error == errc::internal);
  CHECK(generate(time, llm, time.context())->result);
}

TEST_CASE("a cancelled reply is answered at once, by ID or by root") {
  virtual_time time;
  auto llm = spawn_scripted_llm(time.system, [](const llm_request&) {
    return scripted_reply{"late", {}, 10s};
  });
  auto context = time.context();
  auto one = generate(time, llm, context.child(0));
  auto two = generate(time, llm, context.child(1));
  auto other = generate(time, llm, time.context());
  compat::anon_send(llm, cancel_atom_v, context.child(1).id);
  time.settle();
  CHECK(one->pending());
  CHECK(two->error == errc::cancelled);
  compat::anon_send(llm, cancel_atom_v, context.id);
  time.settle();
  CHECK(one->error == errc::cancelled);
  CHECK(other->pending());
  time.advance(10s);
  CHECK(other->result);
}

} // namespace scripted_llm_test

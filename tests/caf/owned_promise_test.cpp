// Promises with one owner, and the table of requests that they wait for.
#include <chainmail/caf/owned_promise.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/caf/virtual_time.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <vector>

namespace owned_promise_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

llm_result said(const std::string& text) {
  llm_result result;
  result.completions.push_back({text, "stop"});
  return result;
}

llm_request asking(const std::string& prompt) {
  llm_request result;
  result.prompts.push_back(prompt);
  return result;
}

caf::result<llm_result> no_stream() {
  return make_failure(errc::unsupported, "of a test");
}

/// Answers "twice" twice, and everything else when it is cancelled, the last first.
llm_actor::behavior_type debtor(llm_actor::pointer self) {
  auto owed = std::make_shared<std::vector<owned_promise<llm_result>>>();
  return {
      [self, owed](generate_atom, const llm_request& request, const call_context&) {
        owned_promise<llm_result> caller{self};
        auto pending = caller.pending();
        if (request.prompts.front() == "twice") {
          caller.deliver(said("first"));
          caller.deliver(said("second"));
        } else {
          owed->push_back(std::move(caller));
        }
        return pending;
      },
      [](stream_atom, const llm_request&, const sink_actor&, const call_context&) {
        return no_stream();
      },
      [owed](cancel_atom, const call_id&) {
        for (auto i = owed->size(); i > 0; --i)
          (*owed)[i - 1].deliver(said(std::to_string(i)));
        owed->clear();
      },
  };
}

/// Answers each request with its prompt, three times over.
llm_actor::behavior_type parrot(llm_actor::pointer self) {
  return {
      [self](generate_atom, const llm_request& request, const call_context&) {
        auto* mail = self->current_mailbox_element();
        for (auto i = 0; i < 2; ++i)
          mail->sender->enqueue(compat::make_element(caf::strong_actor_ptr{self->ctrl()},
                                    mail->mid.response_id(), said(request.prompts.front())),
              self->context());
        return said(request.prompts.front());
      },
      [](stream_atom, const llm_request&, const sink_actor&, const call_context&) {
        return no_stream();
      },
      [](cancel_atom, const call_id&) {},
  };
}

/// Asks another LLM for "1", "2", ... up to ten, and answers with all that it heard.
struct interviewer_state {
  static constexpr const char* name = "interviewer";

  using actor_type = hub_actor<llm_actor, interviewer_state>;

  interviewer_state(actor_type* self_ptr, llm_actor whom)
    : self(self_ptr), other(std::move(whom)) {}

  hub<llm_actor>::behavior_type make_behavior() {
    return {
        [this](generate_atom, const llm_request&, const call_context&) {
          caller = owned_promise<llm_result>{self};
          auto pending = caller.pending();
          next();
          return pending;
        },
        [](stream_atom, const llm_request&, const sink_actor&, const call_context&) {
          return no_stream();
        },
        [this](cancel_atom, const call_id&) { times.push_back(self->turn_time()); },
        replies.on_reply(),
    };
  }

  void next() {
    if (++asked > 10)
      return caller.deliver(said(heard));
    replies.ask<llm_result>(
        other, deadline{},
        [this](llm_result& result) {
          heard += result.completions.front().text + " ";
          next();
        },
        [this](caf::error& why) { caller.deliver(why); }, generate_atom_v,
        asking(std::to_string(asked)), call_context{});
  }

  actor_type* self;
  llm_actor other;
  owned_promise<llm_result> caller;
  int asked = 0;
  std::string heard;
  std::vector<caf::actor_clock::time_point> times;
  reply_table replies{self, "the LLM"};
};

struct world : virtual_time {
  auto ask_for(const llm_actor& whom, const std::string& prompt) {
    return ask<llm_result>(*this, whom, generate_atom_v, asking(prompt), call_context{});
  }
};

} // namespace

TEST_CASE("the first answer of a promise counts") {
  world time;
  auto reply = time.ask_for(time.system.spawn(debtor), "twice");
  time.settle();
  CHECK(reply->answers == 1);
  REQUIRE(reply->result);
  CHECK(reply->result->completions.front().text == "first");
}

TEST_CASE("promises are kept in any order, each to its own caller") {
  world time;
  auto llm = time.system.spawn(debtor);
  auto one = time.ask_for(llm, "a");
  time.settle();
  auto two = time.ask_for(llm, "b");
  time.settle();
  CHECK(one->pending());
  CHECK(two->pending());
  compat::anon_send(llm, cancel_atom_v, call_id{});
  time.settle();
  REQUIRE(one->result);
  REQUIRE(two->result);
  CHECK(one->result->completions.front().text == "1");
  CHECK(two->result->completions.front().text == "2");
}

TEST_CASE("a promise that goes with its actor is answered") {
  world time;
  auto llm = time.system.spawn(debtor);
  auto reply = time.ask_for(llm, "a");
  time.settle();
  compat::anon_send(caf::actor_cast<caf::actor>(llm),
      caf::exit_msg{llm.address(), caf::make_error(caf::exit_reason::kill)});
  time.settle();
  CHECK(reply->answers == 1);
  CHECK(reply->error);
}

TEST_CASE("what comes for a request that is over is not taken for the next one's answer") {
  world time;
  auto llm = time.system.spawn<interviewer_state::actor_type>(time.system.spawn(parrot));
  auto reply = time.ask_for(llm, "go");
  time.settle();
  REQUIRE(reply->result);
  CHECK(reply->result->completions.front().text == "1 2 3 4 5 6 7 8 9 10 ");
}

TEST_CASE("each turn has the time of its own") {
  world time;
  auto begin = time.now();
  auto handle = time.system.spawn<interviewer_state::actor_type>(llm_actor{});
  auto& state = compat::state_of(
      *static_cast<interviewer_state::actor_type*>(caf::actor_cast<caf::abstract_actor*>(handle)));
  compat::anon_send(handle, cancel_atom_v, call_id{});
  time.advance(1s);
  compat::anon_send(handle, cancel_atom_v, call_id{});
  time.settle();
  CHECK(state.times == std::vector{begin, begin + 1s});
}

} // namespace owned_promise_test

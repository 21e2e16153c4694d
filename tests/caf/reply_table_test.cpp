// The table of outstanding requests, and where it keeps their handlers.
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/caf/virtual_time.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace reply_table_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

/// Holds every request, and answers all when it is cancelled: the last first, each with its number.
llm_actor::behavior_type slow_llm(llm_actor::pointer self) {
  auto held = std::make_shared<std::vector<caf::typed_response_promise<llm_result>>>();
  return {
      [self, held](generate_atom, const llm_request&, const call_context&) {
        return held->emplace_back(self->make_response_promise<llm_result>());
      },
      [](stream_atom, const llm_request&, const sink_actor&, const call_context&)
          -> caf::result<llm_result> { return make_failure(errc::unsupported, "of a test"); },
      [held](cancel_atom, const call_id&) {
        auto all = std::exchange(*held, {});
        for (auto i = all.size(); i-- > 0;) {
          llm_result result;
          result.completions.push_back({std::to_string(i), "stop", {}});
          all[i].deliver(std::move(result));
        }
      },
  };
}

/// What the handlers of a test write to.
struct notes {
  std::vector<std::string> heard = std::vector<std::string>(200);
  int handlers = 0;
  size_t errors = 0;
  bool asks_again = false;
};

/// Counts the handlers that there are.
struct counted {
  explicit counted(notes& where) : to(&where) { ++to->handlers; }
  counted(counted&& other) noexcept : to(other.to) { ++to->handlers; }
  counted& operator=(counted&&) = delete;
  ~counted() { --to->handlers; }

  notes* to;
};

/// Asks 100 times at once, every other time with a handler that is larger than a slot.
struct crowd_state {
  static constexpr const char* name = "crowd";

  using actor_type = hub_actor<llm_actor, crowd_state>;

  template <size_t Size>
  struct handler {
    crowd_state* state;
    size_t index;
    counted count;
    std::array<char, Size> ballast = {};

    void operator()(llm_result& result) {
      auto& seen = *count.to;
      if (seen.asks_again)
        state->ask<Size>(index + 100);
      // Of this handler still, whatever was asked meanwhile.
      seen.heard[index] = result.text();
    }

    void operator()(caf::error&) { ++count.to->errors; }
  };

  crowd_state(actor_type* self_ptr, llm_actor whom, notes& where)
    : self(self_ptr), other(std::move(whom)), to(where) {}

  hub<llm_actor>::behavior_type make_behavior() {
    return {
        replies.on_reply(),
        [this](generate_atom, const llm_request&, const call_context&) -> caf::result<llm_result> {
          for (size_t i = 0; i < 100; i += 2) {
            ask<1>(i);
            ask<500>(i + 1);
          }
          return make_failure(errc::unsupported, "of a test");
        },
        [](stream_atom, const llm_request&, const sink_actor&, const call_context&)
            -> caf::result<llm_result> { return make_failure(errc::unsupported, "of a test"); },
        [](cancel_atom, const call_id&) {},
    };
  }

  template <size_t Size>
  void ask(size_t index) {
    replies.ask_for<llm_result>(other, due, handler<Size>{this, index, counted{to}},
        generate_atom_v, llm_request{}, call_context{});
  }

  actor_type* self;
  llm_actor other;
  notes& to;
  deadline due = {self->clock().now() + std::chrono::seconds{10}};
  reply_table replies{self, "the LLM"};
};

struct world : virtual_time {
  notes seen;
  llm_actor slow = system.spawn(slow_llm);
  llm_actor crowd = system.spawn<crowd_state::actor_type>(slow, std::ref(seen));

  world() {
    compat::anon_send(crowd, generate_atom_v, llm_request{}, call_context{});
    settle();
  }

  void answer() {
    compat::anon_send(slow, cancel_atom_v, call_id{});
    settle();
  }
};

} // namespace

TEST_CASE("a hundred handlers, small and large, each hear their own answer") {
  world time;
  CHECK(time.seen.handlers == 100);
  time.answer();
  for (size_t i = 0; i < 100; ++i)
    CHECK(time.seen.heard[i] == std::to_string(i));
  CHECK(time.seen.handlers == 0);
  CHECK(time.seen.errors == 0);
}

TEST_CASE("handlers ask again while they run") {
  world time;
  time.seen.asks_again = true;
  time.answer();
  CHECK(time.seen.handlers == 100);
  time.seen.asks_again = false;
  time.answer();
  CHECK(time.seen.handlers == 0);
  for (size_t i = 0; i < 100; ++i) {
    CHECK(time.seen.heard[i] == std::to_string(i));
    CHECK(time.seen.heard[i + 100] == std::to_string(99 - i));
  }
}

TEST_CASE("handlers hear once that their time is over") {
  world time;
  time.advance(std::chrono::seconds{11});
  CHECK(time.seen.errors == 100);
  CHECK(time.seen.handlers == 0);
  time.answer();
  CHECK(time.seen.heard == std::vector<std::string>(200));
  CHECK(time.seen.errors == 100);
}

TEST_CASE("handlers go with their actor") {
  world time;
  compat::anon_send(caf::actor_cast<caf::actor>(time.crowd),
      caf::exit_msg{time.crowd.address(), caf::make_error(caf::exit_reason::kill)});
  time.settle();
  CHECK(time.seen.handlers == 0);
  time.answer();
  CHECK(time.seen.heard == std::vector<std::string>(200));
  CHECK(time.seen.errors == 0);
}

} // namespace reply_table_test

#include <chainmail/caf/bypass.hpp>
#include <chainmail/caf/caller_runs.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace caller_runs_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

/// Writes down what it gets, and passes numbers above 0 on, one less, to `next`.
struct counter_state {
  static inline std::vector<std::string> log;

  counter_state(caf::event_based_actor* self_ptr, std::string called, caf::actor to)
    : self(self_ptr), name(std::move(called)), next(std::move(to)) {}

  caf::behavior make_behavior() {
    return {[this](uint64_t number) {
      log.push_back(name + std::to_string(number));
      if (number > 0 && next)
        compat::send(self, next, number - 1);
      else if (number > 0)
        compat::send(self, self, number - 1);
    }};
  }

  caf::event_based_actor* self;
  std::string name;
  caf::actor next;
};

using counter = caf::stateful_actor<counter_state>;
using light_counter = light_actor<caf::stateful_actor<counter_state>>;

struct place : virtual_time {
  caf::scoped_actor self{system};
  caller_runs runs{system};

  place() { counter_state::log.clear(); }

  void send(const caf::actor& to, uint64_t number) {
    runs(self.ptr(), [&] { compat::send(self.ptr(), to, number); });
  }
};

using log_lines = std::vector<std::string>;

} // namespace

TEST_CASE(
    "light actors run in the thread that sends them mail, and so do those that they send to") {
  place here;
  auto second = here.system.spawn<light_counter>("b", caf::actor{});
  auto first = here.system.spawn<light_counter>("a", second);
  here.settle();
  here.send(first, 1);
  CHECK(counter_state::log == log_lines{"a1", "b0"});
}

TEST_CASE("other actors wait for the scheduler, wherever their mail comes from") {
  place here;
  auto heavy = here.system.spawn<counter>("b", caf::actor{});
  auto first = here.system.spawn<light_counter>("a", heavy);
  here.settle();
  here.send(first, 1);
  CHECK(counter_state::log == log_lines{"a1"});
  here.settle();
  CHECK(counter_state::log == log_lines{"a1", "b0"});
}

TEST_CASE("mail that is sent later goes to the scheduler again") {
  place here;
  auto first = here.system.spawn<light_counter>("a", caf::actor{});
  here.settle();
  here.send(first, 0);
  compat::send(here.self.ptr(), first, uint64_t{0});
  CHECK(counter_state::log.size() == 1);
  here.settle();
  CHECK(counter_state::log.size() == 2);
}

TEST_CASE("what takes long is left to the scheduler") {
  place here;
  auto first = here.system.spawn<light_counter>("a", caf::actor{});
  here.settle();
  constexpr uint64_t many = 20'000;
  here.send(first, many);
  CHECK(counter_state::log.size() > 1);
  CHECK(counter_state::log.size() < many);
  here.settle();
  CHECK(counter_state::log.size() == many + 1);
}

TEST_CASE(
    "mail that goes by an actor stays in order, and is the actor's own when nobody is there") {
  place here;
  using front = bypass<caf::event_based_actor>;
  caf::actor behind = here.system.spawn<counter>("b", caf::actor{});
  auto before = here.system.spawn<front>();
  auto* door = dynamic_cast<front*>(caf::actor_cast<caf::abstract_actor*>(before));
  REQUIRE(door != nullptr);
  door->lead_to(behind);
  for (auto number : {0, 0})
    compat::anon_send(before, static_cast<uint64_t>(number));
  here.settle();
  CHECK(counter_state::log == log_lines{"b0", "b0"});
  door->lead_to(caf::actor{});
  compat::anon_send(before, uint64_t{0});
  here.settle();
  CHECK(counter_state::log.size() == 2);
}

} // namespace caller_runs_test

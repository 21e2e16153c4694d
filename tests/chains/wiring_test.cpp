#include "support/refusal.hpp"
#include "support/scripted_chain.hpp"

#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/chains/wiring.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>

namespace wiring_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// A chain that chainmail knows nothing of but its interface.
chain_actor spawn_foreign_chain(
    caf::actor_system& system, caf::expected<chain_description> description) {
  return system.spawn(
      [description = std::move(description)](chain_actor::pointer) -> chain_actor::behavior_type {
        return {
            [](call_atom, const values& inputs, const call_context&) -> caf::result<values> {
              return inputs;
            },
            [](stream_atom, const values&, const sink_actor&, const call_context&)
                -> caf::result<values> { return make_failure(errc::unsupported, "no"); },
            [description](describe_atom) -> caf::result<chain_description> {
              if (!description)
                return description.error();
              return *description;
            },
            [](cancel_atom, const call_id&) {},
        };
      });
}

} // namespace

TEST_CASE("a chain of this process is described without a message") {
  virtual_time time; // nothing runs here that could answer
  auto chain = spawn_constant_chain(time.system, {"b", "a", "b"}, {{"z", 1}, {"y", 1}});
  auto found = describe(time.system, chain, "the chain");
  CHECK(found.input_keys == std::vector{"a"s, "b"s});
  CHECK(found.output_keys == std::vector{"y"s, "z"s});
}

TEST_CASE("a chain that has ended still has its description") {
  virtual_time time;
  auto chain = spawn_constant_chain(time.system, {"a"}, {{"z", 1}});
  caf::anon_send_exit(chain, caf::exit_reason::kill);
  time.settle();
  CHECK(describe(time.system, chain, "the chain").input_keys == std::vector{"a"s});
}

TEST_CASE("a chain that a user wrote is asked by message, and its keys are put in order") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto chain = spawn_foreign_chain(system, chain_description{{"b", "a", "a"}, {"z", "y"}});
  auto found = describe(system, chain, "the chain");
  CHECK(found.input_keys == std::vector{"a"s, "b"s});
  CHECK(found.output_keys == std::vector{"y"s, "z"s});
}

TEST_CASE("a chain that does not describe itself is refused with its slot and its reason") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto chain = spawn_foreign_chain(system, make_failure(errc::overloaded, "not now"));
  CHECK(refusal_of([&] { describe(system, chain, "the map chain"); }) ==
        "the map chain does not say which inputs and outputs it has: overloaded: not now");
}

TEST_CASE("a user's chain that is gone is refused, not waited for") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto chain = spawn_foreign_chain(system, chain_description{});
  caf::anon_send_exit(chain, caf::exit_reason::kill);
  CHECK(refusal_of([&] {
    describe(system, chain, "the map chain");
  }).starts_with("the map chain does not say which inputs and outputs it has: shut_down"));
}

TEST_CASE("an invalid handle is refused with the name of its slot") {
  virtual_time time;
  CHECK(refusal_of([&] { describe(time.system, chain_actor{}, "the map chain"); }) ==
        "the map chain needs a valid chain handle");
}

TEST_CASE("a slot for one output refuses none and several") {
  CHECK(only_output({{}, {"a"}}, "the map chain") == "a");
  CHECK(refusal_of([] {
    only_output({{}, {"a", "b"}}, "the map chain");
  }) == "the map chain must have exactly one output, but it has 2");
  CHECK(refusal_of([] {
    only_output({{}, {}}, "the map chain");
  }) == "the map chain must have exactly one output, but it has 0");
}

TEST_CASE("an answer is cut to what its chain says it gives") {
  values answer{{"a", 1}, {"b", 2}, {"c", 3}};
  CHECK(!keep_outputs({{}, {"a", "c"}}, answer, "chain 1"));
  CHECK(answer == values{{"a", 1}, {"c", 3}});
}

TEST_CASE("an answer that lacks what its chain says it gives is malformed") {
  values answer{{"a", 1}};
  auto error = keep_outputs({{}, {"a", "b", "c"}}, answer, "chain 1");
  CHECK(error == errc::malformed_response);
  CHECK(sentence_of(error) == "chain 1 answered without what it says it gives: 'b', 'c'");
}

TEST_CASE(
    "a user's chain that never describes itself is refused after 10 s, and pins nobody", "[long]") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto kept = std::make_shared<std::vector<caf::typed_response_promise<chain_description>>>();
  chain_actor chain = system.spawn([kept](chain_actor::pointer self) -> chain_actor::behavior_type {
    return {
        [](call_atom, const values& inputs, const call_context&) -> caf::result<values> {
          return inputs;
        },
        [](stream_atom, const values& inputs, const sink_actor&,
            const call_context&) -> caf::result<values> { return inputs; },
        [kept, self](describe_atom) -> caf::result<chain_description> {
          kept->push_back(self->make_response_promise<chain_description>());
          return kept->back();
        },
        [](cancel_atom, const call_id&) {},
    };
  });
  CHECK(refusal_of([&] { describe(system, chain, "the map chain"); }) ==
        "the map chain does not say which inputs and outputs it has: timed_out: the chain did not "
        "answer in time");
}

} // namespace wiring_test

// However a gather of document chains ends early, no socket stays open for it.
#include <chainmail/caf/compat.hpp>
#include <chainmail/documents/qa_chain.hpp>
#include <chainmail/gather/gather.hpp>
#include <chainmail/llm/spawn_llm.hpp>

#include <catch2/catch_test_macros.hpp>

#include <simulator/simulator.hpp>
#include <string>
#include <support/http_calls.hpp>
#include <vector>

namespace abort_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

constexpr size_t chains = 10;
constexpr size_t documents_each = 20;
constexpr size_t requests = chains * documents_each;

/// Aborting takes a few milliseconds; a machine that does other things as well is given longer.
constexpr auto tolerance = 1s * slowness;

simulator::options slow_endpoint() {
  simulator::options result;
  result.latency = 10s * slowness;
  return result;
}

/// A gather of map_reduce chains, each of whose requests waits at the endpoint.
struct slow_gather {
  simulator::server server{slow_endpoint()};
  engine_room room;
  gather_actor gatherer = spawn_gather(room.system);
  llm_actor llm;
  chain_actor chain;
  caf::actor requester;
  call_context context;

  explicit slow_gather(caf::timespan timeout = 1min) {
    openai_options endpoint;
    endpoint.base_url = server.base_url();
    llm = spawn_llm(room.system, room.http, {.endpoint = endpoint});
    chain = spawn_qa_chain(room.system, llm, qa_type::map_reduce);
    context = due_in(timeout);
    std::vector<document> documents;
    for (size_t i = 0; i < documents_each; ++i)
      documents.push_back({"The octopus has " + std::to_string(i) + " hearts.", {}});
    std::vector<values> inputs(chains,
        values{{"input_documents", documents}, {"question", std::string{"How many hearts?"}}});
    requester = room.system.spawn([this, inputs](caf::event_based_actor* self) {
      compat::request(self, gatherer, gather_atom_v, chain, inputs, gather_options{}, context)
          .then([](const std::vector<outcome>&) {});
    });
  }

  [[nodiscard]] bool is_under_way() const {
    return eventually([&] { return server.snapshot().in_flight == requests; });
  }

  /// Waits until every request was aborted, and says how long after `start`.
  void check_aborted(clock::time_point start) const {
    CHECK(eventually([&] { return server.snapshot().in_flight == 0; }, tolerance));
    auto took = std::chrono::duration<double, std::milli>(clock::now() - start).count();
    UNSCOPED_INFO("the last of " << requests << " requests was aborted after " << took << " ms");
    CHECK(server.snapshot().aborted == requests);
    CHECK(took < std::chrono::duration<double, std::milli>(tolerance).count());
    CHECK(server.snapshot().all_answered() == 0);
    CHECK(eventually([&] { return server.snapshot().connections_open == 0; }));
  }
};

} // namespace

TEST_CASE("a cancelled gather of map_reduce chains aborts every request") {
  slow_gather under_test;
  REQUIRE(under_test.is_under_way());
  auto start = clock::now();
  compat::anon_send(under_test.gatherer, cancel_atom_v, under_test.context.id);
  under_test.check_aborted(start);
}

TEST_CASE("a gather of map_reduce chains whose requester dies aborts every request") {
  slow_gather under_test;
  REQUIRE(under_test.is_under_way());
  auto start = clock::now();
  caf::anon_send_exit(under_test.requester, caf::exit_reason::kill);
  under_test.check_aborted(start);
}

TEST_CASE("a gather of map_reduce chains that is killed aborts every request") {
  slow_gather under_test;
  REQUIRE(under_test.is_under_way());
  auto start = clock::now();
  caf::anon_send_exit(under_test.gatherer, caf::exit_reason::kill);
  under_test.check_aborted(start);
}

TEST_CASE("a map_reduce chain that is killed aborts every request") {
  slow_gather under_test;
  REQUIRE(under_test.is_under_way());
  auto start = clock::now();
  caf::anon_send_exit(under_test.chain, caf::exit_reason::kill);
  under_test.check_aborted(start);
}

TEST_CASE("a gather of map_reduce chains aborts every request at its deadline") {
  slow_gather under_test{2s * slowness};
  REQUIRE(under_test.is_under_way());
  auto due = under_test.context.due.at;
  REQUIRE(clock::now() < due);
  REQUIRE(eventually(
      [&] { return under_test.server.snapshot().in_flight < requests; }, 10s * slowness));
  CHECK(clock::now() >= due);
  under_test.check_aborted(due);
}

} // namespace abort_test

// Nodes on machines of their own: network namespaces, with a wire that can be cut.
#include "e2e/program.hpp"

#include <chainmail/chains/llm_chain.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <support/http_calls.hpp>
#include <support/member.hpp>
#include <support/network_namespaces.hpp>

namespace cluster_network_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct machines {
  network net;
  member client{{.name = "client", .listen = net.own_address() + ":0", .is_insecure = true}};
  std::vector<std::unique_ptr<background_program>> workers;
  llm_actor llm = client.node.find<llm_actor>("llm");

  explicit machines(size_t count) : net(count) {
    for (size_t i = 0; i < count; ++i)
      workers.push_back(std::make_unique<background_program>("chainmail-node",
          std::vector<std::string>{"--role=worker", "--name=w" + std::to_string(i), "--insecure",
              "--simulate", "--simulated-latency=100ms",
              "--join=" + net.own_address() + ":" + std::to_string(client.node.port())},
          environment{}, net.name(i)));
    REQUIRE(client.node.wait_for_peers(count, 20s));
  }

  size_t peers() { return client.node.status().peers.size(); }

  /// All of these at once; how many were answered.
  size_t answered(size_t calls, caf::timespan timeout) {
    auto chain = spawn_llm_chain(client.system, llm, "Say {n}.");
    std::vector<values> inputs;
    for (size_t i = 0; i < calls; ++i)
      inputs.push_back({{"n", std::to_string(i)}});
    caf::scoped_actor self{client.system};
    auto outcomes = gather(self, chain, inputs, {}, timeout);
    REQUIRE(outcomes);
    size_t result = 0;
    for (const auto& each : *outcomes)
      if (each.ok())
        ++result;
      else
        UNSCOPED_INFO(describe(each.error));
    return result;
  }
};

} // namespace

TEST_CASE("a machine that is cut off is noticed, its calls are made again, and it comes back",
    "[cluster][network]") {
  if (auto reason = network::why_not())
    SKIP(*reason);
  machines all{3};
  CHECK(all.answered(60, 20s) == 60);
  auto work = std::async(std::launch::async, [&] { return all.answered(300, 20s); });
  std::this_thread::sleep_for(50ms);
  all.net.cut(0);
  CHECK(eventually([&] { return all.peers() == 2; }, 1'500ms * slowness));
  CHECK(work.get() == 300);
  all.workers[0]->wait_for_line("lost client", 2s * slowness);
  all.net.heal(0);
  CHECK(eventually([&] { return all.peers() == 3; }, 6s));
  CHECK(all.answered(60, 20s) == 60);
}

TEST_CASE("with all machines cut off, calls end soon and clearly", "[cluster][network]") {
  if (auto reason = network::why_not())
    SKIP(*reason);
  machines all{2};
  all.net.cut(0);
  all.net.cut(1);
  caf::scoped_actor self{all.client.system};
  auto start = clock::now();
  auto answer = generate(self, all.llm, std::string{"Say 1."}, 30s);
  REQUIRE(!answer);
  INFO(describe(answer.error()));
  CHECK(code_of(answer.error()) == errc::unavailable);
  // Up to 1.2 s until the silence is noticed, 0.8 s of patience for another node.
  CHECK(clock::now() - start < 2'200ms * slowness);
  all.net.heal(1);
  CHECK(eventually([&] { return all.peers() == 1; }, 6s));
  CHECK(all.answered(10, 20s) == 10);
}

} // namespace cluster_network_test

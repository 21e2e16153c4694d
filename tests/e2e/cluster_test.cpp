// Clusters of real processes that join, leave, die and freeze.
#include "e2e/program.hpp"

#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/gather/gather.hpp>

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <fstream>
#include <memory>
#include <random>
#include <support/http_calls.hpp>
#include <support/member.hpp>
#include <support/temporary_folder.hpp>

namespace cluster_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct worker_process {
  background_program program;

  worker_process(const std::string& name, const std::vector<std::string>& join,
      const std::string& base_url, std::vector<std::string> more = {})
    : program("chainmail-node", arguments(name, join, base_url, std::move(more))) {}

  static std::vector<std::string> arguments(const std::string& name,
      const std::vector<std::string>& join, const std::string& base_url,
      std::vector<std::string> more) {
    more.insert(more.end(), {"--role=worker", "--name=" + name, "--llm.base-url=" + base_url});
    for (const auto& address : join)
      more.push_back("--join=" + address);
    return more;
  }
};

/// "chainmail-node: c1 (coordinator) ready on port 41234"
std::string address_in(const std::string& line) {
  auto port = line.rfind(' ');
  INFO(line);
  REQUIRE(line.find("ready on port") != std::string::npos);
  return "127.0.0.1:" + line.substr(port + 1);
}

struct coordinator_process {
  background_program program;
  std::string address;

  explicit coordinator_process(const std::string& name, std::vector<std::string> more = {})
    : program("chainmail-node", arguments(name, std::move(more))),
      address(address_in(program.first_line())) {}

  static std::vector<std::string> arguments(
      const std::string& name, std::vector<std::string> more) {
    more.insert(more.end(), {"--role=coordinator", "--name=" + name, "--listen=127.0.0.1:0"});
    return more;
  }
};

/// The simulator repeats what it was told when it knows nothing better.
bool is_answer_to(const std::string& text, size_t number) {
  return text.find("number " + std::to_string(number) + ".") != std::string::npos;
}

/// All calls at once, each by way of a chain.
struct crowd {
  std::vector<outcome> outcomes;
  double seconds = 0;

  crowd(member& client, const llm_actor& llm, size_t calls, caf::timespan timeout) {
    auto chain = spawn_llm_chain(client.system, llm, "Say the number {n}.");
    std::vector<values> inputs;
    for (size_t i = 0; i < calls; ++i)
      inputs.push_back({{"n", std::to_string(i)}});
    caf::scoped_actor self{client.system};
    auto start = clock::now();
    auto result = gather(self, chain, inputs, {}, timeout);
    seconds = std::chrono::duration<double>(clock::now() - start).count();
    REQUIRE(result);
    outcomes = std::move(*result);
  }

  void check_all_right() const {
    size_t wrong = 0;
    for (size_t i = 0; i < outcomes.size(); ++i) {
      const auto& each = outcomes[i];
      if (each.ok() && is_answer_to(std::get<std::string>(each.result.at("text")), i))
        continue;
      if (++wrong <= 3)
        UNSCOPED_INFO(i << ": "
                        << (each.ok() ? std::get<std::string>(each.result.at("text"))
                                      : describe(each.error)));
    }
    CHECK(wrong == 0);
  }
};

size_t peers_of(member& who) {
  return who.node.status().peers.size();
}

} // namespace

TEST_CASE("workers join a coordinator, and clients ask it", "[cluster]") {
  simulator_process endpoint{{"--latency=20ms"}};
  coordinator_process coordinator{"c1"};
  worker_process one{"w1", {coordinator.address}, endpoint.base_url()};
  worker_process two{"w2", {coordinator.address}, endpoint.base_url()};
  one.program.wait_for_line("joined c1");
  two.program.wait_for_line("joined c1");
  member client{{.name = "client", .join = {coordinator.address}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  crowd calls{client, client.node.find<llm_actor>("llm"), 200, 30s};
  calls.check_all_right();
}

TEST_CASE("a worker that is told to stop finishes what it has", "[cluster]") {
  simulator_process endpoint{{"--latency=700ms"}};
  member client{{.name = "client", .listen = "127.0.0.1:0"}};
  auto llm = client.node.find<llm_actor>("llm");
  worker_process leaving{"leaving", {client.address()}, endpoint.base_url()};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto work = std::async(std::launch::async, [&] { return crowd{client, llm, 50, 20s}; });
  std::this_thread::sleep_for(300ms);
  auto result = leaving.program.terminate(SIGTERM);
  CHECK(result.status == 0);
  CHECK(result.out.find("left") != std::string::npos);
  auto done = work.get();
  done.check_all_right();
  CHECK(eventually([&] { return peers_of(client) == 0; }, 2s));
}

TEST_CASE(
    "a dead and a frozen node are noticed within 1.5 s, a thawed one comes back", "[cluster]") {
  simulator_process endpoint{{"--latency=10ms"}};
  member client{{.name = "client", .listen = "127.0.0.1:0"}};
  auto frozen = std::make_unique<worker_process>(
      "frozen", std::vector{client.address()}, endpoint.base_url());
  auto killed = std::make_unique<worker_process>(
      "killed", std::vector{client.address()}, endpoint.base_url());
  REQUIRE(client.node.wait_for_peers(2, 10s));
  killed->program.send_signal(SIGKILL);
  CHECK(eventually([&] { return peers_of(client) == 1; }, 1'500ms * slowness));
  frozen->program.send_signal(SIGSTOP);
  CHECK(eventually([&] { return peers_of(client) == 0; }, 1'500ms * slowness));
  frozen->program.send_signal(SIGCONT);
  CHECK(client.node.wait_for_peers(1, 5s));
  auto llm = client.node.find<llm_actor>("llm");
  crowd{client, llm, 20, 20s}.check_all_right();
}

TEST_CASE("when a coordinator dies, its calls end and another one serves on", "[cluster]") {
  simulator_process endpoint{{"--latency=1500ms"}};
  temporary_folder folder;
  auto file = folder.path("chains.conf");
  std::ofstream{file}
      << "chains { names { kind = \"llm_chain\", template = \"Say the number {n}.\" } }\n";
  auto configured = std::vector<std::string>{"--config-file=" + file};
  auto first = std::make_unique<coordinator_process>("c1", configured);
  coordinator_process second{"c2", configured};
  member client{{.name = "client", .join = {first->address}}};
  worker_process worker{"w1", {first->address, second.address}, endpoint.base_url()};
  worker.program.wait_for_line("joined c1");
  worker.program.wait_for_line("joined c2");
  REQUIRE(client.node.wait_for_peers(1, 5s));
  auto names = client.node.find<chain_actor>("names");
  caf::scoped_actor self{client.system};
  auto work = std::async(std::launch::async, [&] {
    caf::scoped_actor caller{client.system};
    auto result = call(caller, names, {{"n", std::string{"1"}}}, 30s);
    return std::pair{result ? "answered"s : describe(result.error()), clock::now()};
  });
  std::this_thread::sleep_for(500ms);
  auto killed_at = clock::now();
  first->program.send_signal(SIGKILL);
  auto [said, at] = work.get();
  CHECK(said.find("unavailable: the node c1 was lost") == 0);
  CHECK(at - killed_at < 2s);
  auto start = clock::now();
  auto refused = call(self, names, {{"n", std::string{"1"}}}, 30s);
  CHECK(!refused);
  CHECK(clock::now() - start < 2s);
  member other{{.name = "other", .join = {second.address}}};
  REQUIRE(other.node.wait_for_peers(1, 10s));
  auto there = other.node.find<chain_actor>("names");
  caf::scoped_actor caller{other.system};
  auto answer = run(caller, there, {{"n", std::string{"7"}}}, 30s);
  INFO((answer ? *answer : describe(answer.error())));
  CHECK(answer);
}

TEST_CASE("a client of two coordinators loses no call with one of them", "[cluster]") {
  simulator_process endpoint{{"--latency=300ms"}};
  auto first = std::make_unique<coordinator_process>("c1");
  coordinator_process second{"c2"};
  std::vector<std::string> both{first->address, second.address};
  worker_process one{"w1", both, endpoint.base_url()};
  worker_process two{"w2", both, endpoint.base_url()};
  member client{{.name = "client", .join = both}};
  REQUIRE(client.node.wait_for_peers(2, 5s));
  for (auto* each : {&one, &two}) {
    each->program.wait_for_line("joined c1");
    each->program.wait_for_line("joined c2");
  }
  auto llm = client.node.find<llm_actor>("llm");
  auto work = std::async(std::launch::async, [&] { return crowd{client, llm, 300, 30s}; });
  std::this_thread::sleep_for(150ms);
  first->program.send_signal(SIGKILL);
  work.get().check_all_right();
}

namespace {

/// 2,000 calls over three workers, of which one is killed and one freezes at moments that the seed
/// chooses.
void lose_two_of_three(uint32_t seed) {
  INFO("seed " << seed);
  constexpr auto calls = size_t{2'000};
  constexpr auto capacity = size_t{100};
  constexpr auto latency = 0.2;
  simulator_process endpoint{{"--latency=200ms"}};
  member client{{.name = "client", .listen = "127.0.0.1:0"}};
  std::vector<std::unique_ptr<worker_process>> workers;
  for (auto* name : {"w1", "w2", "w3"})
    workers.push_back(std::make_unique<worker_process>(name, std::vector{client.address()},
        endpoint.base_url(), std::vector{"--capacity=" + std::to_string(capacity)}));
  REQUIRE(client.node.wait_for_peers(3, 20s));
  auto llm = client.node.find<llm_actor>("llm");
  std::mt19937 random{seed};
  std::ranges::shuffle(workers, random);
  auto moment = [&random] {
    return std::chrono::milliseconds{std::uniform_int_distribution<int>{0, 1'200}(random)};
  };
  auto kill_at = moment();
  auto freeze_at = moment();
  auto accident = std::async(std::launch::async, [&, start = clock::now()] {
    auto events = std::vector{std::tuple{kill_at, 0U, SIGKILL}, std::tuple{freeze_at, 1U, SIGSTOP}};
    std::ranges::sort(events);
    for (auto [at, index, signal] : events) {
      std::this_thread::sleep_until(start + at);
      workers[index]->program.send_signal(signal);
    }
  });
  crowd all{client, llm, calls, 60s};
  accident.get();
  INFO("killed at " << kill_at.count() << " ms, frozen at " << freeze_at.count() << " ms");
  all.check_all_right();
  // All that the one worker that is left needs for all calls, and two seconds.
  auto alone = static_cast<double>(calls) / static_cast<double>(capacity) * latency;
  CHECK(all.seconds < (alone + 2) * slowness);
  workers[1]->program.send_signal(SIGCONT);
}

} // namespace

TEST_CASE("two of three workers are lost, but no call", "[cluster]") {
  lose_two_of_three(1);
}

TEST_CASE("two of three workers are lost at any moment, but no call", "[cluster][long]") {
  for (auto seed = 2U; seed <= 21; ++seed)
    lose_two_of_three(seed);
}

} // namespace cluster_test

// One limit for three nodes, with and without the node that keeps it.
#include "e2e/program.hpp"

#include <chainmail/gather/calls.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <memory>
#include <simulator/simulator.hpp>
#include <support/http_calls.hpp>
#include <support/member.hpp>

namespace cluster_limits_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// The most that one node leases at once.
constexpr auto largest_lease = 64;
constexpr auto nodes = 3;

/// Requests that had reached the endpoint, by time.
struct sample {
  double at = 0;
  double requests = 0;
};

struct caller_state {
  std::atomic<bool> is_over = false;
  size_t in_flight = 0;
};

/// Keeps 300 calls waiting.
caf::behavior keep_calling(caf::event_based_actor* self, const llm_actor& llm,
    const std::shared_ptr<caller_state>& state) {
  auto fill = std::make_shared<std::function<void()>>();
  *fill = [self, llm, state, weak = std::weak_ptr{fill}] {
    while (!state->is_over && state->in_flight < 300) {
      ++state->in_flight;
      auto again = [weak, state](auto&&...) {
        --state->in_flight;
        if (auto more = weak.lock())
          (*more)();
      };
      generate(self, llm, llm_request{{"Say 1."}, {}, {}, {}}, make_context(self, 20s))
          .then([again](const llm_result&) { again(); }, [again](const caf::error&) { again(); });
    }
  };
  (*fill)();
  return {[fill](turn_atom) { (*fill)(); }};
}

struct limited_cluster {
  simulator::server endpoint{[] {
    simulator::options options;
    options.latency = 20ms;
    return options;
  }()};
  std::unique_ptr<background_program> coordinator;
  std::vector<std::unique_ptr<background_program>> workers;
  member client{{.name = "client", .listen = "127.0.0.1:0"}};
  llm_actor llm = client.node.find<llm_actor>("llm");
  clock::time_point start = clock::now();

  explicit limited_cluster(int requests_per_minute) {
    coordinator = std::make_unique<background_program>("chainmail-node",
        std::vector<std::string>{"--role=coordinator", "--name=c1", "--listen=127.0.0.1:0",
            "--llm.requests-per-minute=" + std::to_string(requests_per_minute)});
    auto line = coordinator->first_line();
    auto address = "127.0.0.1:" + line.substr(line.rfind(' ') + 1);
    for (auto i = 0; i < nodes; ++i) {
      workers.push_back(std::make_unique<background_program>("chainmail-node",
          std::vector<std::string>{"--role=worker", "--name=w" + std::to_string(i),
              "--llm.base-url=" + endpoint.base_url(), "--shared-limits", "--join=" + address,
              "--join=" + client.address()}));
      workers.back()->wait_for_line("joined c1");
    }
    REQUIRE(client.node.wait_for_peers(nodes, 10s));
  }

  /// Keeps so many calls waiting for that long, and samples what reaches the endpoint.
  std::vector<sample> press(clock::duration how_long, const std::function<void(double)>& at_time) {
    std::vector<sample> result;
    start = clock::now();
    auto state = std::make_shared<caller_state>();
    auto driver = client.system.spawn(keep_calling, llm, state);
    auto seconds = [this] { return std::chrono::duration<double>(clock::now() - start).count(); };
    while (clock::now() - start < how_long) {
      result.push_back({seconds(), static_cast<double>(endpoint.snapshot().requests)});
      at_time(result.back().at);
      std::this_thread::sleep_for(20ms);
    }
    state->is_over = true;
    caf::anon_send_exit(driver, caf::exit_reason::kill);
    return result;
  }
};

/// The most requests in any window of that length.
double most_in(const std::vector<sample>& samples, double window, double from, double to) {
  double result = 0;
  size_t first = 0;
  for (const auto& last : samples) {
    while (samples[first].at < last.at - window)
      ++first;
    if (samples[first].at >= from && last.at <= to)
      result = std::max(result, last.requests - samples[first].requests);
  }
  return result;
}

double count_between(const std::vector<sample>& samples, double from, double to) {
  auto at = [&](double time) {
    auto found = std::ranges::lower_bound(samples, time, {}, &sample::at);
    return found == samples.end() ? samples.back().requests : found->requests;
  };
  return at(to) - at(from);
}

} // namespace

TEST_CASE("three nodes share one limit", "[cluster][limits]") {
  limited_cluster cluster{6'000};
  auto samples = cluster.press(7s, [](double) {});
  auto rate = 100.0;
  // Over a few seconds, what flows evenly is not exceeded by more than a lease a node and the burst
  // of a hundredth.
  CHECK(most_in(samples, 3, 0, 7) <= 3 * rate + nodes * largest_lease + 60);
  CHECK(count_between(samples, 1, 7) >= 0.95 * 6 * rate);
}

TEST_CASE("without the limiter's node, each node keeps to its share", "[cluster][limits]") {
  limited_cluster cluster{6'000};
  auto killed = false;
  auto samples = cluster.press(12s, [&](double at) {
    if (at < 3 || killed)
      return;
    killed = true;
    cluster.coordinator->send_signal(SIGKILL);
  });
  auto rate = 100.0;
  CHECK(most_in(samples, 3, 0, 12) <= 3 * rate + nodes * largest_lease + 60);
  auto alone = count_between(samples, 7, 12) / 5;
  INFO("a second without the limiter: " << alone);
  CHECK(alone > 0.5 * rate);
  CHECK(alone < 1.1 * rate);
}

TEST_CASE("600 requests a minute over three nodes, minute by minute", "[cluster][limits][long]") {
  limited_cluster cluster{600};
  auto samples = cluster.press(190s, [](double) {});
  CHECK(most_in(samples, 60, 0, 190) <= 600 + nodes * largest_lease);
  auto used = count_between(samples, 5, 185) / 3;
  INFO("requests a minute: " << used);
  CHECK(used >= 0.95 * 600);
}

} // namespace cluster_limits_test

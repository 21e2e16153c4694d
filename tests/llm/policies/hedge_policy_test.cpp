#include <chainmail/errors.hpp>
#include <chainmail/llm/policies/hedge_policy.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <vector>

namespace hedge_policy_test {

using namespace chainmail;
using namespace std::literals;

namespace {

void answer(hedge_policy& policy, caf::timespan took, int times) {
  for (int i = 0; i < times; ++i)
    policy.answered(took);
}

std::string complaint(void (*change)(hedge_options&)) {
  hedge_options options;
  change(options);
  return sentence_of(check(options));
}

/// Calls that come 10 ms apart, answered by an endpoint whose latencies are drawn from `latency`.
struct simulation {
  std::function<caf::timespan()> latency;
  bool with_hedges = true;
  size_t hedges = 0;
  std::vector<caf::timespan> took = {};

  void run(int calls) {
    hedge_policy policy{{}};
    std::multimap<caf::timespan, std::function<void(caf::timespan)>> events;
    auto process_until = [&events](caf::timespan now) {
      while (!events.empty() && events.begin()->first <= now) {
        auto event = events.extract(events.begin());
        event.mapped()(event.key());
      }
    };
    for (int i = 0; i < calls; ++i) {
      caf::timespan sent = i * 10ms;
      process_until(sent);
      policy.sent();
      auto ends = std::make_shared<caf::timespan>(sent + latency());
      auto is_over = std::make_shared<bool>(false);
      auto on_answer = [&, sent, is_over](caf::timespan now) {
        if (std::exchange(*is_over, true))
          return;
        took.push_back(now - sent);
        policy.answered(now - sent);
      };
      events.emplace(*ends, on_answer);
      if (auto delay = policy.delay(); delay && with_hedges)
        events.emplace(sent + *delay, [&, is_over, on_answer](caf::timespan now) {
          if (*is_over || !policy.spend())
            return;
          ++hedges;
          events.emplace(now + latency(), on_answer);
        });
    }
    process_until(caf::timespan::max());
  }

  [[nodiscard]] caf::timespan p99() {
    auto rank = took.begin() + static_cast<ptrdiff_t>(took.size() * 99 / 100);
    std::nth_element(took.begin(), rank, took.end());
    return *rank;
  }
};

} // namespace

TEST_CASE("hedge options that can never work are refused with the name of the option") {
  CHECK_FALSE(check(hedge_options{}));
  auto names = [](const std::string& sentence, const char* option) {
    CAPTURE(sentence);
    return sentence.find(option) == 0;
  };
  CHECK(names(complaint([](auto& x) { x.max_extra = 0; }), "max_extra"));
  CHECK(names(complaint([](auto& x) { x.max_extra = 2; }), "max_extra"));
  CHECK(names(complaint([](auto& x) { x.max_extra = std::numeric_limits<double>::quiet_NaN(); }),
      "max_extra"));
  CHECK(names(complaint([](auto& x) { x.min_samples = 0; }), "min_samples"));
  CHECK(names(complaint([](auto& x) { x.min_samples = 513; }), "min_samples"));
  CHECK(names(complaint([](auto& x) { x.min_delay = -1s; }), "min_delay"));
}

TEST_CASE("there is no delay before enough calls were answered") {
  hedge_policy policy{{}};
  answer(policy, 1s, 49);
  CHECK_FALSE(policy.delay());
  policy.answered(1s);
  CHECK(policy.delay() == 1s);
}

TEST_CASE("the delay is the 95th percentile of the last 512 answers") {
  hedge_policy policy{{}};
  answer(policy, 1h, 1000);
  for (int i = 1; i <= 512; ++i)
    policy.answered(1s + i * 1ms);
  // The last look was 8 answers before the end.
  CHECK(*policy.delay() >= 1480ms);
  CHECK(*policy.delay() <= 1490ms);
}

TEST_CASE("slow calls that are the 95th percentile themselves do not hide from hedging") {
  hedge_policy policy{{}};
  for (int i = 0; i < 50; ++i) {
    answer(policy, 1s, 94);
    answer(policy, 20s, 6);
  }
  CHECK(*policy.delay() == 1500ms);
}

TEST_CASE("no call is hedged sooner than min_delay") {
  hedge_policy policy{{}};
  answer(policy, 1us, 512);
  CHECK(*policy.delay() == 5ms);
}

TEST_CASE("ten calls earn one hedge, and none is there before") {
  hedge_policy policy{{}};
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 10; ++i) {
      CHECK_FALSE(policy.spend());
      policy.sent();
    }
    CHECK(policy.spend());
    CHECK_FALSE(policy.spend());
  }
}

TEST_CASE("after a long calm ten hedges may go out at once") {
  hedge_policy policy{{}};
  for (int i = 0; i < 100'000; ++i)
    policy.sent();
  int hedges = 0;
  while (policy.spend())
    ++hedges;
  CHECK(hedges == 10);
}

TEST_CASE(
    "with 5 % of the calls slow by 20 times, hedging lowers p99 to a fifth for 10 % more calls") {
  constexpr int calls = 20'000;
  for (double spread : {0.0, 0.1, 0.3, 0.5})
    for (double slow : {0.04, 0.05, 0.06})
      for (uint32_t seed = 1; seed <= 3; ++seed) {
        auto make = [=](bool with_hedges) {
          auto random = std::make_shared<std::mt19937>(seed);
          auto latency = [=] {
            auto seconds = std::exp(spread * std::normal_distribution{}(*random));
            if (std::bernoulli_distribution{slow}(*random))
              seconds *= 20;
            return std::chrono::duration_cast<caf::timespan>(
                std::chrono::duration<double>{seconds});
          };
          simulation result{latency, with_hedges};
          result.run(calls);
          return result;
        };
        auto plain = make(false);
        auto hedged = make(true);
        REQUIRE(hedged.took.size() == calls);
        auto gain =
            static_cast<double>(plain.p99().count()) / static_cast<double>(hedged.p99().count());
        CAPTURE(spread, slow, seed, gain, hedged.hedges);
        CHECK(gain >= 5);
        CHECK(hedged.hedges <= calls / 10);
      }
}

TEST_CASE("an endpoint that becomes slow as a whole gets no more than 10 % more calls") {
  int answered = 0;
  simulation slowing{[&answered] { return ++answered < 2000 ? 1s : caf::timespan{5s}; }};
  slowing.run(10'000);
  CHECK(slowing.hedges <= 1000);
}

} // namespace hedge_policy_test

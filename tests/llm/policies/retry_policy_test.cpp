#include <chainmail/llm/policies/retry_policy.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <limits>
#include <vector>

namespace retry_policy_test {

using namespace chainmail;
using namespace std::literals;

namespace {

using time_point = retry_policy::time_point;

const time_point start{1h};
const deadline never;

caf::error failure(errc code, std::optional<caf::timespan> retry_after = std::nullopt) {
  error_detail detail;
  detail.retry_after = retry_after;
  return make_failure(code, "no", detail);
}

/// The waits of one call that fails for ever.
std::vector<caf::timespan> waits(
    retry_policy& policy, const caf::error& why, deadline due = never) {
  std::vector<caf::timespan> result;
  retry_state state;
  auto now = start;
  while (auto delay = policy.next(state, why, now, due)) {
    result.push_back(*delay);
    now += *delay;
  }
  return result;
}

std::string complaint(void (*change)(retry_options&)) {
  retry_options options;
  change(options);
  return sentence_of(check(options));
}

} // namespace

TEST_CASE("retry options that can never work are refused with the name of the option") {
  CHECK_FALSE(check(retry_options{}));
  auto names = [](const std::string& sentence, const char* option) {
    CAPTURE(sentence);
    return sentence.find(option) == 0;
  };
  CHECK(names(complaint([](auto& x) { x.max_attempts = 0; }), "max_attempts"));
  CHECK(names(complaint([](auto& x) { x.first_delay = 0s; }), "first_delay"));
  CHECK(names(complaint([](auto& x) { x.max_delay = 1ms; }), "max_delay"));
  CHECK(names(complaint([](auto& x) { x.max_delay = 25h; }), "max_delay"));
  CHECK(names(complaint([](auto& x) { x.attempt_timeout = 0s; }), "attempt_timeout"));
  CHECK(names(complaint([](auto& x) { x.budget_per_success = -1; }), "budget_per_success"));
  CHECK(names(
      complaint([](auto& x) { x.budget_per_success = std::numeric_limits<double>::quiet_NaN(); }),
      "budget_per_success"));
}

TEST_CASE("only errors that may go away are retried") {
  std::vector<errc> retried;
  for (int i = 0; i < 256; ++i) {
    auto code = static_cast<errc>(i);
    retry_policy policy{{}, 1};
    retry_state state;
    auto is_retried = policy.next(state, make_failure(code, "no"), start, never).has_value();
    CHECK(is_retried == is_retryable(code));
    if (is_retried)
      retried.push_back(code);
  }
  CHECK(retried == std::vector{errc::rate_limited, errc::server_error, errc::connection_failed,
                       errc::timed_out, errc::malformed_response, errc::shut_down,
                       errc::unavailable});
}

TEST_CASE("a call that fails for ever is made max_attempts times") {
  for (uint32_t attempts : {1U, 2U, 5U}) {
    retry_options options;
    options.max_attempts = attempts;
    retry_policy policy{options, 7};
    CHECK(waits(policy, failure(errc::server_error)).size() == attempts - 1);
  }
}

TEST_CASE("back-off is uniform below a ceiling that doubles up to max_delay") {
  retry_options options;
  options.max_attempts = 7;
  options.first_delay = 1s;
  options.max_delay = 10s;
  options.budget = 1'000'000;
  retry_policy policy{options, 3};
  const std::vector<caf::timespan> ceilings = {1s, 2s, 4s, 8s, 10s, 10s};
  std::vector<caf::timespan> sum(ceilings.size());
  std::vector<caf::timespan> longest(ceilings.size());
  constexpr int rounds = 2000;
  for (int i = 0; i < rounds; ++i) {
    auto delays = waits(policy, failure(errc::connection_failed));
    REQUIRE(delays.size() == ceilings.size());
    for (size_t k = 0; k < delays.size(); ++k) {
      sum[k] += delays[k];
      longest[k] = std::max(longest[k], delays[k]);
    }
  }
  for (size_t k = 0; k < ceilings.size(); ++k) {
    CAPTURE(k);
    CHECK(longest[k] <= ceilings[k]);
    CHECK(longest[k] > ceilings[k] * 98 / 100);
    CHECK(sum[k] / rounds > ceilings[k] * 45 / 100);
    CHECK(sum[k] / rounds < ceilings[k] * 55 / 100);
  }
}

TEST_CASE("equal seeds give equal delays, others do not") {
  retry_policy first{{}, 5};
  retry_policy second{{}, 5};
  retry_policy other{{}, 6};
  auto delays = waits(first, failure(errc::server_error));
  CHECK(waits(second, failure(errc::server_error)) == delays);
  CHECK(waits(other, failure(errc::server_error)) != delays);
}

TEST_CASE(
    "a 429 waits for its Retry-After and hardly longer, and callers do not come back at once") {
  retry_policy policy{{}, 1};
  for (auto [asked, slack] : {std::pair<caf::timespan, caf::timespan>{100ms, 10ms}, {20s, 50ms}}) {
    std::vector<caf::timespan> delays;
    for (int i = 0; i < 200; ++i) {
      retry_state state;
      delays.push_back(*policy.next(state, failure(errc::rate_limited, asked), start, never));
    }
    auto [least, most] = std::minmax_element(delays.begin(), delays.end());
    CHECK(*least >= asked);
    CHECK(*most <= asked + slack);
    CHECK(*most - *least > slack / 2);
  }
}

TEST_CASE("429s spend neither attempts nor budget, and end after max_rate_limited") {
  retry_options options;
  options.max_attempts = 2;
  options.budget = 1;
  options.max_rate_limited = 30;
  retry_policy policy{options, 1};
  CHECK(waits(policy, failure(errc::rate_limited)).size() == 30);
  CHECK(policy.budget_left() == 1);
  retry_state state;
  for (int i = 0; i < 30; ++i)
    REQUIRE(policy.next(state, failure(errc::rate_limited, 1s), start, never));
  CHECK(policy.next(state, failure(errc::server_error), start, never));
  CHECK_FALSE(policy.next(state, failure(errc::rate_limited, 1s), start, never));
  CHECK_FALSE(policy.next(state, failure(errc::server_error), start, never));
}

TEST_CASE("a 429 that names no time, or none to wait, backs off by its own count") {
  for (auto asked : {std::optional<caf::timespan>{}, std::optional<caf::timespan>{0s},
           std::optional<caf::timespan>{-5s}}) {
    retry_policy policy{{}, 1};
    caf::timespan sum{0};
    for (int i = 0; i < 200; ++i) {
      retry_state state;
      state.failures = 4;
      auto delay = policy.next(state, failure(errc::rate_limited, asked), start, never);
      REQUIRE(delay);
      CHECK(*delay <= 500ms);
      sum += *delay;
    }
    CHECK(sum / 200 > 200ms);
    CHECK(sum / 200 < 300ms);
  }
}

TEST_CASE("another error is not retried before its Retry-After either") {
  retry_policy policy{{}, 1};
  for (auto delay : waits(policy, failure(errc::server_error, 30s))) {
    CHECK(delay >= 30s);
    CHECK(delay <= 30s + 50ms);
  }
}

TEST_CASE("nothing is retried when the call would be due before the attempt starts") {
  retry_policy policy{{}, 1};
  retry_state state;
  auto limited = failure(errc::rate_limited, 10s);
  CHECK_FALSE(policy.next(state, limited, start, {start + 10s}));
  CHECK(policy.next(state, limited, start, {start + 10051ms}));
  CHECK_FALSE(policy.next(state, failure(errc::server_error, 10s), start, {start + 10s}));
  CHECK(policy.budget_left() == 100);
  CHECK_FALSE(policy.next(state, limited, start, {start}));
  CHECK_FALSE(policy.next(state, limited, start, {time_point::min()}));
}

TEST_CASE("a Retry-After without measure overflows nothing") {
  retry_policy policy{{}, 1};
  retry_state state;
  for (auto asked : {caf::timespan::max(), caf::timespan::min()}) {
    auto delay = policy.next(state, failure(errc::rate_limited, asked), start, never);
    REQUIRE(delay);
    CHECK(*delay >= 0s);
    CHECK(*delay <= 25h);
  }
}

TEST_CASE("in an outage all calls together make no more retries than the budget") {
  retry_options options;
  options.budget = 40;
  options.budget_per_success = 0.5;
  retry_policy policy{options, 1};
  auto retries_of = [&policy](int calls) {
    size_t result = 0;
    for (int i = 0; i < calls; ++i)
      result += waits(policy, failure(errc::server_error)).size();
    return result;
  };
  CHECK(retries_of(1000) == 40);
  CHECK(policy.budget_left() == 0);
  for (int i = 0; i < 20; ++i)
    policy.succeeded();
  CHECK(retries_of(1000) == 10);
  for (int i = 0; i < 1000; ++i)
    policy.succeeded();
  CHECK(policy.budget_left() == 40);
}

} // namespace retry_policy_test

// The arithmetic of the bench.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <bench/latency_histogram.hpp>
#include <bench/pace.hpp>
#include <bench/trend.hpp>
#include <cmath>

namespace bench_test {

using namespace chainmail::bench;
using namespace std::literals;
using Catch::Approx;

TEST_CASE("percentiles of a latency histogram are right to a hundredth") {
  latency_histogram times;
  for (auto i = 1; i <= 100'000; ++i)
    times.add(i * 1us);
  CHECK(times.count() == 100'000);
  CHECK(times.percentile_ms(0) == Approx(0.001).epsilon(0.01));
  CHECK(times.percentile_ms(0.5) == Approx(50).epsilon(0.01));
  CHECK(times.percentile_ms(0.99) == Approx(99).epsilon(0.01));
  CHECK(times.percentile_ms(1) == 100);
  CHECK(times.max_ms() == 100);
}

TEST_CASE("a latency histogram takes any time") {
  latency_histogram times;
  CHECK(times.percentile_ms(0.5) == 0);
  times.add(-1s); // clocks of two cores
  times.add(0ns);
  times.add(1ns);
  times.add(1000h);
  CHECK(times.count() == 4);
  CHECK(times.percentile_ms(0) == 0);
  CHECK(times.percentile_ms(0.5) == Approx(0.000001));
  CHECK(times.percentile_ms(1) > 4e6); // more than an hour, which is as long as any
}

TEST_CASE("a tail of one call in a hundred is seen") {
  latency_histogram times;
  for (auto i = 0; i < 980; ++i)
    times.add(1ms);
  for (auto i = 0; i < 20; ++i)
    times.add(50ms);
  CHECK(times.percentile_ms(0.5) == Approx(1).epsilon(0.01));
  CHECK(times.percentile_ms(0.9) == Approx(1).epsilon(0.01));
  CHECK(times.percentile_ms(0.99) == Approx(50).epsilon(0.01));
}

TEST_CASE("calls are due at even distances from the beginning on") {
  pace plan;
  plan.per_second = 1'000;
  plan.warm_up = 2;
  plan.calls = 10;
  CHECK(plan.calls_due(plan.begin - 1ms) == 0);
  CHECK(plan.calls_due(plan.begin) == 1);
  CHECK(plan.calls_due(plan.begin + 1500us) == 2);
  CHECK(plan.calls_due(plan.begin + 4500us) == 5);
  CHECK(plan.calls_due(plan.begin + 1h) == 12);
  CHECK(plan.due(0) == plan.begin);
  CHECK(plan.due(5) == plan.begin + 5ms);
  CHECK_FALSE(plan.is_measured(1));
  CHECK(plan.is_measured(2));
}

TEST_CASE("a call that was made late has waited since it was due") {
  pace plan;
  plan.begin = pace::clock::now() - 10ms;
  plan.calls = 1;
  paced_figures found;
  found.note(plan, 0, pace::clock::now());
  CHECK(found.from_due.max_ms() >= 10);
  CHECK(found.from_call.max_ms() < found.from_due.max_ms() - 9);
}

TEST_CASE("a line through samples has their slope, and their scatter about it") {
  std::vector<sample> samples;
  for (auto i = 0; i < 100; ++i)
    samples.push_back({10.0 + i, 500.0 + 3 * i + (i % 2 == 0 ? 1 : -1)});
  auto line = fit(samples);
  CHECK(line.slope_per_s == Approx(3).epsilon(0.001));
  CHECK(line.scatter == Approx(1).epsilon(0.02));
  CHECK(line.growth == Approx(297).epsilon(0.001));
  CHECK(line.mean == Approx(500 + 3 * 49.5));
  CHECK(
      line.slope_error_per_s == Approx(1 / std::sqrt(100 * (100.0 * 100 - 1) / 12)).epsilon(0.02));
}

TEST_CASE("samples without a trend have no slope") {
  CHECK(fit({}).growth == 0);
  CHECK(fit({{1, 5}, {2, 7}}).slope_per_s == 0); // too few to tell
  CHECK(fit({{1, 5}, {1, 6}, {1, 7}}).slope_per_s == 0);
  auto flat = fit({{1, 5}, {2, 6}, {3, 5}, {4, 6}, {5, 5}});
  CHECK(flat.slope_per_s == Approx(0).margin(1e-9));
  CHECK(flat.scatter > 0.4);
}

} // namespace bench_test

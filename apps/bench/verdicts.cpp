// The bounds.
#include "verdicts.hpp"

#include "plots.hpp"

#include <algorithm>

namespace chainmail::bench {

namespace {

using by_pair = std::map<size_t, double>;

enum class bound_kind { none, at_most, at_least };

struct bound {
  bound_kind kind = bound_kind::none;
  double limit = 0;
};

constexpr bound none{};

constexpr bound at_most(double limit) {
  return {bound_kind::at_most, limit};
}

constexpr bound at_least(double limit) {
  return {bound_kind::at_least, limit};
}

std::string words_of(bound b) {
  if (b.kind == bound_kind::none)
    return {};
  return (b.kind == bound_kind::at_most ? "at most " : "at least ") + figure_text(b.limit);
}

verdict verdict_of(const std::optional<spread>& found, bound b) {
  if (!found)
    return verdict::unmeasured;
  if (b.kind == bound_kind::none)
    return verdict::unbounded;
  auto holds = b.kind == bound_kind::at_most ? found->median <= b.limit : found->median >= b.limit;
  return holds ? verdict::held : verdict::missed;
}

double over(double a, double b) {
  return a / b;
}

double under(double a, double b) {
  return b / a;
}

double minus(double a, double b) {
  return a - b;
}

by_pair times(by_pair values, double factor) {
  for (auto& [pair, value] : values)
    value *= factor;
  return values;
}

/// Puts the table together.
class verdict_table {
public:
  explicit verdict_table(const run_log& from) : log_(from) {}

  std::vector<row> rows() && { return std::move(rows_); }

  void heading(size_t number) { heading_ = number; }

  [[nodiscard]] by_pair values(const std::string& run, const std::string& figure) const {
    return log_.values(run, figure);
  }

  /// A figure with a bound of its own.
  void figure(const std::string& what, const std::string& unit, const std::string& run,
      const by_pair& values, bound b = none) {
    auto& made = begin(what, unit, run, values);
    end(made, made.ours, b);
  }

  /// A figure beside a peer's.
  template <class Compare>
  void beside(const std::string& what, const std::string& unit, const std::string& run,
      const by_pair& ours, const std::string& peer, const by_pair& theirs,
      const std::string& compared, Compare compare, bound b = none) {
    auto& made = begin(what, unit, run, ours);
    made.peer = peer;
    made.theirs = spread_of(theirs);
    made.compared = compared;
    made.comparison = spread_of(combine(ours, theirs, compare));
    end(made, made.comparison, b);
  }

  /// The same figure of two runs, ours over theirs.
  void ratio(const std::string& what, const std::string& unit, const std::string& figure,
      const std::string& run, const std::string& peer, const std::string& peer_run,
      bound b = none) {
    beside(what, unit, run, values(run, figure), peer, values(peer_run, figure), "ours / peer",
        over, b);
  }

  /// How many times theirs is ours.
  void lead(const std::string& what, const std::string& unit, const std::string& figure,
      const std::string& run, const std::string& peer, const std::string& peer_run,
      bound b = none) {
    beside(what, unit, run, values(run, figure), peer, values(peer_run, figure), "peer / ours",
        under, b);
  }

private:
  row& begin(const std::string& what, const std::string& unit, const std::string& run,
      const by_pair& values) {
    auto& made = rows_.emplace_back();
    made.heading = heading_;
    made.what = what;
    made.unit = unit;
    made.ours = spread_of(values);
    if (auto share = log_.summary(run, "server_share"))
      made.server_share = share->median;
    return made;
  }

  static void end(row& made, const std::optional<spread>& found, bound b) {
    made.bound = words_of(b);
    made.held = verdict_of(found, b);
  }

  const run_log& log_;
  std::vector<row> rows_;
  size_t heading_ = 0;
};

// -- the questions ------------------------------------------------------------------------

void whole_stack(verdict_table& to) {
  constexpr auto cpu = "cpu_us_per_call";
  to.heading(0);
  to.ratio(
      "CPU time a call", "us", cpu, "fanout 100", "curl_multi", "curl_multi 100", at_most(1.4));
  to.lead("CPU time a call", "us", cpu, "fanout 100", "LangChain.js", "LangChain.js gather",
      at_least(40));
  to.ratio("CPU time a call", "us", cpu, "fanout 100", "raw epoll", "raw_epoll 100");
  to.ratio("CPU time a call, HTTP actors alone", "us", cpu, "engine 100", "curl_multi",
      "curl_multi 100");
}

void crowds(verdict_table& to) {
  to.heading(1);
  to.ratio("wall time", "s", "wall_s", "fanout 5000 cold", "curl_multi, fresh connections",
      "curl_multi 5000 fresh", at_most(0.9));
  to.lead("wall time", "s", "wall_s", "fanout 5000 cold", "LangChain.js", "LangChain.js 5000",
      at_least(6));
  to.heading(2);
  to.ratio("wall time, cold", "s", "wall_s", "fanout 10000 cold", "sharded_curl",
      "sharded_curl 10000 cold", at_most(1.15));
  to.ratio("wall time, warm", "s", "wall_s", "fanout 10000 warm", "sharded_curl",
      "sharded_curl 10000 warm", at_most(1.15));
  auto memory = combine(to.values("fanout 10000 cold", "peak_rss_kib"),
      to.values("fanout 10000 cold", "calls"), over);
  to.figure("peak memory a call in flight", "KiB", "fanout 10000 cold", memory, at_most(22));
}

void growth(verdict_table& to) {
  auto growth_of = [&](const std::string& least, const std::string& most) {
    return combine(to.values(most, "cpu_us_per_call"), to.values(least, "cpu_us_per_call"), over);
  };
  to.heading(3);
  to.beside("CPU time a call with 10,000 in flight, over that with 100", "times", "growth 10000",
      growth_of("growth 100", "growth 10000"), "sharded_curl",
      growth_of("sharded_curl growth 100 warm", "sharded_curl growth 10000 warm"), "ours / peer",
      over, at_most(1.3));
}

void chains(verdict_table& to) {
  to.heading(4);
  by_pair best;
  for (const auto* run : {"chain_only", "chain_only 1 thread", "chain_only 2 threads"})
    for (auto [pair, value] : to.values(run, "rps"))
      best[pair] = std::max(best[pair], value);
  to.figure("chain calls a second, the best number of threads", "1/s", "chain_only", best,
      at_least(500'000));
  to.figure("chain calls a second, two threads", "1/s", "chain_only 2 threads",
      to.values("chain_only 2 threads", "rps"), at_least(350'000));
  to.beside("CPU time a call with 10,000 in flight, over that with 100", "us",
      "chain_only in flight 10000", to.values("chain_only in flight 10000", "cpu_us_per_call"),
      "with 100", to.values("chain_only in flight 100", "cpu_us_per_call"), "10,000 / 100", over,
      at_most(1.5));
  to.beside("chain calls a second", "1/s", "chain_only", best, "LangChain.js",
      to.values("LangChain.js no network", "rps"), "ours / peer", over);
}

void waiting(verdict_table& to) {
  to.heading(5);
  to.beside("CPU time of a call at the fast host", "us", "waiting",
      to.values("waiting", "beside_cpu_us_per_call"), "alone",
      to.values("waiting", "alone_cpu_us_per_call"), "beside / alone", over, at_most(1.2));
}

void soak(verdict_table& to) {
  to.heading(6);
  to.beside("memory after the first minute: growth along the line, and scatter", "KiB", "soak",
      to.values("soak", "rss_growth_kib"), "scatter", to.values("soak", "rss_noise_kib"),
      "growth / scatter", over, at_most(1));
  to.figure("sockets left at the end", "", "soak", to.values("soak", "sockets_left"), at_most(0));
  to.figure("permits left at the end", "", "soak", to.values("soak", "permits_left"), at_most(0));
}

void latency(verdict_table& to) {
  constexpr double us_in_ms = 1'000;
  to.heading(7);
  auto added = [&](const char* what, const std::string& figure, bound b) {
    to.beside(what, "us", "rate 1000", times(to.values("rate 1000", figure), us_in_ms),
        "libcurl alone", times(to.values("plain_curl 1000", figure), us_in_ms), "ours - peer",
        minus, b);
  };
  added("latency, median, from when calls were due", "p50_ms", at_most(60));
  added("latency, 99th percentile, from when calls were due", "p99_ms", at_most(1'000));
  added("latency, median, from when calls were made", "from_call_p50_ms", none);
  added("latency, 99th percentile, from when calls were made", "from_call_p99_ms", none);
  to.figure("a program that makes one call, median", "ms", "start_up",
      to.values("start_up", "p50_ms"), at_most(25));
}

void others(verdict_table& to) {
  to.heading(8);
  to.figure(
      "limiter: permits a second, 10,000 waiting", "1/s", "limiter", to.values("limiter", "rps"));
  to.figure("remote: calls a second, 256 in flight", "1/s", "remote",
      to.values("remote", "calls_per_s"), at_least(25'000));
  to.figure("remote: what a node adds to a call, median", "ms", "remote",
      to.values("remote", "added_p50_ms"), at_most(0.5));
  for (const auto* run : {"map_reduce", "chat_vector_db"})
    to.beside(std::string{run} + ": wall time, of which the endpoint's", "s", run,
        to.values(run, "wall_s"), "endpoint", to.values(run, "ideal_s"), "all / endpoint", over);
}

} // namespace

const std::vector<std::string>& headings() {
  static const std::vector<std::string> result = {
      "20,000 calls, 0 ms, 100 in flight",
      "5,000 calls at once, 100 ms, no connection yet",
      "10,000 calls at once, 1 s",
      "Growth from 100 to 10,000 in flight, 0 ms, warm",
      "Chains and gathers alone, no network, 1,000 in flight",
      "4,000 calls wait for a slow host",
      "Soak",
      "1,000 calls a second, and one call",
      "Other loads",
  };
  return result;
}

std::vector<row> judge(const run_log& log) {
  verdict_table result{log};
  for (auto* ask : {whole_stack, crowds, growth, chains, waiting, soak, latency, others})
    ask(result);
  return std::move(result).rows();
}

std::map<double, double> frontier(
    const run_log& log, const std::string& run, const std::vector<size_t>& rates) {
  std::map<double, double> result;
  for (double tail_ms : {1, 5, 10, 50, 100})
    for (auto rate : rates) {
      auto tail = log.summary(run + " " + std::to_string(rate), "p99_ms");
      if (tail && tail->median <= tail_ms)
        result[tail_ms] = static_cast<double>(rate);
    }
  return result;
}

} // namespace chainmail::bench

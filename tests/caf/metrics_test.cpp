// Names of metrics, and what chains, gathers, limiters, embedders and HTTP workers count.
#include "support/chain_fixture.hpp"
#include "support/metrics_of.hpp"
#include "support/temporary_folder.hpp"

#include <chainmail/caf/metrics.hpp>
#include <chainmail/chainmail.hpp>
#include <chainmail/http/http_worker.hpp>

#include <caf/scoped_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <set>
#include <simulator/simulator.hpp>
#include <sstream>
#include <thread>

namespace metrics_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// As a row of docs/metrics.md begins: name, type, labels.
std::string row_of(const metrics::description& what) {
  auto result = "| `" + what.name + "` | " + what.type + " | ";
  for (const auto& label : what.labels)
    result += (result.ends_with("| ") ? "`" : ", `") + label + "`";
  return result + (what.labels.empty() ? "| " : " | ");
}

std::vector<std::string> rows_of_docs() {
  std::vector<std::string> result;
  std::istringstream lines{read_file(CHAINMAIL_SOURCE_DIR "/docs/metrics.md")};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("| `chainmail_"))
      result.push_back(line);
  return result;
}

rate_limiter_actor limiter_of(virtual_time& time, int64_t requests_per_minute) {
  rate_limiter_options options;
  options.defaults.requests_per_minute = requests_per_minute;
  return spawn_rate_limiter(time.system, options);
}

} // namespace

TEST_CASE("docs/metrics.md names exactly the metrics that there are") {
  auto rows = rows_of_docs();
  auto all = metrics::all();
  CHECK(rows.size() == all.size());
  for (const auto& what : all) {
    INFO(row_of(what));
    CHECK(std::ranges::any_of(rows, [&](const auto& x) { return x.starts_with(row_of(what)); }));
  }
}

TEST_CASE("every series is of a metric that there is, under a name that Prometheus takes") {
  chain_fixture f;
  REQUIRE(f.run(f.asks("{x}"), {{"x", "1"}}).result);
  std::set<std::string> names;
  for (const auto& what : metrics::all()) {
    CHECK(what.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
    CHECK_FALSE(what.help.empty());
    names.insert(what.name);
  }
  CHECK(names.size() == metrics::all().size());
  auto count = 0;
  series counted{f.time.system};
  for (auto [key, value] : counted.all()) {
    auto name = key;
    if (!name.starts_with("chainmail_"))
      continue;
    ++count;
    name.resize(std::min(name.find('{'), name.size()));
    for (const auto* part : {"_bucket", "_sum", "_count"})
      if (name.ends_with(part))
        name.resize(name.size() - std::string_view{part}.size());
    INFO(name);
    CHECK(names.contains(name));
  }
  CHECK(count > 0);
}

TEST_CASE("a chain counts calls, errors and durations under its kind") {
  chain_fixture f;
  auto first = f.asks("{x}", "y");
  auto both = spawn_sequential_chain(f.time.system, {first, f.asks("{y}")});
  f.reply = [](const std::string&) { return scripted_reply{"fine", {}, 1s}; };
  auto running = f.start(both, {{"x", "1"}});
  f.time.settle();
  series during{f.time.system};
  CHECK(during["chainmail_chain_in_flight{kind=\"sequential\"}"] == 1);
  CHECK(during["chainmail_chain_in_flight{kind=\"llm\"}"] == 1);
  f.time.advance(1s);
  f.time.advance(1s);
  REQUIRE(running->result);
  f.reply = [](const std::string&) {
    return scripted_reply{{}, make_failure(errc::bad_request, "no"), {}};
  };
  CHECK(f.run(both, {{"x", "1"}}).error);
  CHECK(f.run(both, {}).error);
  series counted{f.time.system};
  CHECK(counted["chainmail_chain_calls_total{kind=\"sequential\"}"] == 3);
  CHECK(counted["chainmail_chain_calls_total{kind=\"llm\"}"] == 3);
  CHECK(counted["chainmail_chain_errors_total{code=\"bad_request\",kind=\"sequential\"}"] == 1);
  CHECK(counted["chainmail_chain_errors_total{code=\"missing_input\",kind=\"sequential\"}"] == 1);
  CHECK(counted["chainmail_chain_duration_seconds_count{kind=\"sequential\"}"] == 3);
  CHECK(counted["chainmail_chain_duration_seconds_sum{kind=\"sequential\"}"] >= 2);
  CHECK(counted["chainmail_chain_in_flight{kind=\"sequential\"}"] == 0);
  CHECK(counted["chainmail_chain_in_flight{kind=\"llm\"}"] == 0);
}

TEST_CASE("gauges are back at zero when chain and gather are killed in the middle of calls") {
  chain_fixture f;
  f.reply = [](const std::string&) { return scripted_reply{"", {}, caf::timespan{caf::infinite}}; };
  auto inner = f.asks("{x}");
  auto outer = spawn_sequential_chain(f.time.system, {inner});
  auto gatherer = spawn_gather(f.time.system);
  auto running = ask<std::vector<outcome>>(f.time, gatherer, gather_atom_v, outer,
      std::vector<values>(3, {{"x", "1"}}), gather_options{}, f.time.context());
  f.time.settle();
  series during{f.time.system};
  CHECK(during["chainmail_gather_in_flight"] == 3);
  CHECK(during["chainmail_chain_in_flight{kind=\"sequential\"}"] == 3);
  for (const auto& killed : {caf::actor_cast<caf::actor>(outer), caf::actor_cast<caf::actor>(inner),
           caf::actor_cast<caf::actor>(gatherer)})
    caf::anon_send_exit(killed, caf::exit_reason::kill);
  f.time.settle();
  series after{f.time.system};
  CHECK(after["chainmail_gather_in_flight"] == 0);
  CHECK(after["chainmail_chain_in_flight{kind=\"sequential\"}"] == 0);
  CHECK(after["chainmail_chain_in_flight{kind=\"llm\"}"] == 0);
  CHECK(after["chainmail_chain_calls_total{kind=\"llm\"}"] == 3);
}

TEST_CASE("a gather counts its outcomes by code") {
  chain_fixture f;
  f.reply = [](const std::string& prompt) {
    return prompt == "bad" ? scripted_reply{{}, make_failure(errc::bad_request, "no"), {}}
                           : scripted_reply{"fine", {}, {}};
  };
  auto running = ask<std::vector<outcome>>(f.time, spawn_gather(f.time.system), gather_atom_v,
      f.asks("{x}"), std::vector<values>{{{"x", "bad"}}, {{"x", "1"}}, {{"x", "2"}}},
      gather_options{}, f.time.context());
  f.time.settle();
  REQUIRE(running->result);
  series counted{f.time.system};
  CHECK(counted["chainmail_gather_outcomes_total{code=\"none\"}"] == 2);
  CHECK(counted["chainmail_gather_outcomes_total{code=\"bad_request\"}"] == 1);
  CHECK(counted["chainmail_gather_in_flight"] == 0);
}

TEST_CASE("a limiter counts who waits, how long, and whom it refused") {
  virtual_time time;
  auto limiter = limiter_of(time, 1);
  auto acquire = [&](call_context context) {
    auto result = ask<permit>(time, limiter, acquire_atom_v, demand{"key", 1}, context);
    time.settle();
    return result;
  };
  auto first = acquire(time.context());
  REQUIRE(first->result);
  auto second = acquire(time.context());
  auto hopeless = acquire(time.context(1s));
  CHECK(hopeless->error == errc::rate_limited);
  series during{time.system};
  CHECK(during["chainmail_limiter_waiting"] == 1);
  CHECK(during["chainmail_limiter_permits_total"] == 1);
  time.advance(2min);
  REQUIRE(second->result);
  acquire(time.context());
  CHECK(series{time.system}["chainmail_limiter_waiting"] == 1);
  caf::anon_send_exit(limiter, caf::exit_reason::kill);
  time.settle();
  series counted{time.system};
  CHECK(counted["chainmail_limiter_permits_total"] == 2);
  CHECK(counted["chainmail_limiter_waiting"] == 0);
  CHECK(counted["chainmail_limiter_wait_seconds_count"] == 2);
  CHECK(counted["chainmail_limiter_wait_seconds_sum"] >= 60);
  CHECK(counted["chainmail_limiter_refusals_total{code=\"rate_limited\"}"] == 1);
}

TEST_CASE("an embedder counts calls, texts and tokens") {
  simulator::server endpoint{{}};
  caf::actor_system_config options;
  caf::actor_system system{options};
  {
    openai_options where;
    where.base_url = endpoint.base_url();
    embedder_options what;
    what.model = "text-embedding-3-small";
    what.batch_size = 2;
    auto http = spawn_http(system);
    auto embedder = spawn_openai_embedder(system, http, where, what);
    caf::scoped_actor self{system};
    int64_t used = 0;
    compat::request_within(10s, self.ptr(), embedder, embed_atom_v,
        embed_request{{"a b", "c", "d"}}, make_context(self.ptr()))
        .receive([&used](const embeddings& rows) { used = rows.usage.total_tokens; },
            [](const caf::error& why) { FAIL(describe(why)); });
    series counted{system};
    const auto* label = "{model=\"text-embedding-3-small\"}";
    auto of = [&](const char* name) { return counted["chainmail_embedder_"s + name + label]; };
    CHECK(of("calls_total") == 1);
    CHECK(of("texts_total") == 3);
    CHECK(of("tokens_total") == static_cast<double>(used));
    CHECK(of("in_flight") == 0);
    CHECK(of("duration_seconds_count") == 1);
    CHECK(counted["chainmail_http_requests_total{status=\"2xx\"}"] == 2);
  }
}

TEST_CASE("an HTTP worker counts exchanges by status, bytes and where their time went") {
  simulator::options chosen;
  chosen.latency = 60ms;
  simulator::server endpoint{chosen};
  caf::actor_system_config options;
  caf::actor_system system{options};
  {
    http_options limits;
    limits.max_in_flight = 1;
    auto http = spawn_http(system, limits);
    caf::scoped_actor self{system};
    http_request request;
    request.url = endpoint.base_url() + "/completions";
    request.body = R"({"model":"m","prompt":"hello"})";
    auto patient = make_context(self.ptr());
    auto hurried = make_context(self.ptr(), 1ms);
    auto size = 0.0;
    auto sized = [&size](const http_response& got) {
      CHECK(got.status == 200);
      size += static_cast<double>(got.body.size());
    };
    auto unexpected = [](const caf::error& why) { FAIL(describe(why)); };
    auto one = compat::request_within(10s, self.ptr(), http, fetch_atom_v, request, patient);
    auto two = compat::request_within(10s, self.ptr(), http, fetch_atom_v, request, patient);
    auto late = compat::request_within(10s, self.ptr(), http, fetch_atom_v, request, hurried);
    std::move(one).receive(sized, unexpected);
    std::move(two).receive(sized, unexpected);
    std::move(late).receive([](const http_response&) { FAIL("was answered"); },
        [](const caf::error& why) { CHECK(why == errc::timed_out); });
    request.url = endpoint.base_url() + "/nonsense";
    compat::request_within(10s, self.ptr(), http, fetch_atom_v, request, patient)
        .receive([](const http_response& got) { CHECK(got.status == 404); }, unexpected);
    series counted{system};
    CHECK(counted["chainmail_http_requests_total{status=\"2xx\"}"] == 2);
    CHECK(counted["chainmail_http_requests_total{status=\"4xx\"}"] == 1);
    CHECK(counted["chainmail_http_errors_total{code=\"timed_out\"}"] == 1);
    CHECK(counted["chainmail_http_received_bytes_total"] > size);
    CHECK(
        counted["chainmail_http_sent_bytes_total"] == static_cast<double>(3 * request.body.size()));
    CHECK(counted["chainmail_http_queue_seconds_sum"] >= 0.05); // the second, behind the first
    CHECK(counted["chainmail_http_first_byte_seconds_sum"] >= 0.11);
    CHECK(counted["chainmail_http_duration_seconds_sum"] >= 0.17);
    CHECK(counted["chainmail_http_in_flight"] == 0);
    CHECK(counted["chainmail_http_queued"] == 0);
  }
}

TEST_CASE("what an HTTP worker shows as under way is gone when it is killed") {
  simulator::options chosen;
  chosen.latency = 1h;
  simulator::server endpoint{chosen};
  caf::actor_system_config options;
  caf::actor_system system{options};
  auto load = std::make_shared<worker_load>(1);
  auto worker = spawn_http_worker(system, {}, 10, load);
  http_request request;
  request.url = endpoint.base_url() + "/completions";
  request.body = R"({"model":"m","prompt":"hello"})";
  caf::scoped_actor self{system};
  auto pending = compat::request_within(
      10s, self.ptr(), worker, fetch_atom_v, request, make_context(self.ptr()));
  while (series{system}["chainmail_http_in_flight"] != 1)
    std::this_thread::yield();
  caf::anon_send_exit(worker, caf::exit_reason::kill);
  std::move(pending).receive(
      [](const http_response&) { FAIL("was answered"); }, [](const caf::error&) {});
  worker = nullptr;
  self->await_all_other_actors_done();
  CHECK(series{system}["chainmail_http_in_flight"] == 0);
}

} // namespace metrics_test

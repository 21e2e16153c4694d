// Host names: resolved once for a crowd, in one thread, and never in anybody's way.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <support/fake_resolver.hpp>
#include <support/http_calls.hpp>
#include <support/process.hpp>
#include <support/raw_server.hpp>

namespace names_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

/// Answers as long as it is asked.
void answer(raw_connection& client) {
  while (client.read_request())
    client.send(ok_reply("x"));
}

/// Watches how many threads there are.
class thread_watch {
public:
  [[nodiscard]] size_t most_added() const { return std::max(most_.load(), before_) - before_; }

private:
  size_t before_ = threads() + 1; // with the one that watches
  std::atomic<size_t> most_{0};
  std::jthread watching_{[this](const std::stop_token& stop) {
    while (!stop.stop_requested())
      most_ = std::max(most_.load(), threads());
  }};
};

http_request named(const fake_name& name, const simulator::server& server) {
  auto request = prompt_for(server);
  request.url = name.url(server.port()) + "v1/completions";
  return request;
}

constexpr size_t crowd = 300;

/// Each worker resolves for itself.
http_options one_worker() {
  http_options result;
  result.workers = 1;
  return result;
}

} // namespace

TEST_CASE("a crowd of calls to a cold name starts one resolver") {
  fake_name name{"cold.test", 100ms};
  simulator::server server;
  engine_room room{one_worker()};
  thread_watch watch;
  for (auto& call : room.fetch_all(std::vector<http_job>(crowd, {named(name, server), {}})))
    CHECK(call.response().status == 200);
  CHECK(name.lookups() == 1);
  CHECK(watch.most_added() <= 5);
  // And the answer is kept.
  CHECK(room.fetch(named(name, server)).response().status == 200);
  CHECK(name.lookups() == 1);
}

TEST_CASE("a crowd of calls to an unknown name starts one resolver, and all are answered") {
  fake_name name{"unknown.test", 100ms, fake_name::kind::unknown};
  engine_room room{one_worker()};
  thread_watch watch;
  auto url = "http://me:s3cret@unknown.test/v1?key=s3cret";
  for (auto& call : room.fetch_all(std::vector<http_job>(crowd, {post(url, "x"), {}}))) {
    CHECK(call.code() == errc::connection_failed);
    CHECK(call.sentence().find("http://unknown.test/v1") != std::string::npos);
    CHECK(call.sentence().find("resolved") != std::string::npos);
    CHECK(call.sentence().find("s3cret") == std::string::npos);
    CHECK(call.detail().endpoint == "http://unknown.test/v1");
  }
  CHECK(name.lookups() == 1);
  CHECK(watch.most_added() <= 5);
}

TEST_CASE("a name that became known is found by the next call") {
  simulator::server server;
  engine_room room;
  auto request = prompt_for(server);
  request.url = "http://late.test:" + std::to_string(server.port()) + "/v1/completions";
  {
    fake_name unknown{"late.test", 0ms, fake_name::kind::unknown};
    CHECK(room.fetch(request).code() == errc::connection_failed);
  }
  fake_name known{"late.test"};
  CHECK(room.fetch(request).response().status == 200);
}

TEST_CASE("a name that libc resolves from the machine's own tables is found") {
  std::string own(256, '\0');
  REQUIRE(gethostname(own.data(), own.size()) == 0);
  own.resize(own.find('\0'));
  raw_server server{answer};
  engine_room room;
  auto call = room.fetch(get("http://" + own + ":" + std::to_string(server.port()) + "/"));
  if (call.code() == errc::connection_failed)
    SKIP("the machine's own name, " + own + ", does not lead to 127.0.0.1");
  CHECK(call.response().body == "x");
}

TEST_CASE("localhost and numeric addresses are not looked up") {
  simulator::server server;
  engine_room room;
  thread_watch watch;
  for (const auto* host : {"localhost", "127.0.0.1"}) {
    auto request = prompt_for(server);
    request.url =
        std::string{"http://"} + host + ":" + std::to_string(server.port()) + "/v1/completions";
    for (auto& call : room.fetch_all(std::vector<http_job>(100, {request, {}})))
      CHECK(call.response().status == 200);
  }
  CHECK(watch.most_added() <= 2);
}

TEST_CASE("a slow name does not hold up calls to other hosts") {
  fake_name slow{"slow.test", 500ms * slowness};
  raw_server server{answer};
  engine_room room;
  auto waits = room.fetch(get(slow.url(server.port())));
  REQUIRE(eventually([&] { return slow.lookups() == 1; }));
  for (auto i = 0; i < 10; ++i)
    CHECK(room.fetch(get(server.url())).response().body == "x");
  CHECK(!waits.is_over());
  CHECK(waits.response().body == "x");
}

TEST_CASE("a call that waits for its name times out, is cancelled, or is told of the exit") {
  fake_name slow{"slow.test", 500ms};
  raw_server server{answer};
  engine_room room;
  auto late = due_in(100ms);
  auto id = call_id::make();
  auto calls = room.fetch_all({{get(slow.url(server.port())), late},
      {get(slow.url(server.port())), called(id)}, {get(slow.url(server.port())), {}}});
  REQUIRE(eventually([&] { return slow.lookups() == 1; }));
  auto start = clock::now();
  room.cancel(id);
  CHECK(calls[1].code() == errc::cancelled);
  CHECK(calls[1].over_at() < start + promptly);
  CHECK(calls[0].code() == errc::timed_out);
  CHECK(calls[0].over_at() >= late.due.at);
  CHECK(calls[0].over_at() < late.due.at + promptly);
  start = clock::now();
  room.exit();
  CHECK(calls[2].code() == errc::shut_down);
  CHECK(calls[2].over_at() < start + promptly);
  CHECK(server.connections() == 0);
}

TEST_CASE("an engine that waits for a name exits without waiting for the resolver") {
  fake_name slow{"slow.test", 2s};
  auto start = clock::now();
  {
    engine_room room;
    auto call = room.fetch(get(slow.url(80)));
    REQUIRE(eventually([&] { return slow.lookups() == 1; }));
    room.exit();
    CHECK(call.code() == errc::shut_down);
  }
  CHECK(clock::now() - start < 1s);
  // The thread that is left behind must not be cut off by the end of the process.
  std::this_thread::sleep_until(start + 2s + promptly);
}

TEST_CASE("a name that nobody waited for any more is good for the next call") {
  fake_name slow{"slow.test", 100ms};
  raw_server server{answer};
  http_options options;
  options.connect_timeout = 300ms;
  engine_room room{options};
  auto id = call_id::make();
  auto call = room.fetch(get(slow.url(server.port())), called(id));
  REQUIRE(eventually([&] { return slow.lookups() == 1; }));
  room.cancel(id);
  CHECK(call.code() == errc::cancelled);
  // Longer than the time-out of that lookup, which had its answer long ago.
  std::this_thread::sleep_for(400ms);
  CHECK(room.fetch(get(slow.url(server.port()))).response().body == "x");
}

TEST_CASE("a name that takes longer than the connect time-out is given up") {
  fake_name slow{"slow.test", 600ms};
  http_options options;
  options.connect_timeout = 150ms;
  engine_room room{options};
  auto calls = room.fetch_all(std::vector<http_job>(10, {get(slow.url(80)), {}}));
  for (auto& call : calls) {
    CHECK(call.code() == errc::connection_failed);
    CHECK(call.sentence().find("time-out") != std::string::npos);
    CHECK(call.took() >= 150ms);
    CHECK(call.took() < 150ms + promptly);
  }
}

TEST_CASE("many names are resolved at the same time") {
  raw_server server{answer};
  std::vector<std::unique_ptr<fake_name>> names;
  std::vector<http_job> jobs;
  for (auto i = 0; i < 20; ++i) {
    auto name = "n" + std::to_string(i) + ".test";
    jobs.push_back(
        {get(names.emplace_back(std::make_unique<fake_name>(name, 200ms))->url(server.port())),
            {}});
  }
  engine_room room;
  for (auto& call : room.fetch_all(jobs)) {
    CHECK(call.response().body == "x");
    CHECK(call.took() < 200ms + 2 * promptly);
  }
}

TEST_CASE(
    "an old name is looked up again, once, and nobody starts a crowd of resolvers", "[long]") {
  fake_name name{"old.test", 100ms};
  simulator::server server;
  engine_room room;
  thread_watch watch;
  for (auto until = clock::now() + 110s; clock::now() < until; std::this_thread::sleep_for(500ms))
    for (auto& call : room.fetch_all(std::vector<http_job>(20, {named(name, server), {}})))
      CHECK(call.response().status == 200);
  CHECK(name.lookups() == 3);
  CHECK(watch.most_added() <= 5);
}

} // namespace names_test

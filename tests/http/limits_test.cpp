// What bounds a call: places, the queue, deadlines, and its caller's change of mind.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <support/http_calls.hpp>
#include <support/raw_server.hpp>

namespace limits_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

/// Holds each request until it is released, and notices when the client leaves.
class patient_server {
  std::atomic<bool> released_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> left_;

public:
  // After what its script uses, so that its threads have ended when that goes.
  raw_server raw{[this](raw_connection& client) {
    while (auto request = client.read_request()) {
      while (!released_ && !request->body.starts_with("fast"))
        if (client.wait_for_close(1ms)) {
          std::lock_guard guard{mutex_};
          left_.push_back(request->body);
          return;
        } else if (!client.pause(0ms)) {
          return;
        }
      if (!client.send(ok_reply("done " + request->body)))
        return;
    }
  }};

  void release() { released_ = true; }

  [[nodiscard]] bool has(size_t requests) const {
    return eventually([&] { return raw.request_count() >= requests; });
  }

  [[nodiscard]] std::vector<std::string> bodies() const {
    std::vector<std::string> result;
    for (const auto& request : raw.requests())
      result.push_back(request.body);
    return result;
  }

  /// The bodies of the requests whose client left.
  [[nodiscard]] std::vector<std::string> left() const {
    std::lock_guard guard{mutex_};
    auto result = left_;
    std::sort(result.begin(), result.end());
    return result;
  }
};

using list = std::vector<std::string>;

http_options at_once(size_t in_flight, size_t queued = 100) {
  http_options result;
  result.max_in_flight = in_flight;
  result.max_queued = queued;
  return result;
}

} // namespace

// -- places ---------------------------------------------------------------------------

TEST_CASE("no more calls are in flight than allowed") {
  simulator::options slow;
  slow.latency = 20ms;
  simulator::server server{slow};
  engine_room room{at_once(4)};
  std::vector<http_job> jobs(20, {prompt_for(server), {}});
  for (auto& call : room.fetch_all(jobs))
    CHECK(call.response().status == 200);
  CHECK(server.snapshot().most_in_flight == 4);
  CHECK(server.snapshot().connections_accepted == 4);
}

TEST_CASE("queued calls are sent in the order of their arrival") {
  patient_server server;
  server.release();
  engine_room room{at_once(1)};
  std::vector<http_job> jobs;
  list wanted;
  for (auto i = 0; i < 20; ++i) {
    wanted.push_back(std::to_string(i));
    jobs.push_back({post(server.raw.url(), wanted.back()), {}});
  }
  for (auto& call : room.fetch_all(jobs))
    call.response();
  CHECK(server.bodies() == wanted);
}

TEST_CASE("a call that finds the queue full is refused at once") {
  patient_server server;
  engine_room room{at_once(1, 2)};
  std::vector<http_job> jobs;
  for (const auto* body : {"a", "b", "c", "d", "e"})
    jobs.push_back({post(server.raw.url(), body), due_in(1min)});
  auto calls = room.fetch_all(jobs);
  for (auto i : {3U, 4U}) {
    CHECK(calls[i].code() == errc::overloaded);
    CHECK(calls[i].took() < promptly);
  }
  CHECK(!calls[0].is_over());
  server.release();
  for (auto i : {0U, 1U, 2U})
    CHECK(calls[i].response().status == 200);
  CHECK(server.bodies() == list{"a", "b", "c"});
  // And when there is room again, calls are taken again.
  CHECK(room.fetch(post(server.raw.url(), "f")).response().body == "done f");
}

TEST_CASE("a burst finds the queue as full as calls that come one by one") {
  patient_server server;
  engine_room room{at_once(30, 10)};
  auto calls =
      room.fetch_all(std::vector<http_job>(100, {post(server.raw.url(), "x"), due_in(1min)}));
  auto refused = [&] {
    return std::count_if(calls.begin(), calls.end(), [](auto& call) { return call.is_over(); });
  };
  REQUIRE(server.has(30));
  CHECK(eventually([&] { return refused() >= 60; }));
  CHECK(server.bodies().size() == 30);
  server.release();
  CHECK(std::count_if(calls.begin(), calls.end(),
            [](auto& call) { return call.code() == errc::overloaded; }) == 60);
}

TEST_CASE("without a queue, calls are taken as long as there are places") {
  patient_server server;
  engine_room room{at_once(2, 0)};
  std::vector<http_job> jobs(3, {post(server.raw.url(), "x"), {}});
  auto calls = room.fetch_all(jobs);
  CHECK(calls[2].code() == errc::overloaded);
  server.release();
  CHECK(calls[0].response().status == 200);
  CHECK(calls[1].response().status == 200);
}

TEST_CASE("a queued call times out without being sent") {
  patient_server server;
  engine_room room{at_once(1)};
  auto holder = room.fetch(post(server.raw.url(), "holder"));
  REQUIRE(server.has(1));
  auto due = due_in(100ms);
  auto queued = room.fetch(post(server.raw.url(), "queued"), due);
  CHECK(queued.code() == errc::timed_out);
  CHECK(queued.over_at() >= due.due.at);
  CHECK(queued.over_at() < due.due.at + promptly);
  server.release();
  holder.response();
  room.fetch(post(server.raw.url(), "last")).response();
  CHECK(server.bodies() == list{"holder", "last"});
}

TEST_CASE("a queued call is cancelled without being sent") {
  patient_server server;
  engine_room room{at_once(1)};
  auto holder = room.fetch(post(server.raw.url(), "holder"));
  REQUIRE(server.has(1));
  auto id = call_id::make();
  auto calls = room.fetch_all({{post(server.raw.url(), "gone"), called(id)},
      {post(server.raw.url(), "stays"), called(call_id::make())}});
  room.cancel(id);
  CHECK(calls[0].code() == errc::cancelled);
  CHECK(!holder.is_over());
  server.release();
  CHECK(calls[1].response().body == "done stays");
  CHECK(server.bodies() == list{"holder", "stays"});
}

TEST_CASE("a place that a failed, late or cancelled call leaves is used again") {
  patient_server server;
  engine_room room{at_once(1)};
  auto id = call_id::make();
  auto calls = room.fetch_all({{post("http://127.0.0.1:1/", "refused"), {}},
      {post(server.raw.url(), "late"), due_in(50ms * slowness)},
      {post(server.raw.url(), "cancelled"), called(id)}, {post(server.raw.url(), "fast"), {}}});
  CHECK(calls[0].code() == errc::connection_failed);
  CHECK(calls[1].code() == errc::timed_out);
  REQUIRE(server.has(2));
  room.cancel(id);
  CHECK(calls[2].code() == errc::cancelled);
  CHECK(calls[3].response().body == "done fast");
}

// -- deadlines ------------------------------------------------------------------------

TEST_CASE("a call times out at its deadline, and its connection is closed") {
  patient_server server;
  engine_room room;
  auto due = due_in(150ms);
  auto call = room.fetch(post(server.raw.url("/v1?key=secret"), "x"), due);
  CHECK(call.code() == errc::timed_out);
  CHECK(call.over_at() >= due.due.at);
  CHECK(call.over_at() < due.due.at + promptly);
  CHECK(eventually([&] { return server.left() == list{"x"}; }, promptly));
  CHECK(call.sentence().find(server.raw.url("/v1")) != std::string::npos);
  CHECK(call.sentence().find("secret") == std::string::npos);
  CHECK(call.detail().endpoint == server.raw.url("/v1"));
}

TEST_CASE("deadlines are kept in whatever order they come") {
  patient_server server;
  engine_room room;
  std::vector<http_job> jobs;
  for (auto ms : {300, 100, 200, 50, 250, 150})
    jobs.push_back({post(server.raw.url(), std::to_string(ms)), due_in(ms * 1ms)});
  auto calls = room.fetch_all(jobs);
  for (size_t i = 0; i < calls.size(); ++i) {
    CHECK(calls[i].code() == errc::timed_out);
    CHECK(calls[i].over_at() >= jobs[i].second.due.at);
    CHECK(calls[i].over_at() < jobs[i].second.due.at + promptly);
  }
}

TEST_CASE("a short deadline that comes while the engine waits for a long one is kept") {
  patient_server server;
  engine_room room;
  auto slow = room.fetch(post(server.raw.url(), "slow"), due_in(1min));
  REQUIRE(server.has(1));
  auto due = due_in(50ms);
  auto call = room.fetch(post(server.raw.url(), "short"), due);
  CHECK(call.code() == errc::timed_out);
  CHECK(call.over_at() < due.due.at + promptly);
  CHECK(!slow.is_over());
}

TEST_CASE("a call whose deadline has passed is not sent") {
  patient_server server;
  engine_room room;
  auto context = due_in(-1ms);
  auto call = room.fetch(post(server.raw.url(), "x"), context);
  CHECK(call.code() == errc::timed_out);
  CHECK(room.fetch(post(server.raw.url(), "fast")).response().status == 200);
  CHECK(server.bodies() == list{"fast"});
}

TEST_CASE("the deadline of a finished call is not the next one's") {
  patient_server server;
  engine_room room;
  auto due = due_in(100ms * slowness);
  CHECK(room.fetch(post(server.raw.url(), "fast"), due).response().body == "done fast");
  auto next = room.fetch(post(server.raw.url(), "next"));
  std::this_thread::sleep_until(due.due.at + 50ms);
  CHECK(!next.is_over());
  server.release();
  CHECK(next.response().body == "done next");
}

TEST_CASE("a call without a deadline is bounded by max_call_time") {
  patient_server server;
  http_options options;
  options.max_call_time = 100ms;
  engine_room room{options};
  for (auto context : {call_context{}, due_in(1min)}) {
    auto call = room.fetch(post(server.raw.url(), "x"), context);
    CHECK(call.code() == errc::timed_out);
    CHECK(call.took() >= 100ms);
    CHECK(call.took() < 100ms + promptly);
  }
}

TEST_CASE("the longest of times are no times at all") {
  patient_server server;
  http_options options;
  options.max_call_time = caf::timespan::max();
  options.connect_timeout = caf::timespan::max();
  engine_room room{options};
  CHECK(room.fetch(post(server.raw.url(), "fast")).response().body == "done fast");
  CHECK(room.fetch(post(server.raw.url(), "x"), due_in(50ms)).code() == errc::timed_out);
}

TEST_CASE("a deadline ends a reply that trickles in") {
  raw_server server{[](raw_connection& client) {
    client.read_request();
    client.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (client.send("x") && client.pause(5ms)) {
    }
  }};
  engine_room room;
  auto due = due_in(150ms);
  auto call = room.fetch(get(server.url()), due);
  CHECK(call.code() == errc::timed_out);
  CHECK(call.over_at() >= due.due.at);
  CHECK(call.over_at() < due.due.at + promptly);
  CHECK(eventually([&] { return server.open_connections() == 0; }));
}

// -- cancelling -----------------------------------------------------------------------

TEST_CASE("a cancelled call ends at once, down to its socket") {
  patient_server server;
  engine_room room;
  auto id = call_id::make();
  auto call = room.fetch(post(server.raw.url(), "x"), called(id));
  REQUIRE(server.has(1));
  auto start = clock::now();
  room.cancel(id);
  CHECK(call.code() == errc::cancelled);
  CHECK(eventually([&] { return server.left() == list{"x"}; }));
  CHECK(clock::now() - start < promptly);
}

TEST_CASE("cancelling one step leaves the others of its root alone") {
  patient_server server;
  engine_room room;
  auto root = call_id::make().root;
  auto calls = room.fetch_all({{post(server.raw.url(), "10"), called({root, 10})},
      {post(server.raw.url(), "20"), called({root, 20})},
      {post(server.raw.url(), "30"), called({root, 30})}});
  REQUIRE(server.has(3));
  room.cancel({root, 20});
  CHECK(calls[1].code() == errc::cancelled);
  CHECK(eventually([&] { return server.left() == list{"20"}; }));
  server.release();
  CHECK(calls[0].response().body == "done 10");
  CHECK(calls[2].response().body == "done 30");
}

TEST_CASE("cancelling a root ends all of its steps, and nobody else's") {
  patient_server server;
  engine_room room;
  auto root = call_id::make();
  auto before = call_id{root.root - 1, 5};
  auto after = call_id{root.root + 1, 0};
  auto calls = room.fetch_all({{post(server.raw.url(), "root"), called({root.root, 0})},
      {post(server.raw.url(), "step 0"), called(root.child(0))},
      {post(server.raw.url(), "step 1"), called(root.child(1))},
      {post(server.raw.url(), "before"), called(before)},
      {post(server.raw.url(), "after"), called(after)}, {post(server.raw.url(), "nameless"), {}}});
  REQUIRE(server.has(6));
  room.cancel({root.root, 0});
  for (auto i : {0U, 1U, 2U})
    CHECK(calls[i].code() == errc::cancelled);
  CHECK(eventually([&] { return server.left() == list{"root", "step 0", "step 1"}; }));
  server.release();
  for (auto i : {3U, 4U, 5U})
    CHECK(calls[i].response().status == 200);
}

TEST_CASE("calls of the same ID are cancelled together") {
  patient_server server;
  engine_room room;
  auto id = call_id::make().child(3);
  auto calls = room.fetch_all(std::vector<http_job>(3, {post(server.raw.url(), "x"), called(id)}));
  REQUIRE(server.has(3));
  room.cancel(id);
  for (auto& call : calls)
    CHECK(call.code() == errc::cancelled);
}

TEST_CASE("cancelling what is unknown, over or nameless does nothing") {
  patient_server server;
  engine_room room;
  auto over = call_id::make();
  CHECK(room.fetch(post(server.raw.url(), "fast"), called(over)).response().status == 200);
  auto named = room.fetch(post(server.raw.url(), "named"), called(call_id::make()));
  auto nameless = room.fetch(post(server.raw.url(), "nameless"));
  REQUIRE(server.has(3));
  room.cancel(over);
  room.cancel(call_id::make());
  room.cancel({call_id::make().root, 0});
  room.cancel({});
  room.cancel({0, 7});
  // Answered after all of these were read.
  CHECK(room.fetch(post(server.raw.url(), "fast")).response().status == 200);
  CHECK(!named.is_over());
  CHECK(!nameless.is_over());
  server.release();
  CHECK(named.response().body == "done named");
  CHECK(nameless.response().body == "done nameless");
}

TEST_CASE("a thousand calls are cancelled at once") {
  simulator::options slow;
  slow.latency = 10s;
  simulator::server server{slow};
  engine_room room{at_once(500, 1'000)};
  auto root = call_id::make();
  std::vector<http_job> jobs;
  for (size_t i = 0; i < 1'000; ++i)
    jobs.push_back({prompt_for(server), called(root.child(i))});
  auto calls = room.fetch_all(jobs);
  REQUIRE(eventually([&] { return server.snapshot().in_flight == 500; }));
  room.cancel({root.root, 0});
  for (auto& call : calls)
    CHECK(call.code() == errc::cancelled);
  CHECK(eventually([&] { return server.snapshot().aborted == 500; }));
  CHECK(server.snapshot().requests == 500);
}

} // namespace limits_test

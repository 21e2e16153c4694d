// Calls to an engine under test from outside of any actor, and their answers.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/http/http.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_addr.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/expected.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <catch2/catch_tostring.hpp>

#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <simulator/simulator.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

template <>
struct Catch::StringMaker<chainmail::errc> {
  static std::string convert(chainmail::errc code) { return to_string(code); }
};

namespace chainmail::test {

using clock = deadline::clock;
using namespace std::chrono_literals;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr auto slowness = 10;
#else
inline constexpr auto slowness = 1;
#endif

/// "At once", on a machine that does other things as well.
inline constexpr std::chrono::milliseconds promptly = 250ms * slowness;

/// Looks every millisecond whether the condition holds, for so long.
template <class Condition>
bool eventually(Condition holds, std::chrono::milliseconds within = 10s) {
  for (auto until = clock::now() + within; clock::now() < until; std::this_thread::sleep_for(1ms))
    if (holds())
      return true;
  return holds();
}

// -- requests -------------------------------------------------------------------------

inline http_request get(std::string url, std::vector<http_header> headers = {}) {
  return {"GET", std::move(url), std::move(headers), {}, {}};
}

inline http_request post(std::string url, std::string body, std::vector<http_header> headers = {}) {
  return {"POST", std::move(url), std::move(headers), {}, std::move(body)};
}

/// One prompt for a simulator.
inline http_request prompt_for(const simulator::server& server) {
  return post(server.base_url() + "/completions", R"({"model":"m","prompt":"x"})");
}

/// A context with an ID, due after that time.
inline call_context due_in(caf::timespan time) {
  call_context result;
  result.id = call_id::make();
  result.due.at = clock::now() + time;
  return result;
}

/// A context with that ID and no deadline.
inline call_context called(call_id id) {
  call_context result;
  result.id = id;
  return result;
}

// -- answers --------------------------------------------------------------------------

/// A call that was sent, and its answer when it has come. Copies are the same call.
class http_call {
public:
  [[nodiscard]] bool is_over() const { return answers() > 0; }

  [[nodiscard]] size_t answers() const {
    std::lock_guard guard{state_->mutex};
    return state_->answers;
  }

  /// Waits for the answer.
  /// @throws std::runtime_error when it takes too long
  const caf::expected<http_response>& answer() const {
    std::unique_lock guard{state_->mutex};
    if (!state_->came.wait_for(guard, 30s, [this] { return state_->answers > 0; }))
      throw std::runtime_error{"a call got no answer within 30 s"};
    return *state_->answer;
  }

  /// Waits for the response.
  /// @throws std::runtime_error when it is an error
  const http_response& response() const {
    const auto& x = answer();
    if (!x)
      throw std::runtime_error{describe(x.error())};
    return *x;
  }

  /// Waits for the answer: errc::none for a response.
  errc code() const { return answer() ? errc::none : code_of(answer().error()); }

  /// Waits for the answer: its sentence if it is an error.
  std::string sentence() const { return answer() ? std::string{} : sentence_of(answer().error()); }

  /// Waits for the answer: its detail if it has one, or an empty one.
  error_detail detail() const {
    return answer() ? error_detail{} : detail_of(answer().error()).value_or(error_detail{});
  }

  clock::time_point sent_at() const { return state_->sent_at; }

  /// Waits for the answer: when it came.
  clock::time_point over_at() const {
    (void)answer();
    return state_->over_at;
  }

  clock::duration took() const { return over_at() - sent_at(); }

  /// Waits for the answer: the worker that gave it.
  caf::actor_addr answered_by() const {
    (void)answer();
    return state_->answered_by;
  }

private:
  friend class engine_room;

  struct state {
    std::mutex mutex;
    std::condition_variable came;
    size_t answers = 0;
    std::optional<caf::expected<http_response>> answer;
    clock::time_point sent_at = clock::now();
    clock::time_point over_at;
    caf::actor_addr answered_by;
  };

  void take(caf::expected<http_response> x, const caf::strong_actor_ptr& from) const {
    std::lock_guard guard{state_->mutex};
    if (++state_->answers > 1)
      return;
    state_->answer = std::move(x);
    state_->over_at = clock::now();
    state_->answered_by = caf::actor_cast<caf::actor_addr>(from);
    state_->came.notify_all();
  }

  std::shared_ptr<state> state_ = std::make_shared<state>();
};

using http_job = std::pair<http_request, call_context>;

/// An actor system with an engine in it. Leaving it tells the engine to exit.
class engine_room {
  struct config : caf::actor_system_config {
    config() { set("caf.scheduler.max-threads", 2); }
  };

  config config_;

public:
  caf::actor_system system{config_};
  http_actor http;

  explicit engine_room(http_options options = {}) : http(spawn_http(system, std::move(options))) {}
  engine_room(const engine_room&) = delete;
  engine_room& operator=(const engine_room&) = delete;
  ~engine_room() {
    if (http)
      exit();
  }

  void exit() { caf::anon_send_exit(http, caf::exit_reason::user_shutdown); }

  /// Sends all from one actor, and so in this order, and returns when they are in the engine's
  /// mailbox. `requester` gets that actor's handle.
  std::vector<http_call> fetch_all(std::vector<http_job> jobs, caf::actor* requester = nullptr) {
    std::vector<http_call> calls(jobs.size());
    auto sent = std::make_shared<std::promise<void>>();
    auto spawned = system.spawn(
        [jobs = std::move(jobs), calls, sent, to = http](caf::event_based_actor* self) mutable {
          for (size_t i = 0; i < jobs.size(); ++i)
            compat::request(self, to, fetch_atom_v, std::move(jobs[i].first), jobs[i].second)
                .then([self, call = calls[i]](
                          http_response& x) { call.take(std::move(x), self->current_sender()); },
                    [self, call = calls[i]](
                        caf::error& x) { call.take(std::move(x), self->current_sender()); });
          to = nullptr;
          sent->set_value();
        });
    sent->get_future().wait();
    if (requester != nullptr)
      *requester = spawned;
    return calls;
  }

  http_call fetch(
      http_request request, call_context context = {}, caf::actor* requester = nullptr) {
    return fetch_all({{std::move(request), std::move(context)}}, requester).front();
  }

  /// Sends one with a sink.
  http_call stream(http_request request, sink_actor sink, call_context context = {}) {
    http_call call;
    system.spawn([request = std::move(request), sink = std::move(sink),
                     context = std::move(context), call, to = http](caf::event_based_actor* self) {
      compat::request(self, to, stream_atom_v, request, sink, context)
          .then([self, call](http_response& x) { call.take(std::move(x), self->current_sender()); },
              [self, call](caf::error& x) { call.take(std::move(x), self->current_sender()); });
    });
    return call;
  }

  /// What the engine says that it has to do.
  size_t outstanding() {
    caf::scoped_actor self{system};
    size_t result = 0;
    compat::request(self.ptr(), http, status_atom_v)
        .receive([&](const http_status& x) { result = x.outstanding; }, [](const caf::error&) {});
    return result;
  }

  void cancel(const call_id& id) { compat::anon_send(http, cancel_atom_v, id); }
};

} // namespace chainmail::test

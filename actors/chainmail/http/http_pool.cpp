// The pool of HTTP workers: fills the first, spreads what is more, and replaces the dead.
#include <chainmail/caf/compat.hpp>
#include <chainmail/http/http.hpp>
#include <chainmail/http/http_worker.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace chainmail {

namespace {

struct http_pool_state {
  static constexpr const char* name = "chainmail.http_pool";

  /// One thread with a hundred calls does more for less CPU than two with fifty.
  static constexpr size_t calls_for_one = 128;

  struct member {
    http_actor worker;
    std::shared_ptr<worker_load> load;
    size_t capacity = 0;
  };

  http_pool_state(http_actor::pointer self_ptr, http_options opts, size_t capacity)
    : self(self_ptr), options(std::move(opts)), members(options.workers) {
    options.max_queued = std::max<size_t>(options.max_queued / options.workers, 1);
    for (size_t i = 0; i < members.size(); ++i) {
      // The remainder goes to the first ones.
      members[i].capacity = (capacity + members.size() - 1 - i) / members.size();
      members[i].load = std::make_shared<worker_load>(0);
    }
    employ(members.front()); // the others when they are needed
  }

  http_actor::behavior_type make_behavior() {
    self->set_down_handler([this](const caf::down_msg& down) {
      for (auto& m : members)
        if (m.worker && m.worker.address() == down.source) {
          m.worker = nullptr; // replaced when it is needed, so that a crash cannot spin
          m.load = std::make_shared<worker_load>(0);
        }
    });
    self->set_exit_handler([this](caf::exit_msg& message) {
      for (auto& m : members)
        if (m.worker)
          self->send_exit(m.worker, message.reason);
      self->quit(std::move(message.reason));
    });
    return {
        [this](fetch_atom, http_request& request, call_context& context) {
          return hand_over(fetch_atom_v, std::move(request), std::move(context));
        },
        [this](stream_atom, http_request& request, sink_actor& sink, call_context& context) {
          return hand_over(stream_atom_v, std::move(request), std::move(sink), std::move(context));
        },
        [this](cancel_atom, const call_id& id) {
          for (auto& m : members)
            if (m.worker)
              compat::send(self, m.worker, cancel_atom_v, id);
        },
        [this](status_atom) {
          http_status result;
          for (const auto& m : members)
            result.outstanding += m.load->load();
          return result;
        },
    };
  }

  /// Delegates: the answer does not pass through the pool.
  template <class... Ts>
  caf::result<http_response> hand_over(Ts&&... xs) {
    auto* worker = choose();
    if (worker == nullptr)
      return make_failure(errc::connection_failed, "no HTTP worker runs and none can be started; "
                                                   "no file descriptor may be left (ulimit -n)");
    auto caller = self->make_response_promise<http_response>();
    return caller.delegate(*worker, std::forward<Ts>(xs)...);
  }

  /// The first worker that has little to do, else the one with the fewest calls, with one more
  /// counted. When that cannot be started, one that runs; null without one.
  http_actor* choose() {
    auto has_little = [](const member& m) {
      return m.load->load() < std::min(calls_for_one, m.capacity);
    };
    auto load_of = [](const member& m) { return m.load->load(); };
    auto best = std::ranges::find_if(members, has_little);
    if (best == members.end())
      best = std::ranges::min_element(members, {}, load_of);
    if (!best->worker) {
      try {
        employ(*best);
      } catch (const std::exception&) {
        best = std::ranges::min_element(members, {}, [&](const member& m) {
          return std::pair{!m.worker, load_of(m)};
        });
        if (!best->worker)
          return nullptr;
      }
    }
    best->load->fetch_add(1, std::memory_order_relaxed);
    return &best->worker;
  }

  void employ(member& m) {
    m.load = std::make_shared<worker_load>(0);
    m.worker = spawn_http_worker(self->system(), options, m.capacity, m.load);
    self->monitor(m.worker);
  }

  http_actor::pointer self;
  http_options options;
  std::vector<member> members;
};

/// A burst of calls costs a connection each, which two threads make in less time than one.
size_t usual_workers() {
  return std::clamp(std::thread::hardware_concurrency(), 1U, 2U);
}

} // namespace

http_actor spawn_http(caf::actor_system& system, http_options options) {
  if (auto error = check(options))
    throw std::invalid_argument{sentence_of(error)};
  auto capacity = capacity_of(options);
  if (options.workers == 0)
    options.workers = capacity > http_pool_state::calls_for_one ? usual_workers() : 1;
  if (options.workers == 1)
    return spawn_http_worker(system, options, capacity, nullptr);
  return system.spawn<caf::stateful_actor<http_pool_state, http_actor::impl>>(
      std::move(options), capacity);
}

} // namespace chainmail

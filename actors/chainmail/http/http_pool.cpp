// The pool of HTTP workers: fills the first, spreads what is more, and replaces the dead.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/restart_policy.hpp>
#include <chainmail/http/http.hpp>
#include <chainmail/http/http_worker.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <stdexcept>
#include <thread>
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
    restart_policy policy;
    /// When it may be employed again, if it is not.
    restart_policy::clock::time_point ready;
  };

  http_pool_state(http_actor::pointer self_ptr, http_options opts, size_t capacity)
    : self(self_ptr), options(std::move(opts)), members(options.workers) {
    if (options.max_queued > 0)
      options.max_queued = std::max<size_t>(options.max_queued / options.workers, 1);
    for (size_t i = 0; i < members.size(); ++i) {
      // The remainder goes to the first ones.
      members[i].capacity = (capacity + members.size() - 1 - i) / members.size();
      members[i].load = std::make_shared<worker_load>(0);
    }
    // At once, for the spawner to hear if it fails. The others when they are needed.
    employ(members.front());
  }

  http_actor::behavior_type make_behavior() {
    compat::on_down(self, [this](const caf::down_msg& down) {
      for (auto& m : members)
        if (m.worker && m.worker.address() == down.source) {
          m.worker = nullptr; // replaced when it is needed
          m.load = std::make_shared<worker_load>(0);
          m.ready = m.policy.crashed(self->clock().now());
        }
    });
    compat::on_exit(self, [this](caf::exit_msg& message) {
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
    auto* chosen = choose();
    if (chosen == nullptr)
      return make_failure(errc::unavailable, "no HTTP worker runs and none can be started now; try "
                                             "again in a while. If it stays so, no file descriptor "
                                             "may be left (ulimit -n)");
    chosen->load->fetch_add(1, std::memory_order_relaxed);
    auto caller = self->make_response_promise<http_response>();
    return caller.delegate(chosen->worker, std::forward<Ts>(xs)...);
  }

  /// One that runs, started if need be; null when none does.
  member* choose() {
    auto* best = least_busy();
    while (best != nullptr && !best->worker) {
      try {
        employ(*best);
      } catch (const std::exception&) {
        best->ready = best->policy.crashed(self->clock().now());
        best = least_busy();
      }
    }
    return best;
  }

  /// The first that has little to do, else the one with the fewest calls; null when no worker runs
  /// and it is too early to start one.
  member* least_busy() {
    auto now = self->clock().now();
    member* result = nullptr;
    for (auto& m : members) {
      if (!m.worker && m.ready > now)
        continue;
      if (m.load->load() < std::min(calls_for_one, m.capacity))
        return &m;
      if (result == nullptr || m.load->load() < result->load->load())
        result = &m;
    }
    return result;
  }

  void employ(member& m) {
    m.policy.starts(self->clock().now());
    m.load = std::make_shared<worker_load>(0);
    m.worker = spawn_http_worker(self->system(), options, m.capacity, m.load);
    compat::monitor(self, m.worker);
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
  return system.spawn<caf::stateful_actor<http_pool_state, http_actor::impl>>(
      std::move(options), capacity);
}

} // namespace chainmail

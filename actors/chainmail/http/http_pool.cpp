// The pool of HTTP workers: fills the first, spreads what is more, and replaces the dead.
#include <chainmail/caf/compat.hpp>
#include <chainmail/http/http.hpp>
#include <chainmail/http/http_worker.hpp>
#include <chainmail/http/worker_team.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

namespace chainmail {

namespace {

struct http_pool_state {
  static constexpr const char* name = "chainmail.http_pool";

  using actor_type = caf::stateful_actor<http_pool_state, pool_front>;
  using member = worker_team::member;

  http_pool_state(actor_type* self_ptr, http_options opts, size_t capacity)
    : self(self_ptr), options(std::move(opts)), team(self_ptr->team) {
    if (options.max_queued > 0)
      options.max_queued = std::max<size_t>(options.max_queued / options.workers, 1);
    std::scoped_lock guard{team.lock};
    auto& members = team.members;
    members.resize(options.workers);
    // The remainder goes to the first ones.
    for (size_t i = 0; i < members.size(); ++i)
      members[i].capacity = (capacity + members.size() - 1 - i) / members.size();
    // At once, for the spawner to hear if it fails. The others when they are needed.
    employ(members.front());
  }

  http_pool_state(const http_pool_state&) = delete;
  http_pool_state& operator=(const http_pool_state&) = delete;

  /// Nobody is reached through a pool that is gone.
  ~http_pool_state() {
    std::scoped_lock guard{team.lock};
    team.members.clear();
  }

  http_actor::behavior_type make_behavior() {
    compat::on_down(self, [this](const caf::down_msg& down) {
      std::scoped_lock guard{team.lock};
      for (auto& m : team.members)
        if (m.worker && m.worker.address() == down.source) {
          m.worker = nullptr; // replaced when it is needed
          m.load = std::make_shared<worker_load>(0);
          m.ready = m.policy.crashed(self->clock().now());
        }
    });
    compat::on_exit(self, [this](caf::exit_msg& message) {
      std::scoped_lock guard{team.lock};
      for (auto& m : team.members)
        if (m.worker)
          self->send_exit(std::exchange(m.worker, nullptr), message.reason);
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
          std::scoped_lock guard{team.lock};
          for (auto& m : team.members)
            if (m.worker)
              compat::send(self, m.worker, cancel_atom_v, id);
        },
        [this](status_atom) {
          http_status result;
          std::scoped_lock guard{team.lock};
          for (const auto& m : team.members)
            result.outstanding += m.load->load();
          return result;
        },
    };
  }

  /// For calls that found no worker, or came after such. Delegates: the answer does not pass through
  /// the pool.
  template <class... Ts>
  caf::result<http_response> hand_over(Ts&&... xs) {
    std::scoped_lock guard{team.lock};
    --team.in_mailbox;
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
    auto* best = team.least_busy(self->clock().now());
    while (best != nullptr && !best->worker) {
      try {
        employ(*best);
      } catch (const std::exception&) {
        best->ready = best->policy.crashed(self->clock().now());
        best = team.least_busy(self->clock().now());
      }
    }
    return best;
  }

  void employ(member& m) {
    m.policy.starts(self->clock().now());
    m.load = std::make_shared<worker_load>(0);
    m.worker = spawn_http_worker(self->system(), options, m.capacity, m.load);
    compat::monitor(self, m.worker);
  }

  actor_type* self;
  http_options options;
  worker_team& team;
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
    options.workers = capacity > worker_team::calls_for_one ? usual_workers() : 1;
  return system.spawn<http_pool_state::actor_type>(std::move(options), capacity);
}

} // namespace chainmail

// The HTTP workers of one pool, as those who send to it see them.
#pragma once

#include <chainmail/caf/bypass.hpp>
#include <chainmail/caf/restart_policy.hpp>
#include <chainmail/http/http_worker.hpp>
#include <chainmail/messages.hpp>

#include <caf/message.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <mutex>
#include <vector>

namespace chainmail {

/// Whoever reads or writes the members holds the lock.
struct worker_team {
  /// One thread with a hundred calls does more for less CPU than two with fifty.
  static constexpr size_t calls_for_one = 128;

  using clock = restart_policy::clock;

  struct member {
    http_actor worker;
    std::shared_ptr<worker_load> load = std::make_shared<worker_load>(0);
    size_t capacity = 0;
    restart_policy policy;
    /// When it may be employed again, if it is not.
    clock::time_point ready;
  };

  std::mutex lock;
  std::vector<member> members;
  /// Calls in the pool's own mailbox. As long as there are any, all mail takes that way.
  size_t in_mailbox = 0;

  /// The first that has little to do, else the one with the fewest calls; null when no worker runs
  /// and it is too early to start one.
  member* least_busy(clock::time_point now);
};

/// Whether the content is a call for a worker.
inline bool is_exchange(const caf::message& content) {
  return content.match_elements<fetch_atom, http_request, call_context>() ||
         content.match_elements<stream_atom, http_request, sink_actor, call_context>();
}

/// The base of the pool: hands calls to workers that run in the sender's thread.
class pool_front : public http_actor::impl {
public:
  using super = http_actor::impl;
  using super::enqueue;
  using super::super;

  bool enqueue(caf::mailbox_element_ptr mail, compat::enqueue_context context) override;

  worker_team team;

private:
  http_actor worker_for_call();
  std::vector<http_actor> workers_for_cancel();
};

} // namespace chainmail

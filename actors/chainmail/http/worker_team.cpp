// Which worker gets a call.
#include <chainmail/http/worker_team.hpp>

#include <caf/actor_system.hpp>

#include <algorithm>

namespace chainmail {

worker_team::member* worker_team::least_busy(clock::time_point now) {
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

bool pool_front::enqueue(caf::mailbox_element_ptr mail, compat::enqueue_context context) {
  auto pass = [&](const http_actor& to, caf::mailbox_element_ptr what) {
    return caf::actor_cast<caf::abstract_actor*>(to)->enqueue(std::move(what), context);
  };
  if (is_exchange(mail->payload)) {
    if (auto worker = worker_for_call())
      return pass(worker, std::move(mail));
  } else if (mail->payload.match_elements<cancel_atom, call_id>()) {
    if (auto workers = workers_for_cancel(); !workers.empty()) {
      for (const auto& worker : workers)
        pass(worker, compat::make_element(mail->sender, mail->mid, mail->payload));
      return true;
    }
  }
  return super::enqueue(std::move(mail), context);
}

http_actor pool_front::worker_for_call() {
  std::scoped_lock guard{team.lock};
  if (team.in_mailbox == 0)
    if (auto* chosen = team.least_busy(home_system().clock().now());
        chosen != nullptr && chosen->worker) {
      chosen->load->fetch_add(1, std::memory_order_relaxed);
      return chosen->worker;
    }
  ++team.in_mailbox;
  return {};
}

std::vector<http_actor> pool_front::workers_for_cancel() {
  std::scoped_lock guard{team.lock};
  std::vector<http_actor> result;
  if (team.in_mailbox == 0)
    for (const auto& m : team.members)
      if (m.worker)
        result.push_back(m.worker);
  return result;
}

} // namespace chainmail

// The remote service: calls, where they are, and what becomes of them when a node is lost.
#include <chainmail/caf/alarm.hpp>
#include <chainmail/caf/any_hub.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/caf/metrics.hpp>
#include <chainmail/cluster/least_loaded.hpp>
#include <chainmail/cluster/message_rules.hpp>
#include <chainmail/cluster/remote_service.hpp>
#include <chainmail/cluster/stream_relay.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/llm.hpp>

#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_message_view.hpp>

#include <algorithm>
#include <iterator>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace chainmail {

namespace {

using clock_type = std::chrono::steady_clock;
using time_point = clock_type::time_point;

/// The nodes that a call may be lost with.
constexpr size_t most_losses = 3;

/// How long a node that was full is left alone.
constexpr std::chrono::milliseconds rest_of_a_full_node{10};

/// The same for one whose service crashed under a call, or which is about to be noticed as lost.
constexpr std::chrono::milliseconds rest_of_a_failed_service{200};

/// The node that works on a call has the same deadline, and knows better what it waits for: its
/// error is let through first.
constexpr std::chrono::milliseconds grace{75};

/// For requests that bring no deadline of their own.
constexpr std::chrono::seconds time_without_deadline{10};

/// The answers of a node that did nothing for the request.
bool is_refusal(const caf::error& x) {
  return x == caf::sec::request_receiver_down || x == errc::overloaded;
}

/// The answers of CAF when the actor, or the way to it, was gone before the request came.
bool never_arrived(const caf::error& x) {
  return x.category() == caf::type_id_v<caf::exit_reason> ||
         x == caf::sec::no_route_to_receiving_node || x == caf::sec::broken_promise;
}

struct remote_service_state {
  static constexpr const char* name = "chainmail.remote_service";

  struct member {
    caf::actor handle;
    std::string node;
    load use;
    /// What the node offers; use.capacity is 0 while it rests.
    uint32_t capacity = 0;
    time_point rests_until = time_point::min();
    std::set<uint64_t> calls;
  };
  using members_map = std::unordered_map<caf::actor_addr, member>;

  struct call {
    caf::message request;
    caf::response_promise caller;
    call_id id;
    deadline due;
    int32_t priority = 0;
    bool is_repeatable = false;
    time_point came;
    time_point sent;
    /// With which nodes it was lost, in the terms of an LLM's result.
    std::vector<attempt> losses;
    /// Where it is; empty while it waits.
    caf::actor_addr at;
    uint64_t request_id = 0;
  };
  using calls_map = std::unordered_map<uint64_t, call>;

  remote_service_state(any_hub* self_ptr, remote_service_options chosen)
    : self(self_ptr),
      options(std::move(chosen)),
      counts(self_ptr->system(), metrics::metric::remote_calls_total, options.name),
      losses(self_ptr->system(), metrics::metric::remote_losses_total, {options.name}),
      alone_since(self->clock().now()) {}

  caf::behavior make_behavior() {
    compat::on_other(
        self, [this](caf::scheduled_actor*, caf::message& content) { return take(content); });
    compat::on_down(self, [this](const caf::down_msg& down) { on_down(down.source); });
    return {
        [this](reply_atom, uint64_t id, caf::message& reply) { on_reply(id, reply); },
        [this](announce_atom, const service& what, const std::string& node) {
          if (self->is_local_mail())
            announce(what, node);
        },
        [this](cancel_atom, const call_id& id) {
          if (self->is_local_mail())
            cancel(id);
        },
        [this](chunk_atom, const call_id& id, uint32_t index, std::string& text) {
          return on_chunk(id, index, std::move(text));
        },
    };
  }

  // -- members ---------------------------------------------------------------------------

  void announce(const service& what, const std::string& node) {
    auto address = what.handle.address();
    auto found = members.find(address);
    if (found == members.end()) {
      if (what.capacity == 0)
        return;
      found = members.emplace(address, member{what.handle, node, {}, 0, {}, {}}).first;
      compat::monitor(self, what.handle);
    }
    found->second.capacity = what.capacity;
    found->second.use.capacity = what.capacity;
    note_whether_alone();
    dispatch();
  }

  void on_down(const caf::actor_addr& gone) {
    auto found = members.extract(gone);
    if (!found)
      return;
    note_whether_alone();
    for (auto number : found.mapped().calls)
      lose(number, found.mapped().node);
    dispatch();
  }

  [[nodiscard]] bool has_members() const {
    return std::ranges::any_of(members, [](const auto& x) { return x.second.capacity > 0; });
  }

  void note_whether_alone() {
    if (has_members())
      alone_since = time_point::max();
    else if (alone_since == time_point::max())
      alone_since = self->clock().now();
  }

  auto is_live() {
    return [this](uint64_t number) { return calls.contains(number); };
  }

  // -- calls -----------------------------------------------------------------------------

  caf::skippable_result take(caf::message& content) {
    if (!self->is_local_mail())
      return relay(content);
    if (!self->current_mailbox_element()->mid.is_request()) {
      tell_members(content);
      return caf::delegated<caf::message>{};
    }
    if (options.kind == "rate_limiter")
      last_caller = caf::actor_cast<caf::weak_actor_ptr>(self->current_sender());
    if (auto error = check_message(options.kind, content))
      return refuse(std::move(error));
    auto now = self->clock().now();
    call next;
    next.is_repeatable = options.is_repeatable;
    if (const auto* context = context_in(content)) {
      next.id = context->id;
      next.due = context->due;
      next.priority = context->priority;
    } else {
      next.due.at = now + time_without_deadline;
    }
    if (next.due.has_passed(now))
      return refuse(make_failure(
          errc::timed_out, "the deadline of the call had passed before it was sent to a node"));
    if (waiting.size() >= options.max_waiting)
      return refuse(make_failure(
          errc::overloaded, "as many calls as may wait for \"" + options.name + "\" do (" +
                                std::to_string(waiting.size()) + "): try again later"));
    auto number = next_number++;
    if (auto error = streams.open(number, content))
      return refuse(std::move(error));
    if (const auto* context = context_in(content))
      next.id = context->id; // a stream always has one
    next.came = now;
    next.request = std::move(content);
    next.caller = self->make_response_promise();
    if (!next.due.is_never()) {
      auto at = next.due.plus(grace);
      dues.push(at, number, calls.size(), is_live());
      timer.at(at);
    }
    if (next.id)
      by_root.emplace(next.id.root, number);
    waiting.emplace(-int64_t{next.priority}, number);
    calls.emplace(number, std::move(next));
    counts.begin();
    while_busy = self;
    dispatch();
    return caf::delegated<caf::message>{};
  }

  caf::error refuse(caf::error why) {
    counts.begin();
    counts.end({}, code_of(why));
    return why;
  }

  /// A limiter tells those who lease of it their shares, and waits until they know. Other nodes have no
  /// other business here.
  caf::skippable_result relay(caf::message& content) {
    auto from = self->current_sender();
    auto is_of_member = std::ranges::any_of(
        members, [&](const auto& x) { return x.second.handle.node() == from->node(); });
    auto to = caf::actor_cast<caf::actor>(last_caller);
    if (!is_of_member || !to || check_share(content) ||
        !self->current_mailbox_element()->mid.is_request())
      return caf::make_error(caf::sec::request_receiver_down);
    auto caller = self->make_response_promise();
    relayed.emplace(self->ask(to, std::move(content)), std::move(caller));
    return caf::delegated<caf::message>{};
  }

  /// For what is no request and no cancel, such as a limiter's settle.
  void tell_members(const caf::message& content) {
    for (auto& [address, to] : members)
      caf::actor_cast<caf::abstract_actor*>(to.handle)->enqueue(
          compat::make_element(
              caf::strong_actor_ptr{self->ctrl()}, caf::make_message_id(), content),
          self->context());
  }

  void dispatch() {
    while (!waiting.empty()) {
      auto* to = choose();
      if (to == nullptr)
        break;
      auto number = waiting.begin()->second;
      waiting.erase(waiting.begin());
      send(number, *to);
    }
    if (!waiting.empty() && alone_since != time_point::max())
      on_alone();
  }

  member* choose() {
    loads.clear();
    choices.clear();
    for (auto& [address, each] : members) {
      loads.push_back(each.use);
      choices.push_back(&each);
    }
    auto best = least_loaded(loads);
    return best < choices.size() ? choices[best] : nullptr;
  }

  void send(uint64_t number, member& to) {
    auto& what = calls.at(number);
    what.at = to.handle.address();
    what.sent = self->clock().now();
    ++to.use.in_flight;
    to.use.last_chosen = next_number++;
    to.calls.insert(number);
    what.request_id = self->ask(to.handle, what.request);
    asked.emplace(what.request_id, number);
  }

  /// Off its node, if it is on one.
  void take_back(uint64_t number, call& what) {
    asked.erase(what.request_id);
    if (auto at = members.find(what.at); at != members.end()) {
      --at->second.use.in_flight;
      at->second.calls.erase(number);
    }
    what.at = nullptr;
  }

  void wait_again(uint64_t number, call& what) {
    take_back(number, what);
    waiting.emplace(-int64_t{what.priority}, number);
  }

  void lose(uint64_t number, const std::string& node) {
    auto& what = calls.at(number);
    losses.add();
    what.losses.push_back({node, errc::unavailable, 0, "the node was lost", what.sent - what.came,
        self->clock().now() - what.sent});
    if (streams.has_begun(number))
      finish(number, caf::make_message(make_failure(errc::unavailable,
                         "the node " + node +
                             " was lost in the midst of the stream: ask for all of it again")));
    else if (what.is_repeatable && what.losses.size() < most_losses)
      wait_again(number, what);
    else
      finish(number, caf::make_message(make_failure(errc::unavailable,
                         "the node " + node + " was lost while it worked on the call; " +
                             (what.is_repeatable ? "it was not the first one for this call"
                                                 : "what it did of it is not known: ask again"))));
  }

  void finish(uint64_t number, caf::message reply) {
    auto found = calls.extract(number);
    auto& what = found.mapped();
    if (what.at)
      take_back(number, what);
    else
      waiting.erase({-int64_t{what.priority}, number});
    by_root.erase({what.id.root, number});
    auto took = self->clock().now() - what.came;
    if (reply.match_elements<caf::error>()) {
      auto why = streams.with_text(number, reply.get_as<caf::error>(0));
      counts.end(took, code_of(why));
      reply = caf::make_message(std::move(why));
    } else {
      counts.end(took);
    }
    streams.close(number, make_failure(errc::cancelled, "the call of the stream is over"));
    what.caller.deliver(std::move(reply));
    if (calls.empty())
      while_busy = nullptr;
  }

  /// From the node that works on the stream, and from no other.
  caf::result<void> on_chunk(const call_id& id, uint32_t index, std::string text) {
    auto number = streams.call_of(id);
    auto found = calls.find(number);
    auto at = found == calls.end() ? members.end() : members.find(found->second.at);
    auto sender = self->current_sender();
    if (at == members.end() || !sender || sender->node() != at->second.handle.node())
      return make_failure(errc::cancelled, "the stream is not waited for any more");
    return streams.pass(number, index, std::move(text));
  }

  void on_reply(uint64_t request, caf::message& reply) {
    if (streams.on_reply(request, reply))
      return;
    if (auto share = relayed.find(request); share != relayed.end()) {
      if (self->is_local_mail()) {
        share->second.deliver(std::move(reply));
        relayed.erase(share);
      }
      return;
    }
    auto found = asked.find(request);
    if (found == asked.end())
      return;
    auto number = found->second;
    auto& what = calls.at(number);
    auto at = members.find(what.at);
    auto sender = self->current_sender();
    if (at == members.end() ||
        (sender && sender->node() != at->second.handle.node() && sender->node() != self->node()))
      return; // an answer from a node that was not asked
    if (reply.match_elements<caf::error>()) {
      const auto& error = reply.get_as<caf::error>(0);
      if (never_arrived(error)) {
        rest(at->second, rest_of_a_failed_service);
        lose(number, at->second.node);
        dispatch();
        return;
      }
      if (is_refusal(error) && (what.is_repeatable || error != errc::overloaded) &&
          !streams.has_begun(number)) {
        if (error == errc::overloaded)
          rest(at->second, rest_of_a_full_node);
        else
          leave(at->second);
        wait_again(number, what);
        dispatch();
        return;
      }
      reply = caf::make_message(error_from_peer(error, options.name.c_str()));
    } else if (auto error = check_answer(options.kind, reply)) {
      reply = caf::make_message(std::move(error));
    } else if (auto result = caf::make_typed_message_view<llm_result>(reply)) {
      sign(caf::get<0>(result), what, at->second.node);
    }
    finish(number, std::move(reply));
    dispatch();
  }

  /// The name of a node that only passed the call on is not of interest.
  static void sign(llm_result& result, call& what, const std::string& node) {
    if (result.node.empty())
      result.node = node;
    result.attempts.insert(result.attempts.begin(), std::make_move_iterator(what.losses.begin()),
        std::make_move_iterator(what.losses.end()));
  }

  /// It gets nothing for a moment.
  void rest(member& who, clock_type::duration how_long) {
    who.use.capacity = 0;
    who.rests_until = self->clock().now() + how_long;
    timer.at(who.rests_until);
  }

  /// It gets nothing until it announces itself again.
  void leave(member& who) {
    who.use.capacity = 0;
    who.capacity = 0;
    note_whether_alone();
  }

  void cancel(const call_id& id) {
    std::vector<uint64_t> unsent;
    std::set<caf::actor_addr> concerned;
    for (auto i = by_root.lower_bound({id.root, 0}); i != by_root.end() && i->first == id.root;
         ++i) {
      const auto& what = calls.at(i->second);
      if (id.step != 0 && what.id.step != id.step)
        continue;
      if (what.at)
        concerned.insert(what.at);
      else
        unsent.push_back(i->second);
    }
    for (auto number : unsent)
      finish(number, caf::make_message(make_failure(
                         errc::cancelled, "the call was cancelled while it waited for a node")));
    for (const auto& address : concerned)
      compat::send(self, members.at(address).handle, cancel_atom_v, id);
  }

  // -- time ------------------------------------------------------------------------------

  void on_alarm() {
    auto now = self->clock().now();
    while (auto number = dues.pop_due(now, is_live()))
      expire(*number);
    timer.at(dues.next());
    for (auto& [address, each] : members)
      if (each.rests_until > now)
        timer.at(each.rests_until);
      else
        each.use.capacity = each.capacity;
    dispatch();
  }

  void expire(uint64_t number) {
    const auto& what = calls.at(number);
    auto was_sent = static_cast<bool>(what.at);
    if (was_sent && what.id)
      compat::send(self, members.at(what.at).handle, cancel_atom_v, what.id);
    finish(number,
        caf::make_message(make_failure(errc::timed_out,
            was_sent ? "the deadline of the call passed before the node that works on it answered"
                     : "the deadline of the call passed while it waited for a node with room")));
  }

  /// The sink of a stream answers nothing.
  void on_stall(uint64_t number) {
    const auto& what = calls.at(number);
    if (what.at)
      compat::send(self, members.at(what.at).handle, cancel_atom_v, what.id);
    finish(number, caf::make_message(make_failure(errc::cancelled,
                       "the sink of the stream answered none of its chunks for two minutes")));
  }

  /// There is no node: calls wait a while for one, and no longer.
  void on_alone() {
    auto until = alone_since + options.patience;
    if (self->clock().now() < until) {
      timer.at(until);
      return;
    }
    auto left = std::exchange(waiting, {});
    for (const auto& [priority, number] : left)
      finish(number, caf::make_message(make_failure(errc::unavailable,
                         "no node of the cluster that this one is connected to serves \"" +
                             options.name + "\": see that one runs and has been joined")));
  }

  any_hub* self;
  remote_service_options options;
  metrics::calls counts;
  metrics::counter losses;
  members_map members;
  calls_map calls;
  /// By urgency, then age: those that were on a lost node go first.
  std::set<std::pair<int64_t, uint64_t>> waiting;
  /// Requests that are out, and their calls.
  std::unordered_map<uint64_t, uint64_t> asked;
  /// Requests of a limiter's that are on their way to the last caller: this node's leasing limiter.
  std::unordered_map<uint64_t, caf::response_promise> relayed;
  caf::weak_actor_ptr last_caller;
  stream_relay streams{self, [this](uint64_t number) { on_stall(number); }};
  /// One root may have thousands.
  std::set<std::pair<uint64_t, uint64_t>> by_root;
  deadline_heap<uint64_t> dues;
  uint64_t next_number = 1;
  /// time_point::max() while there is a node to send to.
  time_point alone_since;
  std::vector<load> loads;
  std::vector<member*> choices;
  /// Calls under way outlive the last handle.
  caf::actor while_busy;
  alarm timer{self, [this] { on_alarm(); }};
};

} // namespace

caf::actor spawn_remote_service(caf::actor_system& system, remote_service_options options) {
  return system.spawn<caf::stateful_actor<remote_service_state, any_hub>>(std::move(options));
}

} // namespace chainmail

// Passing chunks on.
#include <chainmail/cluster/message_rules.hpp>
#include <chainmail/cluster/stream_relay.hpp>

#include <caf/actor_cast.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <utility>
#include <vector>

namespace chainmail {

namespace {

/// No answer with more text could cross the border.
constexpr size_t most_relayed_text = size_t{6} << 20U;

constexpr size_t place_of_sink = 2;
constexpr size_t place_of_context = 3;

bool is_stream(const caf::message& request) {
  return request.size() == place_of_context + 1 && request.match_element<stream_atom>(0) &&
         request.match_element<sink_actor>(place_of_sink) &&
         request.match_element<call_context>(place_of_context);
}

} // namespace

stream_relay::stream_relay(any_hub* self, std::function<void(uint64_t)> on_stall)
  : self_(self), on_stall_(std::move(on_stall)) {
}

caf::error stream_relay::open(uint64_t call, caf::message& request) {
  if (!is_stream(request))
    return {};
  auto id = request.get_as<call_context>(place_of_context).id;
  if (by_id_.contains(id))
    return make_failure(
        errc::overloaded, "a stream of the same call ID is under way: give each call its own");
  if (!id) {
    id = call_id::make();
    request.get_mutable_as<call_context>(place_of_context).id = id;
  }
  auto& sink = request.get_mutable_as<sink_actor>(place_of_sink);
  auto& made = streams_[call];
  made.sink = std::exchange(sink, caf::actor_cast<sink_actor>(caf::actor{self_}));
  made.id = id;
  made.alive = self_->clock().now();
  by_id_.emplace(id, call);
  timer_.at(made.alive + patience);
  return {};
}

uint64_t stream_relay::call_of(const call_id& id) const {
  auto found = by_id_.find(id);
  return found == by_id_.end() ? 0 : found->second;
}

caf::result<void> stream_relay::pass(uint64_t call, uint32_t index, std::string text) {
  auto& to = streams_.at(call);
  if (to.unanswered.size() >= most_unanswered)
    return make_failure(errc::overloaded, "the chunk was sent without credit");
  if (auto error = check_chunk(index, text))
    return error;
  if (to.text.size() + text.size() > most_relayed_text)
    return make_failure(errc::response_too_large, "the stream has more than 6 MiB of text");
  if (to.unanswered.empty())
    to.alive = self_->clock().now();
  to.has_begun = true;
  if (index == 0)
    to.text += text;
  auto request = self_->ask(caf::actor_cast<caf::actor>(to.sink),
      caf::make_message(chunk_atom_v, to.id, index, std::move(text)));
  asked_.emplace(request, call);
  auto caller = self_->make_response_promise<void>();
  to.unanswered.emplace(request, caller);
  return caller;
}

bool stream_relay::on_reply(uint64_t request, caf::message& reply) {
  auto found = asked_.extract(request);
  if (!found)
    return false;
  auto& of = streams_.at(found.mapped());
  of.alive = self_->clock().now();
  auto caller = std::move(of.unanswered.extract(request).mapped());
  if (reply.empty())
    caller.deliver();
  else if (reply.match_elements<caf::error>())
    caller.deliver(error_from_peer(reply.get_as<caf::error>(0), "the sink of the stream"));
  else
    caller.deliver(make_failure(errc::internal, "the sink of the stream answered with something"));
  return true;
}

bool stream_relay::has_begun(uint64_t call) const {
  auto found = streams_.find(call);
  return found != streams_.end() && found->second.has_begun;
}

caf::error stream_relay::with_text(uint64_t call, caf::error why) const {
  auto found = streams_.find(call);
  if (found == streams_.end())
    return why;
  auto flat = flatten(why);
  if (!flat.detail)
    flat.detail.emplace();
  flat.detail->text_so_far = found->second.text;
  return to_error(std::move(flat));
}

void stream_relay::close(uint64_t call, const caf::error& why) {
  auto found = streams_.extract(call);
  if (!found)
    return;
  by_id_.erase(found.mapped().id);
  for (auto& [request, caller] : found.mapped().unanswered) {
    asked_.erase(request);
    caller.deliver(why);
  }
}

void stream_relay::look_for_stalls() {
  auto now = self_->clock().now();
  std::vector<uint64_t> stalled;
  for (auto& [call, each] : streams_)
    if (!each.unanswered.empty() && each.alive + patience <= now)
      stalled.push_back(call);
  for (auto call : stalled)
    on_stall_(call);
  // Not to the moment: whoever is late by now is noticed within another quarter.
  if (!streams_.empty())
    timer_.at(now + patience / 4);
}

} // namespace chainmail

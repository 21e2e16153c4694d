// How bodies go to sinks as they come, and what that takes of time.
#include <chainmail/errors.hpp>
#include <chainmail/http/curl_engine.hpp>
#include <chainmail/http/curl_errors.hpp>

#include <algorithm>
#include <utility>

namespace chainmail {

// -- streams --------------------------------------------------------------------------

void curl_engine::taken(const exchange_key& key, size_t bytes) {
  auto& call = *key.call;
  if (call.ticket != key.ticket)
    return;
  call.stream->taken(bytes, clock::now());
  if (call.stream->is_held)
    list(call);
}

void curl_engine::refused(const exchange_key& key, const caf::error& why) {
  if (key.call->ticket == key.ticket)
    finish(*key.call, why);
}

void curl_engine::list(exchange& call) {
  if (!std::exchange(call.stream->is_listed, true))
    listed_.push_back({&call, call.ticket});
}

/// Ends the exchange; the call itself ends when the sink has taken everything, an error included:
/// what came before it counts.
void curl_engine::conclude(exchange& call, caf::expected<http_response> result) {
  if (!call.stream || call.stream->is_drained())
    return finish(call, std::move(result));
  call.stream->outcome = std::move(result);
  call.stream->is_paused = false;
  move_to(call, draining_);
  list(call);
}

void curl_engine::move_streams() {
  // Resuming one may list it again.
  for (size_t i = 0; i < listed_.size(); ++i)
    if (auto [call, ticket] = listed_[i]; call->ticket == ticket) {
      call->stream->is_listed = false;
      move_stream(*call);
    }
  listed_.clear();
}

void curl_engine::move_stream(exchange& call) {
  auto& stream = *call.stream;
  if (stream.may_send())
    stream.send({&call, call.ticket}, stream.next_chunk());
  if (stream.outcome && stream.is_drained())
    return finish(call, std::move(*stream.outcome));
  if (stream.is_paused && stream.may_read())
    return resume(call);
  note_hold(call, stream.is_paused || stream.has_waiting() || stream.outcome.has_value());
  watch(call);
}

/// libcurl hands out what it kept, and reads on.
void curl_engine::resume(exchange& call) {
  call.stream->is_paused = false;
  list(call);
  auto& carrier = *call.carrier;
  auto result = curl_easy_pause(carrier.handle(), CURLPAUSE_CONT);
  if (result == CURLE_OK)
    return;
  curl_multi_remove_handle(carrier.home()->multi, carrier.handle());
  auto failed = carrier.unload(result);
  idle_.push_back(&carrier);
  conclude(call, std::move(failed));
}

void curl_engine::note_hold(exchange& call, bool is_held) {
  if (std::exchange(call.stream->is_held, is_held) != is_held)
    held_streams_ = is_held ? held_streams_ + 1 : held_streams_ - 1;
}

// -- time -----------------------------------------------------------------------------

/// A call is looked at when it may be late for the first time. If it moved on since, then again.
void curl_engine::watch(exchange& call) {
  auto at = next_due(call);
  if (at >= call.watched)
    return;
  call.watched = at;
  dues_.push(at, {&call, call.ticket, at}, active_ + queued_count_ + 1, is_live);
}

curl_engine::clock::time_point curl_engine::next_due(const exchange& call) const {
  return call.stream ? std::min(call.due, stream_due(call)) : call.due;
}

/// No time without progress may exceed the engine's maximum, whoever is waited for.
curl_engine::clock::time_point curl_engine::stream_due(const exchange& call) const {
  auto most = options_.max_call_time;
  auto within = [most](caf::timespan limit) {
    return limit.count() > 0 ? std::min(limit, most) : most;
  };
  const auto& stream = *call.stream;
  if (stream.is_held)
    return deadline{stream.last_progress()}.plus(most);
  if (stream.has_begun())
    return deadline{stream.last_progress()}.plus(within(call.request.idle_timeout));
  if (call.carrier != nullptr)
    return deadline{call.started}.plus(within(call.request.first_byte_timeout));
  return deadline{call.arrived}.plus(most);
}

caf::error curl_engine::lateness(const exchange& call, clock::time_point now) const {
  auto ms_since = [now](clock::time_point then) {
    auto time = std::chrono::duration_cast<std::chrono::milliseconds>(now - then);
    return std::to_string(time.count()) + " ms";
  };
  auto endpoint = endpoint_of(call.request.url);
  auto sentence = call.request.method + " " + endpoint + ": ";
  const auto* stream = call.stream.get();
  if (stream == nullptr || call.due <= now)
    sentence += "no complete reply within " + ms_since(call.arrived);
  else if (stream->is_held)
    sentence += "the sink took nothing for " + ms_since(stream->last_progress());
  else if (stream->has_begun())
    sentence += "nothing came for " + ms_since(stream->last_progress()) + ", after " +
                std::to_string(stream->received()) + " bytes of the reply";
  else
    sentence += "no first byte of the reply within " +
                ms_since(call.carrier != nullptr ? call.started : call.arrived);
  return make_failure(errc::timed_out, std::move(sentence), {0, endpoint, std::nullopt});
}

void curl_engine::expire(clock::time_point now) {
  while (auto late = dues_.pop_due(now, is_live)) {
    auto& call = *late->call;
    call.watched = clock::time_point::max();
    if (next_due(call) > now)
      watch(call);
    else
      finish(call, lateness(call, now));
  }
}

} // namespace chainmail

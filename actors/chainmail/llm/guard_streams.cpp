// Streams through a guard: it is the sink of its attempts, so it knows what has reached the caller's.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/sink_feed.hpp>
#include <chainmail/llm/guard_state.hpp>

#include <utility>

namespace chainmail {

namespace {

/// Of an answer that is there already: a sentence or so at once.
constexpr size_t replayed_chunk = 256;

} // namespace

caf::result<llm_result> guard_state::stream(
    llm_request request, const sink_actor& sink, call_context context) {
  auto now = self->turn_time();
  auto& counted = counts.of(targets.front().target, request);
  counted.calls.begin();
  if (auto why = check_sink(sink))
    return refuse(counted, context, std::move(why));
  if (auto why = refusal_of(context))
    return refuse(counted, context, std::move(why));
  auto key = cache ? key_of(request) : std::string{};
  owned_promise<llm_result> caller{self};
  auto pending = caller.pending();
  auto what = flights.start(std::move(request), std::move(context), {}, std::move(caller), now);
  what->key = std::move(key); // for the cache: nobody joins a stream
  what->counts = &counted;
  watch(sink);
  what->stream.emplace().sink = sink;
  while_busy = self;
  const auto* found = what->key.empty() ? nullptr : cache->find(what->key, now);
  if (found != nullptr) {
    counted.cache_hits.add();
    replay(what, *found);
  } else if (!what->key.empty() && options.store) {
    look_up(what);
  } else {
    proceed(what);
  }
  return pending;
}

void guard_state::replay(const flight_ptr& what, llm_result found) {
  found.first_token = caf::timespan{0};
  auto feed = std::make_shared<sink_feed>(replies, what->stream->sink, what->context.id,
      what->context.due, [this, weak = std::weak_ptr{what}, found](caf::error why) {
        auto of = weak.lock();
        if (!of || of->is_over)
          return;
        if (why)
          flights.land(of, std::move(why));
        else
          flights.land(of, found);
        rest();
      });
  what->stream->replay = feed;
  for (uint32_t index = 0; index < found.completions.size(); ++index)
    for (auto& piece : cut_into_chunks(found.completions[index].text, replayed_chunk))
      feed->push(index, std::move(piece));
  feed->close();
}

call_id guard_state::expect_text(const flight_ptr& what) {
  // An attempt that was given up may still send: what it sends must not be taken for its successor's.
  auto id = what->stream->given_up == 0 ? what->attempt_id
                                        : what->attempt_id.child(what->stream->given_up);
  while (streams.contains(id))
    id = id.child(0);
  streams.emplace(id, what);
  auto at = self->turn_time() + options.retry.attempt_timeout;
  if (!what->context.due.has_passed(at))
    wake(what, flight::first_token, at);
  return id;
}

caf::result<void> guard_state::on_chunk(const call_id& attempt, uint32_t index, std::string& text) {
  auto found = streams.find(attempt);
  if (found == streams.end())
    return make_failure(errc::cancelled, "the guard does not wait for this stream any more");
  auto& what = *found->second;
  auto& stream = *what.stream;
  if (!stream.has_begun) {
    stream.has_begun = true;
    flights.drop_timer(what, flight::first_token);
    counts_at(what, what.target).first_token.observe(self->turn_time() - what.begin);
  }
  if (index == 0)
    stream.text += text;
  return compat::delegate(self, stream.sink, chunk_atom_v, what.context.id, index, std::move(text));
}

void guard_state::on_silence(const flight_ptr& what) {
  if (what->live.empty())
    return;
  auto silent = what->live.front();
  ++what->stream->given_up;
  compat::send(self, targets[silent.target].target.llm, cancel_atom_v, silent.id);
  auto why = make_failure(errc::timed_out, "no text of the stream came within the attempt's time");
  on_error(what, silent.index, why);
}

void guard_state::watch(const sink_actor& sink) {
  if (++streams_of[sink.address()] == 1)
    compat::monitor(self, sink);
}

void guard_state::unwatch(const sink_actor& sink) {
  auto found = streams_of.find(sink.address());
  if (found == streams_of.end() || --found->second > 0)
    return;
  streams_of.erase(found);
  compat::demonitor(self, sink);
}

void guard_state::on_sink_down(const caf::actor_addr& gone) {
  if (streams_of.erase(gone) == 0)
    return;
  for (const auto& what : flights.all())
    if (what->stream && what->stream->sink.address() == gone) {
      what->stream->sink_is_gone = true;
      give_up(what, make_failure(errc::cancelled, "the sink of the stream is gone"));
    }
}

} // namespace chainmail

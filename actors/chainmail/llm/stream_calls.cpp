// Passing streams on.
#include <chainmail/caf/sink_feed.hpp>
#include <chainmail/llm/stream_calls.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <algorithm>
#include <utility>

namespace chainmail {

stream_calls::stream_calls(caf::scheduled_actor* self, reply_table& replies, const http_actor& http)
  : self_(self), replies_(replies), http_(http) {
  compat::on_down(self_, [this](const caf::down_msg& down) { on_sink_down(down.source); });
}

// -- the way of a stream --------------------------------------------------------------

caf::result<llm_result> stream_calls::start(
    plan what, sink_actor sink, const call_context& context) {
  if (auto why = check_sink(sink))
    return why;
  auto key = next_key_++;
  auto post = std::move(what.post);
  auto endpoint = post.url.substr(0, post.url.find('?'));
  auto completions = what.completions;
  auto now = self_->clock().now();
  auto caller = self_->make_response_promise<llm_result>();
  auto& added =
      calls_
          .emplace(key, call{std::move(what), std::move(sink), context, caller, now,
                            std::move(endpoint), sse_parser{}, stream_result{completions}})
          .first->second;
  if (!added.context.id)
    added.context.id = call_id::make(); // so that its exchange can be cancelled
  by_id_.emplace(added.context.id, key);
  watch(added.sink, key);
  if (added.what.first_token_timeout.count() > 0) {
    auto at = deadline{now}.plus(added.what.first_token_timeout);
    dues_.push(at, key, calls_.size(), [this](uint64_t x) { return calls_.contains(x); });
    alarm_.at(at);
  }
  send(key, added, std::move(post));
  return caller;
}

call_id stream_calls::engine_id(uint64_t key, const call& what) const {
  return {what.context.id.root, key};
}

void stream_calls::send(uint64_t key, call& what, http_request post) {
  auto context = what.context;
  context.id = engine_id(key, what);
  replies_.ask<http_response>(
      http_, context.due, [this, key](http_response& x) { on_response(key, x); },
      [this, key](caf::error& x) { on_error(key, x); }, stream_atom_v, std::move(post),
      caf::actor_cast<sink_actor>(caf::strong_actor_ptr{self_->ctrl()}), std::move(context));
}

caf::result<void> stream_calls::take(uint64_t key, const std::string& bytes) {
  auto found = calls_.find(key);
  if (found == calls_.end() || found->second.is_over)
    return caf::unit;
  auto& from = found->second;
  if (auto error = read(from, bytes)) {
    fail_in_order(key, from, std::move(error));
    return caf::unit;
  }
  if (!from.first_token && from.result.has_output())
    from.first_token = self_->clock().now() - from.began;
  move_on(key, from);
  if (!is_full(from))
    return caf::unit;
  return from.held.emplace_back(self_->make_response_promise<void>());
}

caf::error stream_calls::read(call& from, std::string_view bytes) {
  if (from.kind == body::unknown) {
    auto first = bytes.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos)
      from.kind = bytes[first] == '{' || bytes[first] == '[' ? body::whole : body::events;
  }
  if (from.kind == body::whole) {
    from.text += bytes;
    return {};
  }
  return from.parser.feed(
      bytes, [&from](sse_event& event) { return from.what.decoder->read(event, from.result); });
}

void stream_calls::on_response(uint64_t key, http_response& response) {
  auto found = calls_.find(key);
  if (found == calls_.end() || found->second.is_over)
    return;
  auto& from = found->second;
  if (response.status < 200 || response.status >= 300)
    if (auto other = from.what.decoder->instead(response))
      return send(key, from, std::move(*other));
  from.failure = read_response(from, response);
  if (!from.first_token && from.result.has_output())
    from.first_token = self_->clock().now() - from.began;
  from.is_over = true;
  move_on(key, from);
}

caf::error stream_calls::read_response(call& from, http_response& response) {
  auto& decoder = *from.what.decoder;
  auto is_refused = response.status < 200 || response.status >= 300;
  if (is_refused || from.kind != body::events) {
    if (!is_refused)
      response.body = std::move(from.text);
    auto whole = decoder.read_whole(response);
    if (!whole)
      return std::move(whole.error());
    for (size_t i = 0; i < std::min(whole->completions.size(), from.result.size()); ++i)
      from.result.add_text(i, whole->completions[i].text);
    from.result.end_text();
    from.whole = std::move(*whole);
    return {};
  }
  auto error = from.parser.end(
      [&from, &decoder](sse_event& event) { return decoder.read(event, from.result); });
  from.result.end_text();
  from.head = std::move(response);
  if (error || from.result.is_complete())
    return error;
  auto type = from.head.header("content-type");
  auto sentence =
      type.find("event-stream") == std::string_view::npos && !from.result.has_output()
          ? "the reply is no stream of events; its Content-Type is '" + one_line(type, 100) + "'"
          : "the stream ended before the answer did: there is neither a finish reason nor "
            "the mark of its end";
  return make_failure(errc::malformed_response, std::move(sentence),
      {from.head.status, from.endpoint, {}, {}, {}, {}});
}

void stream_calls::on_error(uint64_t key, caf::error& error) {
  auto found = calls_.find(key);
  if (found == calls_.end() || found->second.is_over)
    return;
  auto& from = found->second;
  if (from.context.due.has_passed(self_->clock().now()) && !from.result.is_complete())
    return fail_now(key, std::move(error));
  from.result.end_text();
  // Some servers do not end the response when they have said that the answer has.
  if (!from.result.is_complete())
    from.failure = std::move(error);
  from.is_over = true;
  move_on(key, from);
}

void stream_calls::on_taken(uint64_t key, size_t bytes) {
  auto found = calls_.find(key);
  if (found == calls_.end())
    return;
  auto& from = found->second;
  --from.sent_chunks;
  from.sent_bytes -= bytes;
  move_on(key, from);
}

bool stream_calls::is_full(const call& what) {
  return what.result.waiting_bytes() + what.sent_bytes >= max_bytes;
}

/// Sends what may be sent, gives the credit there is, and ends what is at its end.
void stream_calls::move_on(uint64_t key, call& from) {
  while (from.sent_chunks < max_chunks) {
    auto piece = from.result.next_piece();
    if (!piece)
      break;
    auto bytes = piece->text.size();
    ++from.sent_chunks;
    from.sent_bytes += bytes;
    replies_.ask<void>(
        from.sink, from.context.due, [this, key, bytes] { on_taken(key, bytes); },
        [this, key](caf::error& why) { fail_now(key, sink_failure(why)); }, chunk_atom_v,
        from.context.id, piece->index, std::move(piece->text));
  }
  if (from.is_over || !is_full(from))
    for (auto& chunk : std::exchange(from.held, {}))
      chunk.deliver();
  if (from.is_over && from.sent_chunks == 0 && from.result.waiting_bytes() == 0)
    finish(key, from);
}

// -- ends -----------------------------------------------------------------------------

/// Ends the exchange, and the call when the sink has taken what came before.
void stream_calls::fail_in_order(uint64_t key, call& what, caf::error why) {
  compat::anon_send(http_, cancel_atom_v, engine_id(key, what));
  what.failure = std::move(why);
  what.is_over = true;
  move_on(key, what);
}

void stream_calls::fail_now(uint64_t key, caf::error why) {
  auto found = calls_.find(key);
  if (found == calls_.end())
    return;
  auto& what = found->second;
  if (!what.is_over)
    compat::anon_send(http_, cancel_atom_v, engine_id(key, what));
  for (auto& chunk : std::exchange(what.held, {}))
    chunk.deliver();
  auto caller = what.caller;
  auto error = with_text_so_far(std::move(why), what.result.taken_text(0));
  forget(key, what);
  caller.deliver(std::move(error));
}

void stream_calls::finish(uint64_t key, call& what) {
  auto caller = what.caller;
  auto error = std::move(what.failure);
  llm_result result;
  if (error) {
    error = with_text_so_far(std::move(error), what.result.taken_text(0));
  } else if (what.whole) {
    result = std::move(*what.whole);
  } else {
    result = what.result.take();
    error = what.what.decoder->finish(what.head, result);
  }
  result.first_token = what.first_token;
  if (!error && what.what.on_result)
    what.what.on_result(result);
  forget(key, what);
  if (error)
    caller.deliver(std::move(error));
  else
    caller.deliver(std::move(result));
}

void stream_calls::forget(uint64_t key, call& what) {
  auto [first, last] = by_id_.equal_range(what.context.id);
  by_id_.erase(std::find_if(first, last, [key](const auto& x) { return x.second == key; }));
  unwatch(what.sink, key);
  calls_.erase(key);
}

void stream_calls::cancel(const call_id& id) {
  if (!id)
    return;
  std::vector<uint64_t> chosen;
  for (auto i = by_id_.lower_bound(id); i != by_id_.end() && i->first.root == id.root; ++i) {
    if (id.step != 0 && i->first != id)
      break;
    chosen.push_back(i->second);
  }
  for (auto key : chosen)
    fail_now(key, make_failure(errc::cancelled, "the caller gave the call up"));
}

// -- sinks and time -------------------------------------------------------------------

void stream_calls::watch(const sink_actor& sink, uint64_t key) {
  auto& keys = by_sink_[sink.address()];
  if (keys.empty())
    compat::monitor(self_, sink);
  keys.insert(key);
}

void stream_calls::unwatch(const sink_actor& sink, uint64_t key) {
  auto found = by_sink_.find(sink.address());
  if (found == by_sink_.end() || found->second.erase(key) == 0)
    return; // it went down
  if (found->second.empty()) {
    by_sink_.erase(found);
    compat::demonitor(self_, sink);
  }
}

void stream_calls::on_sink_down(const caf::actor_addr& sink) {
  auto found = by_sink_.extract(sink);
  if (!found)
    return;
  for (auto key : found.mapped())
    fail_now(key, make_failure(errc::cancelled, "the sink of the stream is gone"));
}

void stream_calls::expire() {
  auto now = self_->clock().now();
  auto is_live = [this](uint64_t key) {
    auto found = calls_.find(key);
    return found != calls_.end() && !found->second.first_token && !found->second.is_over;
  };
  while (auto key = dues_.pop_due(now, is_live)) {
    auto time = calls_.at(*key).what.first_token_timeout;
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    auto endpoint = calls_.at(*key).endpoint;
    auto sentence = "no first token came within " + std::to_string(ms) + " ms (" + endpoint + ")";
    fail_now(*key, make_failure(errc::timed_out, std::move(sentence), {0, std::move(endpoint)}));
  }
  alarm_.at(dues_.next());
}

} // namespace chainmail

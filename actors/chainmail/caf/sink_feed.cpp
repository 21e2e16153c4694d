// Feeding sinks.
#include <chainmail/caf/sink_feed.hpp>

#include <algorithm>
#include <utility>

namespace chainmail {

sink_feed::sink_feed(reply_table& replies, sink_actor to, call_id id, deadline due,
    std::function<void(caf::error)> on_end)
  : replies_(replies), to_(std::move(to)), id_(id), due_(due), on_end_(std::move(on_end)) {
}

void sink_feed::push(uint32_t index, std::string text) {
  if (!on_end_ || text.empty())
    return;
  waiting_.push_back({index, std::move(text)});
  pump();
}

void sink_feed::close() {
  is_closed_ = true;
  pump();
}

void sink_feed::stop() {
  on_end_ = nullptr;
  waiting_.clear();
}

void sink_feed::pump() {
  while (on_end_ && !waiting_.empty() && unanswered_ < window) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    ++unanswered_;
    if (next.index == 0)
      text_so_far_ += next.text;
    replies_.ask<void>(
        to_, due_,
        [feed = shared_from_this()] {
          --feed->unanswered_;
          feed->pump();
        },
        [feed = shared_from_this()](caf::error& why) { feed->end(sink_failure(why)); },
        chunk_atom_v, id_, next.index, std::move(next.text));
  }
  if (is_closed_ && waiting_.empty() && unanswered_ == 0)
    end({});
}

void sink_feed::end(caf::error why) {
  waiting_.clear();
  if (auto on_end = std::exchange(on_end_, nullptr))
    on_end(std::move(why));
}

caf::error check_sink(const sink_actor& sink) {
  return sink ? caf::error{}
              : make_failure(errc::invalid_input,
                    "the stream has an invalid sink handle: without a sink, ask for no stream");
}

caf::error sink_failure(const caf::error& why) {
  if (why == errc::timed_out)
    return make_failure(errc::timed_out,
        "the deadline of the call passed before its sink took the text that was there");
  return make_failure(errc::cancelled,
      why == errc::shut_down ? std::string{"the sink of the stream is gone"}
                             : "the sink of the stream wants no more: " + sentence_of(why));
}

caf::error with_text_so_far(caf::error why, std::string_view text) {
  if (text.empty())
    return why;
  auto detail = detail_of(why).value_or(error_detail{});
  if (!detail.text_so_far.empty())
    return why;
  detail.text_so_far = text;
  return make_failure(code_of(why), sentence_of(why), std::move(detail));
}

std::vector<std::string> cut_into_chunks(std::string_view text, size_t least) {
  auto most = std::max<size_t>(4 * least, 64);
  auto is_blank = [](char c) { return c == ' ' || c == '\n'; };
  auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
  std::vector<std::string> result;
  while (!text.empty()) {
    auto end = std::min(std::max<size_t>(least, 1), text.size());
    while (end < text.size() && end < most && !is_blank(text[end]))
      ++end;
    // What is no UTF-8 has no bounds to look for: its tail is cut anywhere.
    for (auto left = 3; left > 0 && end < text.size() && continues(text[end]); --left)
      --end;
    end = std::max<size_t>(end, 1);
    result.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return result;
}

} // namespace chainmail

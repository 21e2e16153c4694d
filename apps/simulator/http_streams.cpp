// Sends tokens when they are due, several at once when it is late, and notices who leaves.

#include "http_streams.hpp"

#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace chainmail::simulator {

namespace {

/// What a client that is late gets in one write, about.
constexpr std::size_t longest_write = std::size_t{16} << 10U;

bool happens_in_stream(fault kind) {
  using enum fault;
  return kind == stream_break || kind == stream_stall || kind == stream_error ||
         kind == truncated || kind == invalid_json;
}

void append_chunk(std::string& to, std::string_view content) {
  std::array<char, 16> size{};
  auto [end, error] = std::to_chars(size.data(), size.data() + size.size(), content.size(), 16);
  to.append(size.data(), end).append("\r\n").append(content).append("\r\n");
}

/// One stream between its first byte and its last.
class open_stream {
public:
  open_stream(plan& decided, steady_clock::time_point due, counters& counted)
    : plan_(decided),
      counted_(counted),
      due_(due),
      end_(happens_in_stream(decided.kind)
               ? std::min(decided.fault_after, decided.stream->steps() - 1)
               : decided.stream->steps()) {
    counted_.change([](stats& s) {
      ++s.streams;
      s.most_streams_open = std::max(s.most_streams_open, ++s.streams_open);
    });
  }

  ~open_stream() { close(); }

  open_stream(const open_stream&) = delete;
  open_stream& operator=(const open_stream&) = delete;

  /// The chunks of the tokens that are due by now, as many as fit in one write.
  void take_due(std::string& output) {
    auto now = steady_clock::now();
    auto before = tokens_;
    events_.clear();
    for (; tokens_ < end_ && due_ <= now && events_.size() < longest_write; ++tokens_) {
      plan_.stream->next(events_);
      due_ += plan_.pace.next_gap();
    }
    if (tokens_ == end_)
      append_fault();
    if (!events_.empty())
      append_chunk(output, events_);
    if (is_at_end() && !is_cut())
      output += "0\r\n\r\n";
    counted_.change([&](stats& s) { s.tokens_streamed += tokens_ - before; });
  }

  /// All that will ever be sent was taken. A stalled stream has no end.
  bool is_at_end() const { return tokens_ == end_ && plan_.kind != fault::stream_stall; }

  /// The end lacks the last chunk, so that the connection has to close.
  bool is_cut() const {
    return plan_.kind == fault::stream_break || plan_.kind == fault::truncated;
  }

  steady_clock::time_point due() const {
    return tokens_ == end_ ? steady_clock::time_point::max() : due_;
  }

  void finish() {
    close();
    count_end(counted_, plan_);
  }

  /// The client did.
  void leave() {
    close();
    count_abort(counted_, plan_);
    counted_.change([this](stats& s) {
      using namespace std::chrono;
      auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch());
      ++s.streams_closed_early;
      s.last_closed_early_at = static_cast<std::uint64_t>(now.count());
      s.last_closed_early_after = tokens_;
    });
  }

private:
  void close() {
    if (std::exchange(is_open_, false))
      counted_.change([](stats& s) { --s.streams_open; });
  }

  void append_fault() {
    if (plan_.kind == fault::stream_error) {
      plan_.stream->append_error(events_);
    } else if (plan_.kind == fault::invalid_json) {
      auto before = events_.size();
      plan_.stream->next(events_);
      events_.resize(before + (events_.size() - before) / 2);
      events_ += "\n\n";
    }
  }

  plan& plan_;
  counters& counted_;
  std::string events_;
  steady_clock::time_point due_; ///< the next token
  std::size_t tokens_ = 0;
  std::size_t end_; ///< after how many tokens the stream ends, or its fault comes
  bool is_open_ = true;
};

/// False: the client left.
awaitable<bool> send(connection& client, std::string_view text, bool drips) {
  for (; drips && text.size() > drip_piece; text.remove_prefix(drip_piece)) {
    auto piece = asio::buffer(text.substr(0, drip_piece));
    auto [failed, size] = co_await asio::async_write(client.socket, piece, with_error);
    if (failed || !co_await client.stays_until(steady_clock::now() + drip_pause))
      co_return false;
  }
  auto [failed, size] = co_await asio::async_write(client.socket, asio::buffer(text), with_error);
  co_return !failed;
}

} // namespace

awaitable<bool> send_stream(connection& client, plan& decided, counters& counted) {
  open_stream stream(decided, client.received + decided.latency, counted);
  auto output = std::move(decided.text);
  for (;; output.clear()) {
    stream.take_due(output);
    bool is_last = stream.is_at_end();
    if (is_last)
      stream.finish();
    bool stays = co_await send(client, output, decided.kind == fault::drip);
    if (is_last && decided.kind == fault::stream_break)
      client.reset_on_close();
    if (is_last)
      co_return stays && !stream.is_cut() && decided.keep_alive;
    if (stays && stream.due() > steady_clock::now())
      stays = co_await client.stays_until(stream.due());
    if (!stays) {
      stream.leave();
      co_return false;
    }
  }
}

} // namespace chainmail::simulator

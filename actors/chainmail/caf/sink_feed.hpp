// Texts on their way to a sink, against its credit, and what the end of a stream says of them.
#pragma once

#include <chainmail/caf/reply_table.hpp>
#include <chainmail/call_context.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/type_ids.hpp>

#include <caf/error.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// Sends one call's chunks to its sink in order, and no more than the sink has credit for.
class sink_feed : public std::enable_shared_from_this<sink_feed> {
public:
  /// Chunks that the sink has not answered yet, at most.
  static constexpr size_t window = 4;

  /// `on_end` runs once, unless the feed is stopped first: without an error when the feed is closed
  /// and the sink has answered every chunk; with errc::timed_out when `due` passes before that; with
  /// errc::cancelled when the sink is gone, or answers with an error. The table outlives the feed.
  sink_feed(reply_table& replies, sink_actor to, call_id id, deadline due,
      std::function<void(caf::error)> on_end);

  /// A chunk of completion `index`.
  void push(uint32_t index, std::string text);

  /// Nothing more comes.
  void close();

  /// Sends nothing more, and says nothing.
  void stop();

  /// What was sent of the first completion.
  [[nodiscard]] const std::string& text_so_far() const { return text_so_far_; }

private:
  void pump();
  void end(caf::error why);

  struct chunk {
    uint32_t index;
    std::string text;
  };

  reply_table& replies_;
  sink_actor to_;
  call_id id_;
  deadline due_;
  std::function<void(caf::error)> on_end_;
  std::deque<chunk> waiting_;
  size_t unanswered_ = 0;
  bool is_closed_ = false;
  std::string text_so_far_;
};

/// errc::invalid_input for a handle that is none.
caf::error check_sink(const sink_actor& sink);

/// The error that ends a stream whose sink answered with `why`: errc::cancelled, unless it is the
/// deadline that passed.
caf::error sink_failure(const caf::error& why);

/// The error with the text that the sink had got by then, unless the error has some already.
caf::error with_text_so_far(caf::error why, std::string_view text);

/// The text in pieces that end before a blank, of at least `least` bytes but for the last, and of at
/// most four times that many or 64. No code point of UTF-8 is cut. With 1: word by word.
std::vector<std::string> cut_into_chunks(std::string_view text, size_t least);

} // namespace chainmail

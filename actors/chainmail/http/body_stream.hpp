// The body of a response on its way to somebody who may be slower than the server. No I/O, no actors.
#pragma once

#include <chainmail/call_context.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace chainmail {

/// What was read and not sent yet, and what was sent and not taken yet: both are bounded.
class body_stream {
public:
  using clock = deadline::clock;

  /// Chunks that were sent and not taken. What is read meanwhile becomes one chunk.
  static constexpr size_t max_chunks = 8;

  /// Bytes read and not taken, with which reading stops. One piece may go beyond.
  static constexpr size_t max_bytes = size_t{32} << 10U;

  [[nodiscard]] bool may_read() const { return waiting_.size() + sent_bytes_ < max_bytes; }

  /// A piece came from the network.
  void read(std::string_view piece, clock::time_point now) {
    waiting_ += piece;
    received_ += piece.size();
    last_progress_ = now;
    has_begun_ = true;
  }

  [[nodiscard]] bool may_send() const { return !waiting_.empty() && sent_chunks_ < max_chunks; }

  /// All that waits, as the chunk that is sent now.
  std::string next_chunk() {
    ++sent_chunks_;
    sent_bytes_ += waiting_.size();
    return std::exchange(waiting_, {});
  }

  /// A chunk of that size was taken.
  void taken(size_t bytes, clock::time_point now) {
    --sent_chunks_;
    sent_bytes_ -= bytes;
    last_progress_ = now;
  }

  [[nodiscard]] bool has_waiting() const { return !waiting_.empty(); }
  [[nodiscard]] bool is_drained() const { return waiting_.empty() && sent_chunks_ == 0; }

  /// Of the whole body, so far.
  [[nodiscard]] size_t received() const { return received_; }
  [[nodiscard]] bool has_begun() const { return has_begun_; }

  /// When a piece came or a chunk was taken.
  [[nodiscard]] clock::time_point last_progress() const { return last_progress_; }

private:
  std::string waiting_;
  size_t sent_chunks_ = 0;
  size_t sent_bytes_ = 0;
  size_t received_ = 0;
  clock::time_point last_progress_;
  bool has_begun_ = false;
};

} // namespace chainmail

// Between the wire format of a provider's streams and those who pass their text on.
//
// A wire format plugs in as a stream_decoder: it reads one server-sent event after the other into a
// stream_result, and is pure. stream_calls does the rest, for every format: the exchange, the events,
// the sink and its credit, time-outs, cancel, and the answer.
#pragma once

#include <chainmail/http.hpp>
#include <chainmail/http/sse_parser.hpp>
#include <chainmail/llm.hpp>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// What the events of a stream add up to.
class stream_result {
public:
  /// `completions` is at least 1.
  explicit stream_result(size_t completions);

  // -- for decoders -------------------------------------------------------------------------

  /// How many completions there are: indexes are below that.
  [[nodiscard]] size_t size() const { return parts_.size(); }

  /// The next piece of a completion. A code point may be cut in two: its first bytes wait for the
  /// rest. What is not UTF-8 becomes U+FFFD.
  void add_text(size_t index, std::string_view text);

  /// A piece of a tool call. `position` is the provider's word for which call of the completion it is.
  /// Texts are added to what is there, but an ID other than the one there begins another call.
  void add_tool_call(size_t index, uint64_t position, std::string_view id, std::string_view name,
      std::string_view arguments);

  /// The completion has ended. Nothing for an empty reason.
  void set_finish_reason(size_t index, std::string_view reason);

  /// The server said that this was all.
  void set_complete() { is_complete_ = true; }

  token_usage usage = {};
  std::string model = {};

  // -- for those who pass the text on -----------------------------------------------------------

  /// True when nothing is missing: the server said so, or all completions have ended.
  [[nodiscard]] bool is_complete() const;

  /// True once there was text or a tool call.
  [[nodiscard]] bool has_output() const { return has_output_; }

  /// Bytes of text that were not taken by next_piece.
  [[nodiscard]] size_t waiting_bytes() const { return waiting_bytes_; }

  struct piece {
    uint32_t index = 0;
    std::string text = {};
  };

  /// The text of one completion that was not taken yet, all of it. Nothing when there is none.
  std::optional<piece> next_piece();

  /// What was taken of a completion.
  [[nodiscard]] std::string_view taken_text(size_t index) const;

  /// No text follows: bytes that wait for the rest of a code point become U+FFFD.
  void end_text();

  /// Whole and in order: texts, tool calls, finish reasons, usage, model.
  llm_result take();

private:
  struct part {
    completion what;
    /// By the position of each of its tool calls.
    std::vector<uint64_t> positions;
    /// The first bytes of a code point.
    std::string cut;
    size_t taken = 0;
    bool is_waiting = false;
  };

  void append(part& to, std::string_view text);

  std::vector<part> parts_;
  /// Completions with text that was not taken.
  std::vector<uint32_t> waiting_;
  size_t waiting_bytes_ = 0;
  bool has_output_ = false;
  bool is_complete_ = false;
};

/// Reads one stream in the wire format of a provider. Its errors carry an error_detail with the
/// endpoint, and no secrets, even if the server repeats them.
class stream_decoder {
public:
  virtual ~stream_decoder() = default;

  /// Reads an event, and may use it up. An error ends the stream: what the server reported, or
  /// errc::malformed_response.
  virtual caf::error read(sse_event& event, stream_result& into) = 0;

  /// The stream has ended, and nothing is missing. `head` has no body: its header fields may speak of
  /// limits. An error for an answer that was withheld.
  virtual caf::error finish(const http_response& head, llm_result& result) = 0;

  /// Reads a response that is no stream: a refusal, or the answer of a server that does not stream.
  virtual caf::expected<llm_result> read_whole(http_response& response) = 0;

  /// What to send instead of a request that was refused, when that is worth a try: an option that
  /// the server does not know, left out. Asked once for each refusal.
  virtual std::optional<http_request> instead(const http_response& refusal) = 0;
};

} // namespace chainmail
